"""The options of translation calls, read once for all calls that ask for the same."""

from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from dragoman.v1 import translation_service_pb2 as pb
from dragoman_server.batching.option_key import HashedKey, option_key
from dragoman_server.services.translation_options import translation_options

if TYPE_CHECKING:
    from dragoman_models.translation.translation_options import TranslationOptions

_LONGEST_KEPT = 1_024  # bytes; lists of phrases may be as long as a message
_MOST_KEPT = 256


@dataclass(frozen=True, kw_only=True)
class KnownOptions:
    """The model's options, and the key by which calls with these share batches."""

    options: "TranslationOptions"
    key: Hashable


def known_options(asked: pb.TranslationOptions) -> KnownOptions:
    """What the options of a call mean; raises what `translation_options` raises."""
    if asked.HasField("sampling"):  # the seed of each call may be drawn
        return _read(asked)
    encoded = asked.SerializeToString(deterministic=True)
    return _read(asked) if len(encoded) > _LONGEST_KEPT else _kept(encoded)


@lru_cache(_MOST_KEPT)
def _kept(encoded: bytes) -> KnownOptions:
    return _read(pb.TranslationOptions.FromString(encoded))


def _read(asked: pb.TranslationOptions) -> KnownOptions:
    options = translation_options(asked)
    return KnownOptions(options=options, key=HashedKey((option_key(options), option_key(asked))))
