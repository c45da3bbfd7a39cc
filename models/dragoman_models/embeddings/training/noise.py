"""The noise distribution of negative sampling, and drawing from it in constant time."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dragoman_models.embeddings.training.compilation import inlined
from dragoman_models.embeddings.training.random_bits import next_bits
from dragoman_models.embeddings.training.simd import Integer, Pointer

_LOW_32 = np.uint64(0xFFFFFFFF)
_S32 = np.uint64(32)


def noise_distribution(counts: NDArray[np.int64], exponent: float = 0.75) -> NDArray[np.float64]:
    """Probabilities (V,) in proportion to count^exponent (Mikolov et al. 2013, section 2.2)."""
    weights = counts.astype(np.float64) ** exponent
    distribution: NDArray[np.float64] = weights / weights.sum()
    return distribution


class AliasTable(NamedTuple):
    """Walker's alias method: column v gives word v with probability thresholds[v] / 2^32, and else
    the word alternatives[v]. The columns are equally likely."""

    thresholds: NDArray[np.uint64]  # (V,)
    alternatives: NDArray[np.int32]  # (V,)


def alias_table(distribution: NDArray[np.float64]) -> AliasTable:
    """The table for `distribution` (V,); its probabilities are right to 2^-32 (Vose 1991)."""
    size = len(distribution)
    height = distribution * size  # of each column; the mean is 1
    alternatives = np.arange(size, dtype=np.int32)
    keep = np.ones(size)
    low = np.flatnonzero(height < 1).tolist()
    high = np.flatnonzero(height >= 1).tolist()
    while low and high:
        short, tall = low.pop(), high[-1]
        keep[short], alternatives[short] = height[short], tall
        height[tall] -= 1 - height[short]
        if height[tall] < 1:
            low.append(high.pop())
    thresholds = np.rint(keep * 2.0**32).astype(np.uint64)
    return AliasTable(thresholds, alternatives)


@inlined
def draw(thresholds: Pointer, alternatives: Pointer, size: int, state: Pointer) -> Integer:
    """One word by the distribution of the table of `size` columns."""
    bits = next_bits(state)
    column = np.int64(((bits >> _S32) * np.uint64(size)) >> _S32)
    if (bits & _LOW_32) < thresholds[column]:
        return column
    return np.int64(alternatives[column])
