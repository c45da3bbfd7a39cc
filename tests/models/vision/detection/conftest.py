"""A small detector with random weights, and a small data set of drawn discs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.models.vision.detection.voc_writer import write_discs

from dragoman_models.vision.detection.config import DetectorConfig
from dragoman_models.vision.detection.network import DetectorNetwork, Head


@pytest.fixture(scope="session")
def config() -> DetectorConfig:
    """Two classes, two anchors a stride."""
    return DetectorConfig(
        labels=("dark", "light"),
        input_size=64,
        anchors=(((8, 8), (12, 10)), ((20, 20), (16, 30)), ((40, 40), (60, 30))),
        neck_channels=8,
    )


@pytest.fixture(scope="session")
def network(config: DetectorConfig) -> DetectorNetwork:
    """In use, not in training; its normalizations have seen something, and are no identities."""
    torch.manual_seed(5)
    made = DetectorNetwork(config)
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean = torch.randn(module.num_features) * 0.1
            module.running_var = torch.rand(module.num_features) + 0.5
            with torch.no_grad():
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.1)
    for head in made.heads:
        assert isinstance(head, Head)
        torch.nn.init.normal_(head.predict.weight, std=0.5)  # scores of all heights
    return made.eval()


@pytest.fixture(scope="session")
def discs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 12 images with dark and light discs and their boxes."""
    folder = tmp_path_factory.mktemp("discs")
    write_discs(folder, count=12, generator=np.random.default_rng(8))
    return folder
