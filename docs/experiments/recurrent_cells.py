"""Vanishing gradients and the copy task, for the four plain cells; draws recurrent-cells.png.

    python docs/experiments/recurrent_cells.py            # ten minutes on one core

1. Gradient through time: how large the gradient of the last state is with respect to the state
   k steps earlier, for untrained cells, relative to k = 1.
2. A copy task (after experiment 2 of Hochreiter and Schmidhuber 1997): remember the first symbol
   while others pass, and name it at the end. Chance is 1 in 8. With nothing to see in between
   instead, as in Arjovsky et al. 2016, a single symbol is too easy: every cell settles in a state
   of its own for each symbol and can stay there for as long as one likes.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from dragoman_models.language_model.layers import RecurrentLayer

CELLS = ("rnn", "simple_gru", "gru", "lstm")
SIZE, SYMBOLS, ROWS = 48, 8, 32
HERE = Path(__file__).parent


def gradient_norms(cell: str, steps: int, seed: int) -> list[float]:
    """Norm of d(sum of h_T) / d(h_(T-k)) for k = 1 .. steps, divided by that of k = 1.

    For the LSTM the state is h and c together.
    """
    torch.manual_seed(seed)
    layer = RecurrentLayer(cell, SIZE, SIZE)
    state = layer.initial_state(ROWS, torch.float32)
    states = []
    for inputs in torch.randn(steps + 1, ROWS, SIZE):
        state = tuple(part.detach().requires_grad_() if not states else part for part in state)
        states.append(state)
        for part in state:
            part.retain_grad()
        state = layer.step(inputs, state)
    (state[0] * torch.randn(ROWS, SIZE)).sum().backward()  # type: ignore[no-untyped-call]
    norms = [_norm(state) for state in reversed(states)]
    return [norm / norms[0] for norm in norms[:steps]]


def _norm(state: tuple[Tensor, ...]) -> float:
    gradients = [part.grad for part in state if part.grad is not None]
    return float(torch.cat([gradient.flatten() for gradient in gradients]).norm())


def copy_accuracies(cell: str, delays: list[int], updates: int, seed: int) -> list[float]:
    """Share of symbols remembered over each delay, by one network that learns them in turn: from
    what it knows of a shorter delay it goes on to the next, as long as it has not failed."""
    torch.manual_seed(seed)
    layer, read = RecurrentLayer(cell, SYMBOLS + 1, SIZE), nn.Linear(SIZE, SYMBOLS)
    parameters = [*layer.parameters(), *read.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=3e-3)

    def attempt(delay: int) -> tuple[Tensor, Tensor]:
        shown = torch.randint(SYMBOLS, (delay + 1, ROWS))
        inputs = torch.zeros(delay + 1, ROWS, SYMBOLS + 1)
        inputs.scatter_(2, shown.unsqueeze(2), 1.0)
        inputs[0, :, SYMBOLS] = 1.0  # marks the symbol that counts
        outputs, _ = layer(inputs, layer.initial_state(ROWS, torch.float32))
        return read(outputs[-1]), shown[0]

    found = []
    for delay in delays:
        for _ in range(updates):
            logits, symbols = attempt(delay)
            optimizer.zero_grad()
            nn.functional.cross_entropy(logits, symbols).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
        with torch.no_grad():
            right = [(logits.argmax(1) == symbols).float().mean() for logits, symbols in
                     (attempt(delay) for _ in range(30))]  # fmt: skip
        found.append(float(torch.stack(right).mean()))
    return found


def draw(
    norms: Mapping[str, list[float]], accuracies: Mapping[str, list[float]], delays: list[int]
) -> Path:
    """Both pictures side by side."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for cell in CELLS:
        left.semilogy(range(1, len(norms[cell]) + 1), norms[cell], label=cell)
        right.plot(delays, accuracies[cell], marker="o", label=cell)
    left.set(xlabel="steps back in time", ylabel="gradient norm, relative", ylim=(1e-12, 3))
    right.axhline(1 / SYMBOLS, color="grey", linestyle=":", label="chance")
    right.set(xlabel="delay in steps", ylabel="symbols remembered", ylim=(0, 1.05))
    left.legend()
    right.legend()
    path = HERE / "recurrent-cells.png"
    figure.savefig(path, dpi=100)
    return path


def main() -> None:
    """Runs both experiments, prints the figures and draws them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--delays", type=int, nargs="+", default=[10, 20, 30, 40, 60, 80, 100])
    parser.add_argument("--updates", type=int, default=800)
    options = parser.parse_args()
    torch.set_num_threads(1)
    norms = {cell: gradient_norms(cell, options.steps, seed=1) for cell in CELLS}
    accuracies: dict[str, list[float]] = {}
    for cell in CELLS:
        accuracies[cell] = copy_accuracies(cell, options.delays, options.updates, seed=1)
        back = min(50, options.steps)
        remembered = ", ".join(
            f"{delay}: {share:.0%}"
            for delay, share in zip(options.delays, accuracies[cell], strict=True)
        )
        print(f"{cell:11} gradient {back} steps back {norms[cell][back - 1]:.1e}; {remembered}")
    print(draw(norms, accuracies, options.delays))


if __name__ == "__main__":
    main()
