"""A residual network, ready to answer: its normalizations folded, in float32."""

from __future__ import annotations

import torch

from dragoman_models.vision.classification.network import ResidualNetwork
from dragoman_models.vision.classification.preparation import Floats


class ResidualLogits:
    """Runs a folded network; channels stand last in memory, as convolutions like them."""

    def __init__(self, network: ResidualNetwork) -> None:
        network.eval()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def logits(self, images: Floats) -> Floats:
        """(N, channels, height, width) -> (N, classes)."""
        batch = torch.from_numpy(images).contiguous(memory_format=torch.channels_last)
        answer: Floats = self.network(batch).numpy()
        return answer
