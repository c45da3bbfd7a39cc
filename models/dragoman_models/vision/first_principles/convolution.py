"""Two-dimensional convolution and pooling, forward and backward, written out.

As in networks, the kernel is not turned round (a cross-correlation). All arrays are (N, channels,
height, width). An output of height 1 + floor((H + 2 padding - k) / stride) looks at windows of k
rows that begin every `stride` rows of the padded image.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from dragoman_models.vision.first_principles.activations import Floats


def convolve(
    images: Floats, kernels: Floats, bias: Floats, *, stride: int = 1, padding: int = 0
) -> Floats:
    """y[n, o, i, j] = b[o] + sum over c, p, q of x[n, c, i stride + p, j stride + q] w[o, c, p, q].

    images: (N, C, H, W); kernels: (O, C, kh, kw); bias: (O,) -> (N, O, H', W').
    Raises:
        ValueError: shapes that do not fit.
    """
    windows = _windows(_padded(images, padding), kernels.shape[2:], stride)
    if kernels.shape[1] != images.shape[1]:
        raise ValueError(f"kernels of {kernels.shape[1]} channels on {images.shape[1]}")
    # (N, C, H', W', kh, kw) and (O, C, kh, kw) over C, kh, kw -> (N, H', W', O)
    product = np.tensordot(windows, kernels, axes=((1, 4, 5), (1, 2, 3)))
    return np.asarray((product + bias).transpose(0, 3, 1, 2))


def convolve_backward(
    upstream: Floats, images: Floats, kernels: Floats, *, stride: int = 1, padding: int = 0
) -> tuple[Floats, Floats, Floats]:
    """(dJ/d images, dJ/d kernels, dJ/d bias), given dJ/dy = upstream: (N, O, H', W')."""
    padded = _padded(images, padding)
    windows = _windows(padded, kernels.shape[2:], stride)
    # Over N, H', W': (O, C, kh, kw).
    of_kernels = np.tensordot(upstream, windows, axes=((0, 2, 3), (0, 2, 3)))
    of_padded = np.zeros_like(padded)
    for place, rows, columns in _places(kernels.shape[2:], upstream.shape[2:], stride):
        # Each pixel that this entry of the kernels was multiplied with: over O.
        through = np.tensordot(upstream, kernels[:, :, *place], axes=((1,), (0,)))  # (N, H', W', C)
        of_padded[:, :, rows, columns] += through.transpose(0, 3, 1, 2)
    return _unpadded(of_padded, padding), of_kernels, upstream.sum(axis=(0, 2, 3))


def max_pool(images: Floats, size: int, *, stride: int, padding: int = 0) -> Floats:
    """The largest of each window; what pads never is."""
    windows = _windows(_padded(images, padding, -np.inf), (size, size), stride)
    return np.asarray(windows.max(axis=(4, 5)))


def max_pool_backward(
    upstream: Floats, images: Floats, size: int, *, stride: int, padding: int = 0
) -> Floats:
    """dJ/d images: a window's gradient goes to its largest pixel, of several to the first."""
    padded = _padded(images, padding, -np.inf)
    windows = _windows(padded, (size, size), stride)  # (N, C, H', W', size, size)
    largest = windows.reshape(*windows.shape[:4], -1).argmax(axis=4)  # (N, C, H', W')
    gradient = np.zeros_like(images, shape=padded.shape)
    for (row, column), rows, columns in _places((size, size), upstream.shape[2:], stride):
        chosen = largest == row * size + column
        gradient[:, :, rows, columns] += np.where(chosen, upstream, 0)
    return _unpadded(gradient, padding)


def average_pool(images: Floats, size: int, *, stride: int, padding: int = 0) -> Floats:
    """The mean of each window; what pads counts as zeros."""
    windows = _windows(_padded(images, padding), (size, size), stride)
    return np.asarray(windows.mean(axis=(4, 5)))


def average_pool_backward(
    upstream: Floats, images: Floats, size: int, *, stride: int, padding: int = 0
) -> Floats:
    """dJ/d images: each pixel of a window has an equal share of its gradient."""
    gradient = np.zeros_like(_padded(images, padding))
    for _, rows, columns in _places((size, size), upstream.shape[2:], stride):
        gradient[:, :, rows, columns] += upstream / size**2
    return _unpadded(gradient, padding)


def _padded(images: Floats, padding: int, value: float = 0.0) -> Floats:
    margins = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    return np.pad(images, margins, constant_values=value)


def _unpadded(images: Floats, padding: int) -> Floats:
    height, width = images.shape[2:]
    return images[:, :, padding : height - padding, padding : width - padding]


def _windows(padded: Floats, size: tuple[int, ...], stride: int) -> Floats:
    """(N, C, H', W', kh, kw): a view, nothing is copied."""
    if stride < 1 or padded.shape[2] < size[0] or padded.shape[3] < size[1]:
        raise ValueError(
            f"a window of {size} every {stride} pixels does not fit into {padded.shape[2:]}"
        )
    return sliding_window_view(padded, size, axis=(2, 3))[:, :, ::stride, ::stride]


def _places(
    size: tuple[int, ...], outputs: tuple[int, ...], stride: int
) -> Iterator[tuple[tuple[int, int], slice, slice]]:
    """For each place of a window: it, and the rows and columns that all windows have there."""
    for row in range(size[0]):
        for column in range(size[1]):
            rows = slice(row, row + stride * (outputs[0] - 1) + 1, stride)
            columns = slice(column, column + stride * (outputs[1] - 1) + 1, stride)
            yield (row, column), rows, columns
