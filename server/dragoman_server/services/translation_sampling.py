"""What a translation call says of sampling, from the API's to the model's."""

import secrets
from typing import Any

from dragoman.v1 import decoding_pb2
from dragoman.v1 import translation_service_pb2 as pb
from dragoman_models.errors import FieldViolation, InvalidInputError

_FILTERS = ("temperature", "top_k", "top_p", "min_p", "typical_p")
_SEED_BITS = 64


def check_sampling(options: pb.TranslationOptions) -> None:
    """Raises `InvalidInputError` where options of a search stand beside sampling."""
    if not options.HasField("sampling"):
        return
    found = [name for name in ("beam_width", "diverse_beams") if options.HasField(name)]
    if options.early_stopping != decoding_pb2.EARLY_STOPPING_UNSPECIFIED:
        found.append("early_stopping")
    text = "belongs to beam search; leave it unset with sampling"
    if found:
        raise InvalidInputError(
            [FieldViolation(field=f"options.{name}", description=text) for name in found]
        )


def sampling_options(options: pb.TranslationOptions) -> dict[str, Any]:
    """`sampling` and `seed` of the model's options; empty where the call searches. Where no seed is
    given, one is drawn."""
    from dragoman_models.search.sampling_options import SamplingOptions

    if not options.HasField("sampling"):
        return {}
    asked = options.sampling
    filters = {name: getattr(asked, name) for name in _FILTERS if asked.HasField(name)}  # type: ignore[arg-type]
    seed = asked.seed if asked.HasField("seed") else secrets.randbits(_SEED_BITS)
    return {"sampling": SamplingOptions(**filters), "seed": seed}
