"""The mean of the weights over the steps of training, and when to begin with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """The running mean of a network's weights since it was begun (Polyak and Juditsky 1992)."""

    def __init__(self) -> None:
        self.count = 0
        self.weights: dict[str, Tensor] = {}

    @torch.no_grad()
    def add(self, network: nn.Module) -> None:
        """Counts the weights as they are now."""
        self.count += 1
        for name, weight in network.named_parameters():
            if self.count == 1:
                self.weights[name] = weight.detach().clone()
            else:
                self.weights[name].lerp_(weight, 1 / self.count)

    @contextmanager
    def in_place(self, network: nn.Module) -> Iterator[None]:
        """The mean stands in the network for the length of the block, if there is one yet."""
        if not self.count:
            yield
            return
        own = {name: value.clone() for name, value in network.state_dict().items()}
        network.load_state_dict({**own, **self.weights})
        try:
            yield
        finally:
            network.load_state_dict(own)

    def state_dict(self) -> dict[str, object]:
        """What `load_state_dict` goes on from."""
        return {"count": self.count, "weights": self.weights}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Goes on from what `state_dict` gave."""
        count, weights = state["count"], state["weights"]
        assert isinstance(count, int)  # noqa: S101 - written by state_dict
        assert isinstance(weights, dict)  # noqa: S101
        self.count, self.weights = count, weights


def stopped_falling(losses: Sequence[float], interval: int) -> bool:
    """Whether the newest loss is above the best of those more than ``interval`` reports old: the
    trigger of NT-ASGD (Merity et al. 2018, algorithm 1)."""
    return len(losses) > interval and losses[-1] > min(losses[:-interval])
