"""Runs a folded detector by onnxruntime."""

from __future__ import annotations

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from dragoman_models.vision.detection.network import BOX_OUTPUTS, DetectorNetwork
from dragoman_models.vision.detection.onnx_graph import INPUT, detector_graph

Floats = NDArray[np.float32]


class OnnxNetwork:
    """Standardised images to logits, as `DetectorNetwork` gives them.

    It computes with as many threads as torch is set to when it is made.
    """

    def __init__(self, network: DetectorNetwork) -> None:
        self.config = network.config
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        # Threads that wait for work by spinning would take the time of other models.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            detector_graph(network).SerializeToString(),
            options,
            providers=["CPUExecutionProvider"],
        )

    def outputs(self, images: Floats) -> list[torch.Tensor]:
        """(B, 3, H, W) to, for each stride s, (B, A, H / s, W / s, 5 + classes)."""
        width = BOX_OUTPUTS + len(self.config.labels)
        shaped = []
        for raw in self._session.run(None, {INPUT: images}):
            batch, channels, rows, columns = raw.shape
            parts = raw.reshape(batch, channels // width, width, rows, columns)
            shaped.append(torch.from_numpy(parts.transpose(0, 1, 3, 4, 2)))
        return shaped
