"""Weights come back from 8 and 16 bits within the bound that the encoding states."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dragoman_models.weight_encoding import WeightEncoding, decode_weights, encode_weights


@given(
    rows=st.integers(1, 6), columns=st.integers(1, 9), seed=st.integers(0, 999),
    size=st.sampled_from([1e-4, 1.0, 300.0]),
)  # fmt: skip
def test_eight_bits_are_within_half_a_step_of_each_row(
    rows: int, columns: int, seed: int, size: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    weights = {
        "matrix": size * torch.randn(rows, columns, generator=generator),
        "bias": torch.randn(rows, generator=generator),
        "zeros": torch.zeros(2, columns),
    }
    tensors = encode_weights(weights, WeightEncoding.INT8_ROWS)
    assert tensors["matrix"].dtype == torch.int8
    assert tensors["bias"].dtype == torch.float16
    decoded = decode_weights(tensors)
    step = weights["matrix"].abs().amax(dim=1, keepdim=True) / 127
    assert ((decoded["matrix"] - weights["matrix"]).abs() <= step * 0.5001).all()
    assert torch.equal(decoded["zeros"], weights["zeros"])
    assert torch.equal(decoded["bias"], weights["bias"].half().float())
    # What is read and stored again is the same.
    again = encode_weights(decoded, WeightEncoding.INT8_ROWS)
    assert torch.equal(again["matrix"], tensors["matrix"])


def test_sixteen_bits_are_rounded() -> None:
    weights = {"matrix": torch.randn(3, 4)}
    decoded = decode_weights(encode_weights(weights, WeightEncoding.FLOAT16))
    assert torch.equal(decoded["matrix"], weights["matrix"].half().float())


@pytest.mark.parametrize(
    ("remove", "message"),
    [("m.row_scale", "m is in 8 bits"), ("m", "m.row_scale belongs to no")],
)
def test_parts_that_do_not_fit_are_named(remove: str, message: str) -> None:
    tensors = encode_weights({"m": torch.ones(2, 2)}, WeightEncoding.INT8_ROWS)
    tensors.pop(remove)
    with pytest.raises(ValueError, match=message):
        decode_weights(tensors)


def test_scales_of_another_shape_are_refused() -> None:
    tensors = encode_weights({"m": torch.ones(2, 2)}, WeightEncoding.INT8_ROWS)
    tensors["m.row_scale"] = torch.ones(3)
    with pytest.raises(ValueError, match="must hold a scale a row"):
        decode_weights(tensors)
