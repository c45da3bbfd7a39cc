"""Which sentences are decoded together."""

from __future__ import annotations

_BATCH_ROWS = 512  # hypotheses decoded as one matrix: more gains nothing on a CPU's caches
_BATCH_SOURCE_TOKENS = 8192  # padded: bounds the memory that a batch's attention takes


def length_batches(lengths: list[int], beam_width: int) -> list[list[int]]:
    """Indices in batches of alike length, the longest first (what lasts longest starts first)."""
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batches:
            size = len(batches[-1]) + 1
            padded = size * (lengths[batches[-1][0]] + 1)
            if size * beam_width <= _BATCH_ROWS and padded <= _BATCH_SOURCE_TOKENS:
                batches[-1].append(index)
                continue
        batches.append([index])
    return batches
