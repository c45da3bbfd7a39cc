"""Layer normalization of a recurrence's gates, each gate on its own, with its gradient by step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dragoman_models.recurrent import gru_kernels
from dragoman_models.recurrent.compiled_gru_step import CompiledNormalization

EPSILON = 1e-5  # added to the variance


def normalize_gates(gates: Tensor, gain: Tensor, shift: Tensor, *, count: int = 3) -> Tensor:
    """gain * (a - mean(a)) / sqrt(var(a) + EPSILON) + shift for each gate's activations a.

    Ba et al. 2016, eq. 4 and 20 to 22, with a mean and a variance for each of ``count`` gates.

    Args:
        gates: (..., count * H); gain and shift broadcast to it.
    """
    size = gates.size(-1) // count
    blocks = gates.view(*gates.shape[:-1], count, size)
    blocks = nn.functional.layer_norm(blocks, (size,), eps=EPSILON)
    return torch.addcmul(shift, blocks.flatten(-2), gain)


def trained_normalization(gates: Tensor, gain: Tensor, shift: Tensor, *, count: int = 3) -> Tensor:
    """`normalize_gates` in float32 at least, compiled where a gradient is wanted."""
    if count == gru_kernels.GATES and gru_kernels.trains(gates, gates.size(-1) // count):
        normal: Tensor = CompiledNormalization.apply(gates, gain, shift, EPSILON)  # type: ignore[no-untyped-call]
        return normal
    wide = gates.to(torch.promote_types(gates.dtype, torch.float32))
    return normalize_gates(wide, gain, shift, count=count)


class GateNormalization(nn.Module):
    """``normalize_gates`` with a gain, at first 1, and a shift, at first 0, that are learnt."""

    def __init__(self, size: int, *, count: int = 3) -> None:
        """Args: size: H, units of a gate."""
        super().__init__()
        self.count = count
        self.gain = nn.Parameter(torch.ones(count * size))
        self.shift = nn.Parameter(torch.zeros(count * size))

    def forward(self, gates: Tensor) -> Tensor:
        """(..., count * H) -> the same, in float32 at least."""
        return trained_normalization(gates, self.gain, self.shift, count=self.count)


class StepNormalization:
    """The same inside a recurrence whose gradient is written out: keeps what each step needs."""

    def __init__(self, gain: Tensor, steps: int) -> None:
        """Args: gain: (D, 1, 3H), D directions."""
        self.gain = gain
        self._kept: list[tuple[Tensor, Tensor, Tensor]] = []
        self._normal = [gain] * steps  # of each step (D, B, 3H), before gain and shift

    def forward(self, t: int, gates: Tensor, shift: Tensor) -> Tensor:
        """Normalizes the gates (D, B, 3H) of step ``t``; steps come in order."""
        size = gates.size(-1) // 3
        blocks = gates.to(shift.dtype).view(*gates.shape[:-1], 3, size)
        normal, mean, root = torch.native_layer_norm(blocks, [size], None, None, EPSILON)
        self._kept.append((blocks, mean, root))
        self._normal[t] = normal.flatten(-2)
        return torch.addcmul(shift, self._normal[t], self.gain)

    def backward(self, t: int, gradient: Tensor) -> Tensor:
        """Of step ``t``: the gradient of what ``forward`` gave -> that of what it was given."""
        blocks, mean, root = self._kept[t]
        scaled = (gradient * self.gain).view_as(blocks)
        found: Tensor = torch.ops.aten.native_layer_norm_backward(
            scaled, blocks, [blocks.size(-1)], mean, root, None, None, [True, False, False]
        )[0]
        return found.flatten(-2)

    def gain_gradient(self, gradients: Tensor) -> Tensor:
        """Gradients of every step's output (T, D, B, 3H) -> the gain's (D, 1, 3H)."""
        return (gradients * torch.stack(self._normal)).sum((0, 2)).unsqueeze(1)
