"""The output layer for the few target pieces of each sentence, packed for a search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dragoman_models.arrays import Array, Floats, Integers
from dragoman_models.translation.arithmetic.layers import DENSE_PANEL, DenseLayer
from dragoman_models.translation.arithmetic.output import gather_outputs
from dragoman_models.translation.shortlist import Shortlist


class Shortlisted(NamedTuple):
    """The outputs of all sentences of a search, behind one another in whole panels."""

    panels: Integers  # (M, 2), of each sentence the first panel and the one behind its last
    tokens: Integers  # (P * 64,)
    operands: tuple[Array, Array, Floats, Array, Floats]  # as `DenseLayer.operands`


class Shortlisting:
    """Packs the rows of an output layer that a shortlist names for a sentence."""

    def __init__(self, output: DenseLayer, shortlist: Shortlist) -> None:
        self._output, self._shortlist = output, shortlist
        weights = output.packed.weights  # (panels, G, 64, g), g components in 32 bits
        numbers = weights.view(np.uint32)[..., 0]
        self._rows = np.ascontiguousarray(numbers.swapaxes(1, 2)).reshape(-1, weights.shape[1])

    def __call__(self, sources: Sequence[Sequence[int]]) -> Shortlisted:
        """Of sources, piece ids with eos."""
        found = [self._shortlist.tokens_for(source) for source in sources]
        sizes = np.array([-(-len(tokens) // DENSE_PANEL) for tokens in found])
        ends = sizes.cumsum()
        places = np.concatenate([
            first * DENSE_PANEL + np.arange(len(tokens))
            for first, tokens in zip(ends - sizes, found, strict=True)
        ])  # fmt: skip
        tokens, count = np.concatenate(found), int(ends[-1])
        packed, precision = self._output.packed, self._output.precision
        panels = np.zeros((count, *packed.weights.shape[1:3]), np.uint32)
        starts = np.zeros((count, DENSE_PANEL), packed.starts.dtype)
        scales = np.ones((count, DENSE_PANEL), np.float32)
        bias = np.full((count, DENSE_PANEL), -np.inf, np.float32)
        gather_outputs(
            self._rows, packed.starts.reshape(-1), packed.scales.reshape(-1),
            self._output.bias.reshape(-1), tokens, places, panels, starts, scales, bias,
        )  # fmt: skip
        names = np.zeros(count * DENSE_PANEL, np.int64)
        names[places] = tokens
        weights = panels.view(packed.weights.dtype).reshape(count, *packed.weights.shape[1:])
        return Shortlisted(
            np.stack([ends - sizes, ends], axis=1), names,
            (weights, starts, scales, precision.sums(DENSE_PANEL), bias),
        )  # fmt: skip
