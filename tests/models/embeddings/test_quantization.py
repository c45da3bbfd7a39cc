"""Laws of the encodings: a proved error bound, and tensors that do not fit are refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from dragoman_models.embeddings.quantization import (
    VectorEncoding,
    decode,
    encode,
    encoded_vectors,
)

WHOLE_NUMBERS = [VectorEncoding.INT8_ROWS, VectorEncoding.INT16_ROWS]
matrices = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=8),
    elements=st.floats(-(2.0**60), 2.0**60, width=32, allow_subnormal=False),
)


@pytest.mark.parametrize(
    ("encoding", "levels"), [(VectorEncoding.INT8_ROWS, 127), (VectorEncoding.INT16_ROWS, 32_767)]
)
@given(matrix=matrices)
def test_no_component_is_off_by_more_than_half_a_step(
    encoding: VectorEncoding, levels: int, matrix: NDArray[np.float32]
) -> None:
    decoded = decode(encode(matrix, encoding)).astype(np.float64)
    largest = np.abs(matrix).max(axis=1, keepdims=True).astype(np.float64)
    step = largest / levels
    # Half a step, the rounding of scale, quotient and product, and what is below the least scale.
    bound = 0.5 * step + 4 * largest * 2.0**-24 + levels * float(np.finfo(np.float32).tiny)
    assert (np.abs(decoded - matrix) <= bound).all()


@pytest.mark.parametrize("encoding", WHOLE_NUMBERS)
@given(matrix=matrices)
def test_encoding_what_was_decoded_changes_nothing(
    encoding: VectorEncoding, matrix: NDArray[np.float32]
) -> None:
    once = encode(matrix, encoding)
    twice = encode(decode(once), encoding)
    np.testing.assert_array_equal(once.codes, twice.codes)


@given(matrix=matrices)
def test_float32_is_kept_bit_for_bit(matrix: NDArray[np.float32]) -> None:
    assert decode(encode(matrix, VectorEncoding.FLOAT32)).tobytes() == matrix.tobytes()


@pytest.mark.parametrize("encoding", WHOLE_NUMBERS)
def test_a_row_of_zeros_stays_one(encoding: VectorEncoding) -> None:
    matrix = np.array([[0, 0], [1, -2]], dtype=np.float32)
    np.testing.assert_array_equal(decode(encode(matrix, encoding))[0], [0, 0])


@pytest.mark.parametrize("encoding", VectorEncoding)
def test_tensors_give_back_the_encoding(encoding: VectorEncoding) -> None:
    matrix = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    encoded = encode(matrix, encoding)
    np.testing.assert_array_equal(
        decode(encoded_vectors(encoded.tensors(), encoding)), decode(encoded)
    )


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({}, "the tensors must be"),
        ({"vectors": np.zeros((2, 3), np.int8)}, "the tensors must be"),
        ({"vectors": np.zeros((2, 3), np.int16), "scales": np.zeros(2, np.float32)}, "be int8"),
        ({"vectors": np.zeros(6, np.int8), "scales": np.zeros(2, np.float32)}, "be int8"),
        ({"vectors": np.zeros((2, 3), np.int8), "scales": np.zeros(3, np.float32)}, "scales"),
        ({"vectors": np.zeros((2, 3), np.int8), "scales": np.zeros(2, np.float16)}, "scales"),
    ],
)
def test_tensors_of_another_shape_are_refused(
    tensors: dict[str, NDArray[np.float32]], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        encoded_vectors(tensors, VectorEncoding.INT8_ROWS)
