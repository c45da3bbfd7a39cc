"""The options of Generate as the models know them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dragoman.v1 import decoding_pb2
from dragoman.v1 import language_model_service_pb2 as pb
from dragoman_models.errors import FieldViolation, InvalidInputError
from dragoman_server.error_status import with_root

if TYPE_CHECKING:
    from dragoman_models.language_model.completion_options import CompletionOptions
    from dragoman_models.language_model.generation_options import GenerationOptions

_FILTERS = ("temperature", "top_k", "top_p", "min_p", "typical_p")
_LIMITS = ("max_tokens", "min_tokens", "repetition_penalty", "no_repeat_ngram_size")
_ONLY_SAMPLING = ("sample_count", "min_tokens", "repetition_penalty", "no_repeat_ngram_size")
_UNPENALIZED = (
    decoding_pb2.LENGTH_NORMALIZATION_NONE,
    decoding_pb2.LENGTH_NORMALIZATION_AVERAGE,
)


def sample_count(options: pb.GenerationOptions) -> int:
    """How many continuations are drawn; raises `InvalidInputError` outside of 1 to 64."""
    from dragoman_models.search.sampling_options import MAX_SAMPLES

    count = options.sample_count if options.HasField("sample_count") else 1
    if not 1 <= count <= MAX_SAMPLES:
        raise InvalidInputError.single(
            "options.sample_count", f"is {count}; give 1 to {MAX_SAMPLES}"
        )
    return count


def generation_options(options: pb.GenerationOptions) -> "GenerationOptions":
    """Raises `InvalidInputError` with one violation for each option out of range."""
    from dragoman_models.language_model.generation_options import GenerationOptions
    from dragoman_models.search.sampling_options import SamplingOptions

    made = GenerationOptions(
        sampling=SamplingOptions(**_given(options.sampling, _FILTERS)),
        stop_strings=tuple(options.stop_strings),
        **_given(options, _LIMITS),
    )
    if violations := made.violations():
        raise with_root(InvalidInputError(violations), "options")
    return made


def completion_options(options: pb.GenerationOptions) -> "CompletionOptions":
    """Raises `InvalidInputError` with a violation for each option out of range or of place."""
    from dragoman_models.language_model.completion_options import CompletionOptions
    from dragoman_models.search.length_normalization import LengthNormalization

    normalizations = {
        decoding_pb2.LENGTH_NORMALIZATION_UNSPECIFIED: LengthNormalization.WU,
        decoding_pb2.LENGTH_NORMALIZATION_NONE: LengthNormalization.NONE,
        decoding_pb2.LENGTH_NORMALIZATION_AVERAGE: LengthNormalization.AVERAGE,
        decoding_pb2.LENGTH_NORMALIZATION_WU_2016: LengthNormalization.WU,
    }
    beam = options.beam_search
    made = CompletionOptions(
        **_given(beam, ("beam_width", "n_best", "length_penalty")),
        **_given(options, ("max_tokens",)),
        length_normalization=normalizations[beam.length_normalization],
    )
    violations = [
        FieldViolation(
            field=one.field if one.field == "max_tokens" else f"beam_search.{one.field}",
            description=one.description,
        )
        for one in made.violations()
    ]
    violations += _out_of_place(options)
    if violations:
        raise with_root(InvalidInputError(violations), "options")
    return made


def _out_of_place(options: pb.GenerationOptions) -> list[FieldViolation]:
    """Options that beam search does not have."""
    found = [*_given(options, _ONLY_SAMPLING)]
    found += ["stop_strings"] if options.stop_strings else []
    text = "belongs to sampling; leave it unset with beam_search"
    violations = [FieldViolation(field=name, description=text) for name in found]
    beam = options.beam_search
    if beam.HasField("length_penalty") and beam.length_normalization in _UNPENALIZED:
        text = "belongs to length_normalization WU_2016 alone; leave it unset"
        violations.append(FieldViolation(field="beam_search.length_penalty", description=text))
    return violations


def _given(message: Any, names: Sequence[str]) -> dict[str, Any]:
    """Those of the optional fields that are set."""
    return {name: getattr(message, name) for name in names if message.HasField(name)}
