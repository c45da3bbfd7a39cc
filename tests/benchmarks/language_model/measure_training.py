"""Training speed against PyTorch's word_language_model example, at its sizes, one thread.

    OMP_NUM_THREADS=1 python tests/benchmarks/language_model/measure_training.py

Two layers of LSTM of 650 units, tied, vocabulary 10,000, bptt 35, batch 20, dropout 0.5, SGD with
clipping, on tokens drawn by Zipf's law (what the adaptive softmax costs depends on it: 1/rank is
about what words of English do). Variants take turns, and CPU time counts, so that other work on
the machine disturbs little. The limit is the time of the step's matrix products alone, in the same
type.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dragoman_models.language_model.config import NetworkConfig
from dragoman_models.language_model.network import Dropouts, LanguageModelNetwork, detached

T, B, H, V = 35, 20, 650, 10_000
TOKENS = T * B


class PeerModel(nn.Module):
    """The model of pytorch/examples word_language_model (model.py, RNNModel), tied."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)
        self.encoder = nn.Embedding(V, H)
        self.rnn = nn.LSTM(H, H, 2, dropout=0.5)
        self.decoder = nn.Linear(H, V)
        self.decoder.weight = self.encoder.weight
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)

    def forward(
        self, tokens: Tensor, hidden: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        output, hidden = self.rnn(self.drop(self.encoder(tokens)), hidden)
        decoded = self.decoder(self.drop(output)).view(-1, V)
        return nn.functional.log_softmax(decoded, dim=1), hidden


def zipf(steps: int) -> Tensor:
    """(steps + 1, B) token ids, rank r with a probability proportional to 1 / (r + 2.7)."""
    weights = 1 / (torch.arange(V) + 2.7)
    draws = torch.multinomial(
        weights, (steps + 1) * B, replacement=True, generator=torch.Generator().manual_seed(1)
    )
    return draws.view(steps + 1, B)


def peer_step() -> Callable[[Tensor, Tensor], None]:
    """One training step as the example's main.py has it."""
    model = PeerModel().train()
    state = [(torch.zeros(2, B, H), torch.zeros(2, B, H))]

    def step(inputs: Tensor, targets: Tensor) -> None:
        model.zero_grad()
        hidden = (state[0][0].detach(), state[0][1].detach())
        output, state[0] = model(inputs, hidden)
        loss = nn.functional.nll_loss(output, targets.flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        with torch.no_grad():
            for parameter in model.parameters():
                assert parameter.grad is not None
                parameter.add_(parameter.grad, alpha=-20.0)

    return step


def own_step(dtype: torch.dtype, cutoffs: tuple[int, ...]) -> Callable[[Tensor, Tensor], None]:
    """One training step of Dragoman's trainer, without its log and its progress bar."""
    config = NetworkConfig(
        vocabulary_size=V, embedding_size=H, hidden_size=H, adaptive_cutoffs=cutoffs
    )
    network = LanguageModelNetwork(config, Dropouts(input=0.5, hidden=0.5, output=0.5)).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=20.0, fused=True)
    state = [network.initial_state(B)]

    def step(inputs: Tensor, targets: Tensor) -> None:
        optimizer.zero_grad()
        outputs = network(inputs, detached(state[0]), dtype)
        state[0] = outputs.state
        hidden = outputs.dropped.flatten(0, 1)
        loss = network.output.summed_loss(hidden, targets.flatten(), dtype) / TOKENS
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 0.25)
        optimizer.step()

    return step


def limit_step(dtype: torch.dtype, cutoffs: tuple[int, ...]) -> Callable[[Tensor, Tensor], None]:
    """The step's matrix products alone: each forward product, and two of its size backward."""
    layer = torch.randn(4 * H, H).to(dtype)
    rows, few = torch.randn(TOKENS, H).to(dtype), torch.randn(B, H).to(dtype)
    wide, gates = torch.randn(TOKENS, 4 * H).to(dtype), torch.randn(B, 4 * H).to(dtype)
    bounds = [*cutoffs, V]

    def step(_: Tensor, targets: Tensor) -> None:
        for _layer in range(2):
            products = [rows @ layer.t(), wide @ layer, wide.t() @ rows, wide.t() @ rows]
            for _step in range(T):
                products = [few @ layer.t(), gates @ layer]
        shares = [(TOKENS, bounds[0] + len(cutoffs))]
        for low, high in itertools.pairwise(bounds):
            shares.append((int(((targets >= low) & (targets < high)).sum()), high - low))
        for members, size in shares:
            output, hidden = torch.ones(size, H, dtype=dtype), rows[:members]
            logits = hidden @ output.t()
            products = [logits @ output, logits.t() @ hidden]
        del products

    return step


class Variant(NamedTuple):
    """A way to train, and the products that it cannot do without."""

    name: str
    step: Callable[[Tensor, Tensor], None]
    limit: Callable[[Tensor, Tensor], None]


def seconds_of(step: Callable[[Tensor, Tensor], None], tokens: Tensor, steps: int) -> float:
    """CPU seconds of one step, over several."""
    began = time.process_time()
    for number in range(steps):
        part = tokens[number * T : (number + 1) * T + 1]
        step(part[:-1], part[1:])
    return (time.process_time() - began) / steps


def main() -> None:
    """Prints a row for each variant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=10, help="of each variant in a round")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tokens = zipf(options.steps * T)
    half, full, cutoffs = torch.bfloat16, torch.float32, (1000, 4000)
    variants = [
        Variant("peer, fp32, full softmax", peer_step(), limit_step(full, ())),
        Variant("dragoman, fp32, full softmax", own_step(full, ()), limit_step(full, ())),
        Variant("dragoman, bf16, full softmax", own_step(half, ()), limit_step(half, ())),
        Variant("dragoman, bf16, adaptive", own_step(half, cutoffs), limit_step(half, cutoffs)),
    ]
    times: dict[str, list[float]] = {one.name: [] for one in variants}
    limits: dict[str, list[float]] = {one.name: [] for one in variants}
    for number in range(options.rounds + 1):
        for one in variants:
            taken, least = (seconds_of(s, tokens, options.steps) for s in (one.step, one.limit))
            if number:  # the first round warms up
                times[one.name].append(taken)
                limits[one.name].append(least)
    baseline = statistics.median(times[variants[0].name])
    print(f"{'variant':32} {'tokens/s':>9} {'ratio':>6} {'of GEMM limit':>14}")
    for one in variants:
        median = statistics.median(times[one.name])
        share = statistics.median(limits[one.name]) / median
        print(f"{one.name:32} {TOKENS / median:9,.0f} {baseline / median:6.2f} {share:14.0%}")


if __name__ == "__main__":
    main()
