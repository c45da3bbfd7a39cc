"""Convolution and pooling by hand equal torch's, forward and backward, in float64."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import prewitt, sobel

from dragoman_models.vision.first_principles.convolution import (
    average_pool,
    average_pool_backward,
    convolve,
    convolve_backward,
    max_pool,
    max_pool_backward,
)
from dragoman_models.vision.first_principles.edge_filters import VERTICAL_EDGES, edges

CLOSE: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-11}


@st.composite
def settings_that_fit(draw: st.DrawFn) -> dict[str, int]:
    size, padding = draw(st.integers(1, 4)), draw(st.integers(0, 2))
    least = max(1, size - 2 * padding)
    return {
        "size": size, "padding": padding, "stride": draw(st.integers(1, 3)),
        "height": draw(st.integers(least, 8)), "width": draw(st.integers(least, 8)),
        "images": draw(st.integers(1, 3)), "channels": draw(st.integers(1, 3)),
        "outputs": draw(st.integers(1, 3)), "seed": draw(st.integers(0, 10**6)),
    }  # fmt: skip


def batch(case: dict[str, int]) -> tuple[np.random.Generator, Any]:
    chance = np.random.default_rng(case["seed"])
    shape = [case[key] for key in ("images", "channels", "height", "width")]
    return chance, chance.normal(size=shape)


@given(case=settings_that_fit())
def test_convolution(case: dict[str, int]) -> None:
    chance, images = batch(case)
    kernels = chance.normal(size=(case["outputs"], case["channels"], case["size"], case["size"]))
    bias = chance.normal(size=case["outputs"])
    options = {"stride": case["stride"], "padding": case["padding"]}
    of_torch = [torch.tensor(one, requires_grad=True) for one in (images, kernels, bias)]
    expected = F.conv2d(of_torch[0], of_torch[1], of_torch[2], **options)
    own = convolve(images, kernels, bias, **options)
    np.testing.assert_allclose(own, expected.detach().numpy(), **CLOSE)
    upstream = chance.normal(size=own.shape)
    expected.backward(torch.tensor(upstream))  # type: ignore[no-untyped-call]
    for one, other in zip(
        convolve_backward(upstream, images, kernels, **options), of_torch, strict=True
    ):
        assert other.grad is not None
        np.testing.assert_allclose(one, other.grad.numpy(), **CLOSE)


@pytest.mark.parametrize("kind", ["max", "average"])
@given(case=settings_that_fit(), whole=st.booleans())
def test_pooling(kind: str, case: dict[str, int], whole: bool) -> None:
    chance, images = batch(case)
    if whole:
        images = np.round(images)  # so that several pixels are the largest
    padding = min(case["padding"], case["size"] // 2)
    if min(images.shape[2:]) + 2 * padding < case["size"]:
        return
    options: dict[str, Any] = {"stride": case["stride"], "padding": padding}
    of_torch = torch.tensor(images, requires_grad=True)
    if kind == "max":
        expected = F.max_pool2d(of_torch, case["size"], **options)
        own, backward = max_pool(images, case["size"], **options), max_pool_backward
    else:
        expected = F.avg_pool2d(of_torch, case["size"], **options)
        own, backward = average_pool(images, case["size"], **options), average_pool_backward
    np.testing.assert_allclose(own, expected.detach().numpy(), **CLOSE)
    upstream = chance.normal(size=own.shape)
    expected.backward(torch.tensor(upstream))
    gradient = backward(upstream, images, case["size"], **options)
    assert of_torch.grad is not None
    np.testing.assert_allclose(gradient, of_torch.grad.numpy(), **CLOSE)


def test_windows_that_do_not_fit_are_refused() -> None:
    images = np.zeros((1, 2, 3, 3))
    with pytest.raises(ValueError, match="does not fit"):
        convolve(images, np.zeros((1, 2, 4, 2)), np.zeros(1))
    with pytest.raises(ValueError, match="kernels of 3 channels on 2"):
        convolve(images, np.zeros((1, 3, 2, 2)), np.zeros(1))
    with pytest.raises(ValueError, match="every 0 pixels"):
        max_pool(images, 2, stride=0)


def test_edge_filters_are_those_of_scipy() -> None:
    image = np.random.default_rng(4).normal(size=(9, 12))
    for name, reference in (("Sobel", sobel), ("Prewitt", prewitt)):
        vertical, horizontal, both = edges(image, VERTICAL_EDGES[name])
        inside = (slice(1, -1), slice(1, -1))
        np.testing.assert_allclose(vertical, -reference(image, axis=1)[inside], **CLOSE)
        np.testing.assert_allclose(horizontal, -reference(image, axis=0)[inside], **CLOSE)
        np.testing.assert_allclose(both**2, vertical**2 + horizontal**2, **CLOSE)


@pytest.mark.parametrize("name", VERTICAL_EDGES)
def test_an_even_image_has_no_edges_and_a_step_has_one(name: str) -> None:
    even = np.full((6, 8), 3.0)
    assert max(np.abs(one).max() for one in edges(even, VERTICAL_EDGES[name])) < 1e-12
    even[:, 4:] = 5
    vertical, horizontal, _ = edges(even, VERTICAL_EDGES[name])
    assert (np.abs(vertical).max(axis=0) > 0).tolist() == [False, False, True, True, False, False]
    assert np.abs(horizontal).max() < 1e-12
