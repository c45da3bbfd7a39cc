"""How often a word is kept when frequent words are subsampled."""

import numpy as np
from numpy.typing import NDArray


def keep_probabilities(
    counts: NDArray[np.int64], total_words: int, threshold: float
) -> NDArray[np.float64]:
    """Probabilities (V,): min(1, sqrt(t / f) + t / f), f = count / `total_words`; 1 where t is 0.

    Mikolov et al. 2013, section 2.3, give sqrt(t / f); the term t / f comes from their released
    program, whose figures everybody compares with.
    """
    if threshold == 0:
        return np.ones(len(counts))
    ratio = threshold * total_words / counts.astype(np.float64)
    kept: NDArray[np.float64] = np.minimum(1.0, np.sqrt(ratio) + ratio)
    return kept


def keep_thresholds(probabilities: NDArray[np.float64]) -> NDArray[np.uint64]:
    """The probabilities times 2^32: a word is kept where 32 random bits are below."""
    return np.rint(probabilities * 2.0**32).astype(np.uint64)
