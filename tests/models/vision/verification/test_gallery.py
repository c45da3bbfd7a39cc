"""The gallery finds what brute force finds, says unknown, and survives the disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dragoman_models.bundle import read_bundle
from dragoman_models.embeddings.word_queries import SearchOptions
from dragoman_models.embeddings.word_vectors import WordVectors
from dragoman_models.errors import BundleError, InvalidInputError
from dragoman_models.registry import load_model
from dragoman_models.vision.verification.gallery import EmbeddingModel, Gallery

MODEL = EmbeddingModel(name="omniglot", version=1, threshold=0.8)


def unit_rows(count: int, dimensions: int, seed: int) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).normal(size=(count, dimensions))
    unit: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(
        np.float32
    )
    return unit


def small_gallery() -> tuple[Gallery, NDArray[np.float32]]:
    gallery, vectors = Gallery(MODEL), unit_rows(6, 8, seed=2)
    for label, vector in zip(("Ann", "Bo Li", "Ann", "Čiła", "Ann", "名"), vectors, strict=True):
        gallery.enrol(label, vector)
    return gallery, vectors


@settings(max_examples=40, deadline=None)
@given(
    pictures=st.lists(st.integers(0, 5), min_size=1, max_size=40),
    k=st.integers(1, 8),
    seed=st.integers(0, 2**20),
)
def test_the_nearest_labels_are_those_of_brute_force(
    pictures: list[int], k: int, seed: int
) -> None:
    vectors = unit_rows(len(pictures) + 1, 5, seed)
    gallery = Gallery(MODEL)
    for number, vector in zip(pictures, vectors[1:], strict=True):
        gallery.enrol(f"person {number}", vector * 3.5)  # lengths do not matter
    distances = np.linalg.norm(vectors[1:].astype(np.float64) - vectors[0], axis=1)
    expected = sorted(
        (min(d for d, own in zip(distances, pictures, strict=True) if own == number), number)
        for number in set(pictures)
    )[:k]
    found = gallery.nearest(vectors[0], k)
    assert [match.label for match in found.matches] == [f"person {n}" for _, n in expected]
    for match, (distance, number) in zip(found.matches, expected, strict=True):
        assert match.distance == pytest.approx(distance, abs=1e-6)
        assert match.pictures == pictures.count(number)
        assert match.within_threshold == (match.distance <= 0.8)
    assert (found.label is None) == (expected[0][0] > 0.8)


def test_a_picture_far_from_all_is_unknown() -> None:
    gallery, vectors = small_gallery()
    assert gallery.nearest(vectors[2]).label == "Ann"
    assert gallery.nearest(-vectors.mean(axis=0)).label is None
    strict = Gallery(MODEL, threshold=0.0)
    strict.enrol("Ann", vectors[0])
    assert strict.nearest(vectors[1], 1).label is None


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    gallery, vectors = small_gallery()
    assert gallery.save_next(tmp_path / "office") == tmp_path / "office/1"
    gallery.enrol("Dee", vectors[0] - vectors[1])
    assert gallery.save_next(tmp_path / "office") == tmp_path / "office/2"
    first, last = Gallery.load(tmp_path / "office/1"), Gallery.load(tmp_path / "office")
    assert (first.size, last.size) == (6, 7)
    assert last.labels == ("Ann", "Bo Li", "Čiła", "名", "Dee")
    assert (last.model, last.threshold) == (MODEL, 0.8)
    for vector in vectors:
        assert last.nearest(vector) == gallery.nearest(vector)
    last.check_model("omniglot", 1)


def test_the_embedding_service_can_serve_a_gallery(tmp_path: Path) -> None:
    gallery, vectors = small_gallery()
    gallery.save(tmp_path / "office/1")
    served = load_model(read_bundle(tmp_path / "office/1"))
    assert isinstance(served, WordVectors)
    (answer,) = served.nearest([vectors[4]], SearchOptions(k=1))
    assert not isinstance(answer, Exception)
    assert [neighbor.word for neighbor in answer.neighbors] == ["Ann#3"]


@pytest.mark.parametrize(("name", "version"), [("omniglot", 2), ("faces", 1)])
def test_vectors_of_another_model_are_refused(name: str, version: int) -> None:
    gallery, _ = small_gallery()
    with pytest.raises(InvalidInputError, match=r"'omniglot' version 1.*enrol the pictures anew"):
        gallery.check_model(name, version)


@pytest.mark.parametrize(
    ("label", "vector", "message"),
    [
        (" ", [1.0, 0], "label: has 0 characters"),
        ("x" * 201, [1.0, 0], "label: has 201 characters"),
        ("a\nb", [1.0, 0], "label: .*control characters"),
        ("Ann#2", [1.0, 0], "label: .*rename it"),
        ("Ann", [1.0, 0, 0], "vector: .*2 numbers"),
        ("Ann", [[1.0, 0]], "vector: .*shape"),
        ("Ann", [float("nan"), 1], "vector: must be finite"),
        ("Ann", [0.0, 0], "vector: .*all zeros"),
    ],
)
def test_what_cannot_be_enrolled_is_named(label: str, vector: list[float], message: str) -> None:
    gallery = Gallery(MODEL)
    gallery.enrol("somebody", [0.5, 1])
    with pytest.raises(InvalidInputError, match=message):
        gallery.enrol(label, vector)
    assert gallery.size == 1


def test_an_empty_gallery_and_wrong_options_are_refused(tmp_path: Path) -> None:
    gallery = Gallery(MODEL)
    for call in (lambda: gallery.nearest([1.0, 0]), lambda: gallery.save(tmp_path / "g/1")):
        with pytest.raises(InvalidInputError, match="gallery: is empty"):
            call()
    gallery.enrol("Ann", [1.0, 0])
    with pytest.raises(InvalidInputError, match="k: is 0"):
        gallery.nearest([1.0, 0], 0)
    with pytest.raises(InvalidInputError, match="threshold"):
        Gallery(MODEL, threshold=float("nan"))


def test_what_is_no_gallery_is_not_loaded(tmp_path: Path) -> None:
    gallery, _ = small_gallery()
    gallery.save(tmp_path / "office/1")
    with pytest.raises(BundleError, match="already exists"):
        gallery.save(tmp_path / "office/1")
    with pytest.raises(BundleError, match="there is no such folder"):
        Gallery.load(tmp_path / "office/7")
    with pytest.raises(BundleError, match="holds no gallery yet; enrol somebody first"):
        Gallery.load(tmp_path / "home")
    weights = tmp_path / "office/1/weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(BundleError, match="cut short"):
        Gallery.load(tmp_path / "office")
