"""Random numbers for compiled loops: SplitMix64 (Steele, Lea and Flood 2014), one a chunk of text.

The state is an array of one uint64, changed in place; the same state gives the same numbers on
every machine.
"""

import numpy as np
from numpy.typing import NDArray

from dragoman_models.embeddings.training.compilation import inlined
from dragoman_models.embeddings.training.simd import Integer, Pointer

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S32 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(32)


def chunk_state(seed: int, *position: int) -> NDArray[np.uint64]:
    """The state for the work at `position` (epoch, chunk, ...), independent of all others."""
    sequence = np.random.SeedSequence([seed, *position])
    return sequence.generate_state(1, dtype=np.uint64).astype(np.uint64)


@inlined
def next_bits(state: Pointer) -> Integer:
    """64 random bits."""
    state[0] += _STEP
    bits = state[0]
    bits = (bits ^ (bits >> _S30)) * _FIRST
    bits = (bits ^ (bits >> _S27)) * _SECOND
    return bits ^ (bits >> _S31)


@inlined
def next_below(state: Pointer, limit: int) -> Integer:
    """A whole number from 0 to limit - 1, for limits up to 2^32."""
    return np.int64(((next_bits(state) >> _S32) * np.uint64(limit)) >> _S32)
