"""`dragoman train classifier --images`: a folder of pictures becomes a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from dragoman_models.bundle import read_bundle, write_bundle
from dragoman_models.vision.classification.feature_cache import FeatureCache


@pytest.fixture
def backbone(tmp_path: Path) -> Path:
    """Mean colours as features."""
    shapes: dict[str, list[str | int]] = {"images": ["n", 3, 8, 8], "features": ["n", 3]}
    ends = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    ]
    nodes = [
        onnx.helper.make_node("GlobalAveragePool", ["images"], ["means"]),
        onnx.helper.make_node("Flatten", ["means"], ["features"]),
    ]
    graph = onnx.helper.make_graph(nodes, "mean_colours", ends[:1], ends[1:])
    opset = [onnx.helper.make_opsetid("", 18)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=9)
    preparation = {
        "height": 8, "width": 8, "channels": 3, "fitting": "crop", "crop_share": 1.0,
        "mean": [0.5] * 3, "deviation": [0.5] * 3, "negate_light": False,
    }  # fmt: skip
    write_bundle(
        tmp_path / "means" / "1",
        config={
            "family": "image_classifier", "network_kind": "backbone", "labels": ["a", "b"],
            "preparation": preparation,
        },
        tensors={"head.weight": np.zeros((2, 3), np.float16), "head.bias": np.zeros(2, np.float16)},
        files={"backbone.onnx": model.SerializeToString()},
        metrics={},
        card="# Means\n",
    )  # fmt: skip
    return tmp_path / "means" / "1"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    chance = np.random.default_rng(1)
    for channel, name in enumerate(("red", "green")):
        (folder / name).mkdir(parents=True)
        for number in range(8):
            pixels = chance.integers(0, 60, (9, 9, 3), dtype=np.uint8)
            pixels[..., channel] += 150
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    (folder / "red" / "broken.png").write_bytes(b"no image")
    return folder


def test_pictures_become_a_bundle(
    dragoman: Any, backbone: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    arguments = ["train", "classifier", "--images", str(images), "--backbone", str(backbone)]
    arguments += ["--out", str(out), "--test-share", "0.25"]
    with monkeypatch.context() as patch:
        write = FeatureCache._write

        def interrupted(self: FeatureCache) -> None:
            write(self)
            raise KeyboardInterrupt

        patch.setattr(FeatureCache, "_write", interrupted)
        done = dragoman(*arguments)
    assert done.code == 130
    assert "the same command with --resume goes on" in done.err
    done = dragoman(*arguments, "--resume")
    bundle = out / "models" / "my-classifier" / "1"
    assert (done.code, done.out) == (0, f"{bundle}\n")
    assert "broken.png: is no image that can be read" in done.err
    assert "2 classes; 10 images to learn from, 2 to choose by, 4 to measure on" in done.err
    assert "100.00 % right of those to measure on" in done.err
    command = read_bundle(bundle).metrics["command"]
    assert command.startswith("dragoman train classifier --images pictures --backbone means/1")
    assert str(tmp_path) not in command


def test_a_bundle_without_a_backbone_is_refused(
    dragoman: Any, images: Path, tmp_path: Path
) -> None:
    done = dragoman(
        "train", "classifier", "--images", str(images), "--backbone", str(tmp_path / "none" / "1"),
        "--out", str(tmp_path / "run"),
    )  # fmt: skip
    assert done.code == 1
    assert "there is no such folder" in done.err
