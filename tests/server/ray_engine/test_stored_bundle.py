"""A bundle on its way to replicas: what arrives there is what lay in the folder."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.server.test_model_processes import write_translator
from tests.server.vision.fake_models import load_fake, write_fake

from dragoman_models.bundle import WEIGHTS, Bundle, read_bundle
from dragoman_models.errors import BundleError
from dragoman_models.weight_encoding import decode_weights
from dragoman_server.ray_engine.stored_bundle import StoredBundle, stored
from dragoman_server.workers.shared_bundle import SharedBundle, shared, whole


def arrived(bundle: Bundle, sent: Callable[[Bundle], SharedBundle]) -> StoredBundle:
    """What a process without the folder gets."""
    given = sent(bundle)
    try:
        found: StoredBundle = pickle.loads(pickle.dumps(stored(given)))  # noqa: S301
    finally:
        os.close(given.descriptor)
    return found


def test_weights_of_models_of_texts_arrive_in_float32(tmp_path: Path) -> None:
    write_translator(tmp_path / "tiny" / "1")
    bundle = read_bundle(tmp_path / "tiny" / "1")
    found = arrived(bundle, shared)
    expected = decode_weights(bundle.torch_tensors())
    tensors = found.torch_tensors()
    assert tensors.keys() == expected.keys()
    for name, tensor in tensors.items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, expected[name].float())
    assert WEIGHTS not in found.files
    assert found.file("tokenizer.model") == bundle.file("tokenizer.model")
    with pytest.raises(BundleError, match="has no file 'other'"):
        found.file("other")


def test_models_of_images_arrive_as_they_were_written(tmp_path: Path) -> None:
    write_fake(tmp_path / "image_classifier" / "1", "image_classifier")
    found = arrived(read_bundle(tmp_path / "image_classifier" / "1"), whole)
    for tensors in (found.numpy_tensors(), found.mapped_tensors(), found.torch_tensors()):
        weight = np.asarray(tensors["weight"])
        assert weight.dtype == np.int64
        np.testing.assert_array_equal(weight, np.arange(6).reshape(2, 3))
    assert load_fake(found)
