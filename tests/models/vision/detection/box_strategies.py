"""Boxes for property tests: sound ones, and degenerate ones among them."""

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray


def boxes(
    fewest: int = 0, most: int = 12, *, degenerate: bool = True
) -> st.SearchStrategy[NDArray[np.float32]]:
    """(N, 4) corners on a grid of quarters, so that areas are exact in float32."""
    place = st.integers(0, 200).map(lambda n: n / 4)
    side = st.integers(0 if degenerate else 1, 120).map(lambda n: n / 4)
    row = st.tuples(place, place, side, side).map(lambda r: (r[0], r[1], r[0] + r[2], r[1] + r[3]))
    return st.lists(row, min_size=fewest, max_size=most).map(
        lambda rows: np.array(rows, dtype=np.float32).reshape(-1, 4)
    )
