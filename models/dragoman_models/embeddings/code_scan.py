"""The scan of 8-bit codes: for each query, the rows that may be among its k best.

Compiled code on plain arrays; `row_codes` prepares them and says why the answer is complete.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dragoman_models.embeddings.code_tile import COMPONENTS, QUERIES, ROWS, narrow_tile, wide_tile
from dragoman_models.embeddings.compiled import compiled, compiled_with_reordered_sums

OVERFLOWED = -1


@compiled
def scan_codes(
    codes: NDArray[np.uint8],
    scales: NDArray[np.float32],
    row_limit: int,
    queries: NDArray[np.int8],
    offsets: NDArray[np.int32],
    slacks: NDArray[np.float32],
    thresholds: NDArray[np.float32],
    k: int,
    rows: NDArray[np.int32],
    scores: NDArray[np.float32],
    counts: NDArray[np.int64],
) -> None:
    """Fill `rows` and `scores` (B, capacity) with the candidates of each query, `counts` (B,) each.

    Shapes as in `code_tile`; B is 1 or a multiple of 8. A row is a candidate while its score
    reaches the query's threshold, which rises to the k-th best score so far minus the query's
    slack. `counts` is OVERFLOWED where the candidates do not fit.
    """
    query_count = len(queries)
    best = np.empty((query_count, k), np.float32)  # for each query a heap, the least on top
    best_counts = np.zeros(query_count, np.int64)
    sums = np.empty((QUERIES, ROWS), np.int32)
    for block in range((row_limit + ROWS - 1) // ROWS):
        for first in range(0, query_count, QUERIES):
            if query_count == 1:
                reached = narrow_tile(
                    codes, block, queries, first, offsets, scales, thresholds, sums
                )
            else:
                reached = wide_tile(codes, block, queries, first, offsets, scales, thresholds, sums)
            query = first
            while reached:
                if reached & 1:
                    for lane in range(ROWS):
                        row = block * ROWS + lane
                        score = np.float32(sums[query - first, lane]) * scales[row]
                        if row < row_limit and score >= thresholds[query]:
                            _keep(query, row, score, thresholds, rows, scores, counts)
                            best_counts[query] = _push(best[query], best_counts[query], score)
                            if best_counts[query] == k:
                                floor = best[query, 0] - slacks[query]
                                thresholds[query] = max(thresholds[query], floor)
                reached >>= 1
                query += 1


@compiled
def _keep(
    query: int,
    row: int,
    score: float,
    thresholds: NDArray[np.float32],
    rows: NDArray[np.int32],
    scores: NDArray[np.float32],
    counts: NDArray[np.int64],
) -> None:
    """Add a candidate, dropping those that the threshold has left behind where room is needed."""
    count, capacity = counts[query], rows.shape[1]
    if count == capacity:
        count = 0
        for place in range(capacity):
            if scores[query, place] >= thresholds[query]:
                rows[query, count] = rows[query, place]
                scores[query, count] = scores[query, place]
                count += 1
        if count > capacity // 2:  # Or it would be done over and over.
            counts[query] = OVERFLOWED
            thresholds[query] = np.inf
            return
    rows[query, count] = row
    scores[query, count] = score
    counts[query] = count + 1


@compiled
def _push(heap: NDArray[np.float32], count: int, value: float) -> int:
    """Put `value` into the heap of the `len(heap)` greatest; returns how many it holds."""
    size = len(heap)
    if count < size:
        place = count
        while place > 0 and heap[(place - 1) // 2] > value:
            heap[place] = heap[(place - 1) // 2]
            place = (place - 1) // 2
        heap[place] = value
        return count + 1
    if value > heap[0]:
        place = 0
        while 2 * place + 1 < size:
            child = 2 * place + 1
            if child + 1 < size and heap[child + 1] < heap[child]:
                child += 1
            if heap[child] >= value:
                break
            heap[place] = heap[child]
            place = child
        heap[place] = value
    return count


@compiled_with_reordered_sums
def encode_rows(
    matrix: NDArray[np.float32],
    codes: NDArray[Any],
    scales: NDArray[np.float32],
    shortest: float,
    longest: float,
) -> tuple[int, float]:
    """Fill `codes`, here uint32 (blocks, G, 16), and `scales` with the rows scaled to length 1.

    Returns the first row whose length is neither zero nor between `shortest` and `longest` (-1
    where there is none), and the greatest distance of a row from what its codes stand for.
    """
    row_count, width = matrix.shape
    bytes_of_row = np.full(codes.shape[1] * COMPONENTS, 128, np.uint8)
    words_of_row = bytes_of_row.view(np.uint32)
    greatest = 0.0
    scales[:] = np.nan
    codes[:] = 0x80808080
    for row in range(row_count):
        values = matrix[row]
        square, largest = 0.0, np.float32(0)
        for column in range(width):
            value = np.float64(values[column])
            square += value * value
            largest = max(largest, abs(values[column]))
        if square == 0:
            continue
        length = np.sqrt(square)
        if not (shortest <= length <= longest):
            return row, 0.0
        scale = np.float32(largest / length / 127)
        factor, inverse = np.float32(127) / largest, 1 / length
        error = 0.0
        for column in range(width):
            code = np.rint(values[column] * factor)
            difference = values[column] * inverse - np.float64(scale) * code
            error += difference * difference
            bytes_of_row[column] = np.uint8(np.int32(code) + 128)
        scales[row] = scale
        for group in range(codes.shape[1]):
            codes[row // ROWS, group, row % ROWS] = words_of_row[group]
        greatest = max(greatest, error)
    return -1, np.sqrt(greatest)
