"""The exponential moving average of a network's weights and statistics over its updates."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class MovingAverage:
    """average += (1 - d) (weights - average), with d = min(decay, (1 + n) / (10 + n)) at update n,
    so that the first updates are soon forgotten."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.weights = {
            name: value.detach().clone() for name, value in network.state_dict().items()
        }

    @torch.no_grad()
    def add(self, network: nn.Module) -> None:
        """Counts the weights as they are now; whole numbers (counters) are copied."""
        self.updates += 1
        kept = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                self.weights[name].lerp_(value, 1 - kept)
            else:
                self.weights[name].copy_(value)

    def state_dict(self) -> dict[str, object]:
        """What `load_state_dict` goes on from."""
        return {"updates": self.updates, "weights": self.weights}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Goes on from what `state_dict` gave."""
        updates, weights = state["updates"], state["weights"]
        assert isinstance(updates, int)  # noqa: S101 - written by state_dict
        assert isinstance(weights, dict)  # noqa: S101
        self.updates = updates
        own: dict[str, Tensor] = weights
        self.weights = {name: value.clone() for name, value in own.items()}
