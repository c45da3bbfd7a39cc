"""A vector written as bytes is the message that filling it number by number gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from dragoman.v1.vector_pb2 import Vector
from dragoman_server.services.vector_message import vector_message


@given(hnp.arrays(np.float32, st.integers(0, 80), elements=st.floats(width=32, allow_nan=False)))
def test_the_bytes_are_those_of_protobuf(vector: NDArray[np.float32]) -> None:
    filled = Vector(values=vector.tolist())
    message = vector_message(vector)
    assert message == filled
    assert message.SerializeToString() == filled.SerializeToString()


@pytest.mark.parametrize("count", [31, 32, 4_095, 4_096, 600_000])
def test_the_length_may_take_any_number_of_bytes(count: int) -> None:
    vector = np.arange(count, dtype=np.float32)
    message = vector_message(vector[::-1])  # also where the numbers do not lie side by side
    assert list(message.values) == vector[::-1].tolist()
    # Four bytes a component, and a tag and a length for all of them.
    assert len(message.SerializeToString()) <= 4 * count + 5
