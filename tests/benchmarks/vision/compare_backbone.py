"""EfficientNet-Lite0 by torch and by onnxruntime: are features equal, and what do they cost?

    python tests/benchmarks/vision/compare_backbone.py models/efficientnet-lite0/1

The bundle is one that `dragoman import-classifier` wrote. Times are CPU time on one thread, medians
of rounds in which all ways take turns, so that what else the machine does meets all of them alike.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from dragoman_models.bundle import read_bundle
from dragoman_models.vision.classification.backbone_classifier import GRAPH, OnnxBackbone
from dragoman_models.vision.classification.imagenet_import import (
    PREPARATION,
    ClassifierBackbone,
    conversion_error,
    published_network,
)


def main() -> None:
    """Prints both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    graph = read_bundle(options.bundle).file(GRAPH)
    backbone = ClassifierBackbone(published_network())
    difference, largest = conversion_error(backbone, graph, PREPARATION)
    print(f"largest difference of a feature: {difference:.1e}; largest feature: {largest:.2f}")
    for count in (1, 8):
        measure(backbone, OnnxBackbone(graph), count, options.rounds)


def measure(backbone: ClassifierBackbone, converted: OnnxBackbone, count: int, rounds: int) -> None:
    """Prints the CPU time of `count` images in each way."""
    images = np.random.default_rng(1).normal(size=(count, 3, 224, 224)).astype(np.float32)
    plain = torch.from_numpy(images)
    last = plain.contiguous(memory_format=torch.channels_last)
    ways: dict[str, Callable[[], object]] = {
        "torch": lambda: backbone(plain),
        "torch, channels last": lambda: backbone(last),
        "onnxruntime": lambda: converted.features(images),
    }
    with torch.inference_mode():
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds + 1):
            for name, way in ways.items():
                began = time.process_time()
                way()
                if number:  # the first warms up
                    seconds[name].append(time.process_time() - began)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, median in medians.items():
        ratio = medians["torch"] / median
        each = 1000 * median / count
        print(f"{count} images, {name}: {each:.1f} ms an image, {ratio:.2f} x torch")


if __name__ == "__main__":
    main()
