"""LSTM and GRU over a whole sequence with their own backward pass.

torch's layers have autograd differentiate each step, and so add up the gradient of the recurrent
weights once a step. Here the steps' gate gradients are kept, and the weights' gradient is one
product over all steps: what a step still does alone is one product each way and the gates'
elementwise work. Products run in the type of the weights (bfloat16 where the CPU multiplies it
natively), sums and states in float32 or better.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


class LstmSequence(torch.autograd.Function):
    """T steps of ``cells.lstm_step``."""

    @staticmethod
    def forward(
        ctx: Any, input_gates: Tensor, recurrent: Tensor, hidden: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(T, B, 4H) with both biases, (4H, H), (B, H), (B, H) -> h (T, B, H), last c (B, H)."""
        steps, rows, _ = input_gates.shape
        size, wide = recurrent.size(1), _wide(input_gates.dtype)
        gates = torch.empty_like(input_gates)
        hiddens = input_gates.new_empty(steps + 1, rows, size)
        cells = input_gates.new_empty(steps + 1, rows, size, dtype=wide)
        squashed = input_gates.new_empty(steps, rows, size, dtype=wide)  # tanh(c)
        hiddens[0], cells[0] = hidden, cell
        transposed = recurrent.t()
        for t in range(steps):
            step = torch.addmm(input_gates[t], hiddens[t], transposed).to(wide)  # (B, 4H)
            into, forget, candidate, out = step.chunk(4, dim=1)
            torch.sigmoid_(step[:, : 2 * size])
            torch.tanh_(candidate)
            torch.sigmoid_(out)
            torch.mul(forget, cells[t], out=cells[t + 1])
            cells[t + 1].addcmul_(into, candidate)
            torch.tanh(cells[t + 1], out=squashed[t])
            hiddens[t + 1] = out * squashed[t]
            gates[t] = step
        ctx.save_for_backward(gates, hiddens, cells, squashed, recurrent)
        return hiddens[1:].clone(), cells[steps].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, output_gradient: Tensor, last_cell_gradient: Tensor) -> Any:
        gates, hiddens, cells, squashed, recurrent = ctx.saved_tensors
        gate_gradients = torch.empty_like(gates)
        hidden_gradient = torch.zeros_like(cells[0])
        cell_gradient = last_cell_gradient.clone()
        for t in reversed(range(len(gates))):
            hidden_gradient = output_gradient[t] + hidden_gradient
            into, forget, candidate, out = gates[t].to(cells.dtype).chunk(4, dim=1)
            through_out = hidden_gradient * out
            cell_gradient = cell_gradient + through_out * (1 - squashed[t].square())
            torch.cat(
                [
                    cell_gradient * candidate * into * (1 - into),
                    cell_gradient * cells[t] * forget * (1 - forget),
                    cell_gradient * into * (1 - candidate.square()),
                    through_out * squashed[t] * (1 - out),
                ],
                dim=1,
                out=gate_gradients[t],
            )
            cell_gradient = cell_gradient * forget
            hidden_gradient = (gate_gradients[t] @ recurrent).to(cells.dtype)
        flat = gate_gradients.flatten(0, 1)  # (T * B, 4H)
        recurrent_gradient = flat.t() @ hiddens[:-1].flatten(0, 1)  # (4H, H)
        return gate_gradients, recurrent_gradient, hidden_gradient.to(hiddens.dtype), cell_gradient


class GruSequence(torch.autograd.Function):
    """T steps of ``cells.gru_step``, or without the relevance gate of ``cells.simple_gru_step``."""

    @staticmethod
    def forward(
        ctx: Any, input_gates: Tensor, recurrent: Tensor, recurrent_bias: Tensor, hidden: Tensor
    ) -> Tensor:
        """(T, B, G * H) with the input bias, (G * H, H), (G * H,), (B, H) -> h (T, B, H).

        G is 3 (relevance, update, candidate) or 2 (update, candidate).
        """
        steps, rows, _ = input_gates.shape
        size, wide = recurrent.size(1), _wide(input_gates.dtype)
        squashing = len(recurrent) - size  # columns of sigmoid gates
        gates = torch.empty_like(input_gates)  # after their functions
        fed_back = input_gates.new_empty(steps, rows, size)  # U_n h + d_n
        hiddens = input_gates.new_empty(steps + 1, rows, size, dtype=wide)
        hiddens[0] = hidden
        transposed = recurrent.t()
        for t in range(steps):
            previous = hiddens[t].to(recurrent.dtype)
            product = torch.addmm(recurrent_bias, previous, transposed).to(wide)  # (B, G * H)
            step = input_gates[t].to(wide)
            sigmoids = torch.sigmoid(step[:, :squashing] + product[:, :squashing])
            relevant = product[:, squashing:]
            fed_back[t] = relevant
            if squashing > size:
                relevant = sigmoids[:, :size] * relevant
            candidate = torch.tanh(step[:, squashing:] + relevant)
            torch.lerp(candidate, hiddens[t], sigmoids[:, -size:], out=hiddens[t + 1])
            gates[t, :, :squashing], gates[t, :, squashing:] = sigmoids, candidate
        ctx.save_for_backward(gates, fed_back, hiddens, recurrent)
        return hiddens[1:].to(input_gates.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, output_gradient: Tensor) -> Any:
        gates, fed_back, hiddens, recurrent = ctx.saved_tensors
        size, wide = recurrent.size(1), hiddens.dtype
        has_relevance = len(recurrent) == 3 * size
        gate_gradients, product_gradients = torch.empty_like(gates), torch.empty_like(gates)
        hidden_gradient = torch.zeros_like(hiddens[0])
        for t in reversed(range(len(gates))):
            hidden_gradient = output_gradient[t] + hidden_gradient
            step = gates[t].to(wide)
            update, candidate = step[:, -2 * size : -size], step[:, -size:]
            into_candidate = hidden_gradient * (1 - update) * (1 - candidate.square())
            into_update = hidden_gradient * (hiddens[t] - candidate) * update * (1 - update)
            parts = [into_update, into_candidate]
            back = into_candidate
            if has_relevance:
                relevance = step[:, :size]
                into_relevance = into_candidate * fed_back[t] * relevance * (1 - relevance)
                parts, back = [into_relevance, *parts], into_candidate * relevance
            torch.cat(parts, dim=1, out=gate_gradients[t])
            torch.cat([*parts[:-1], back], dim=1, out=product_gradients[t])
            hidden_gradient = hidden_gradient * update + product_gradients[t] @ recurrent
        flat = product_gradients.flatten(0, 1)  # (T * B, G * H)
        previous = hiddens[:-1].flatten(0, 1).to(flat.dtype)
        bias_gradient = flat.sum(0, dtype=wide).to(flat.dtype)
        return gate_gradients, flat.t() @ previous, bias_gradient, hidden_gradient.to(flat.dtype)
