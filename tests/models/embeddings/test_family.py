"""The family "word-vectors": bundles written, read and refused; the shipped one is right."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dragoman_models
from dragoman_models.bundle import read_bundle, write_bundle
from dragoman_models.embeddings.family import WordVectorsFamily
from dragoman_models.embeddings.quantization import VectorEncoding
from dragoman_models.embeddings.word_queries import (
    AnalogyMethod,
    AnalogyQuestion,
    Neighbors,
    SearchOptions,
    WordSimilarity,
)
from dragoman_models.embeddings.word_vectors import WordVectors
from dragoman_models.embeddings.word_vectors_bundle import write_word_vectors
from dragoman_models.errors import BundleError
from dragoman_models.registry import load_model
from dragoman_models.vocabulary import Vocabulary

PRETRAINED = Path(dragoman_models.__file__).parent / "pretrained"
SHIPPED = PRETRAINED / "glove-100d" / "1"
WORDS = ["été", "東京", "🙂", "a b", "\r", "\u2028", "nul\0"]


@pytest.fixture(scope="module")
def shipped() -> WordVectors:
    model = load_model(read_bundle(SHIPPED))
    assert isinstance(model, WordVectors)
    return model


@pytest.mark.parametrize("encoding", VectorEncoding)
def test_words_in_any_script_survive_the_bundle(tmp_path: Path, encoding: VectorEncoding) -> None:
    matrix = np.random.default_rng(1).standard_normal((len(WORDS), 5)).astype(np.float32)
    vectors = WordVectors(Vocabulary(WORDS), matrix)
    folder = tmp_path / "tiny" / "1"
    write_word_vectors(
        folder, vectors, encoding=encoding, details={"license": "CC0-1.0"}, metrics={}, card="# T\n"
    )
    bundle = read_bundle(folder)
    assert bundle.config["license"] == "CC0-1.0"
    model = load_model(bundle)
    assert isinstance(model, WordVectors)
    assert list(model.vocabulary) == WORDS
    largest = {"int8-rows": 1 / 127, "int16-rows": 1 / 32_767, "float32": 0}[encoding.value]
    np.testing.assert_allclose(model.index.matrix, matrix, atol=np.abs(matrix).max() * largest)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"encoding": "int4"}, "config.json: encoding is 'int4'; known are: float32, int16-rows"),
        ({"encoding": None}, "config.json: encoding is None"),
        ({"encoding": "int8-rows"}, "weights.safetensors: the tensors must be"),
        ({"dimensions": 3}, "config.json says dimensions 3; the files have 2"),
        ({"vocabulary_size": "2"}, "config.json says vocabulary_size '2'; the files have 2"),
        ({"vocabulary.txt": b"a\n"}, "weights.safetensors: 1 words do not fit 2 vectors"),
        ({"vocabulary.txt": b"a\na\n"}, "vocabulary.txt: line 2 repeats the word 'a' of line 1"),
        ({"vocabulary.txt": None}, "the bundle has no file 'vocabulary.txt'"),
        ({"vectors": np.full((2, 2), np.nan, np.float32)}, "weights.safetensors: row 0 holds"),
        ({"vectors": np.ones((2, 2), np.float16)}, "weights.safetensors: vectors must be float32"),
    ],
)
def test_contents_that_do_not_fit_are_refused(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    parts: dict[str, Any] = {
        "family": "word-vectors", "encoding": "float32", "vocabulary_size": 2, "dimensions": 2,
        "vocabulary.txt": b"a\nb\n", "vectors": np.ones((2, 2), np.float32),
    } | changes  # fmt: skip
    words, vectors = parts.pop("vocabulary.txt"), parts.pop("vectors")
    folder = tmp_path / "tiny" / "1"
    write_bundle(
        folder,
        config=parts,
        tensors={"vectors": vectors},
        files={} if words is None else {"vocabulary.txt": words},
        metrics={},
        card="# T\n",
    )
    with pytest.raises(BundleError) as caught:
        WordVectorsFamily().load(read_bundle(folder))
    assert caught.value.reason.startswith(reason)


def test_the_shipped_vectors_know_that_king_minus_man_plus_woman_is_queen(
    shipped: WordVectors,
) -> None:
    question = AnalogyQuestion(a="man", b="king", c="woman")
    for method in AnalogyMethod:
        (answer,) = shipped.analogy([question], SearchOptions(k=3), method)
        assert isinstance(answer, Neighbors)
        assert answer.neighbors[0].word == "queen"


def test_the_shipped_vectors_find_paris_in_lowercase(shipped: WordVectors) -> None:
    paris, tokyo = shipped.similarity([("Paris", "France"), ("Paris", "cheese")])
    assert isinstance(paris, WordSimilarity)
    assert isinstance(tokyo, WordSimilarity)
    assert paris.first.matched_word == "paris"
    assert paris.cosine > tokyo.cosine


def test_the_shipped_bundle_is_what_its_card_says(shipped: WordVectors) -> None:
    bundle = read_bundle(SHIPPED)
    assert (shipped.vocabulary_size, shipped.dimensions) == (100_000, 100)
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 12_000_000
    analogies = bundle.metrics["shipped"]["google_analogies"]
    assert abs(analogies["accuracy"] - 0.633) < 0.01
    for phrase in ("PDDL", "Pennington", "Limits", bundle.metrics["command"]):
        assert phrase in bundle.card
    assert f"{100 * analogies['accuracy']:.2f} % right" in bundle.card


def test_word_vectors_load_without_torch() -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from dragoman_models.bundle import read_bundle\n"
        "from dragoman_models.registry import load_model\n"
        "load_model(read_bundle(Path(sys.argv[1]))); print('torch' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(SHIPPED)], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert run.stdout.strip() == "False"


def test_the_shipped_word2vec_vectors_are_of_their_books() -> None:
    bundle = read_bundle(PRETRAINED / "word2vec-books" / "1")
    model = load_model(bundle)
    assert isinstance(model, WordVectors)
    assert bundle.config["license"] == "CC0-1.0"
    assert bundle.config["hyperparameters"]["method"] == "word2vec"
    answers = model.nearest(["whale", "Athens", "seven"], SearchOptions(k=3))
    found = [{n.word for n in a.neighbors} for a in answers if isinstance(a, Neighbors)]
    assert [near & {"sperm", "athenian", "eight"} for near in found] == [
        {"sperm"}, {"athenian"}, {"eight"},
    ]  # fmt: skip
    (answer,) = model.analogy([AnalogyQuestion(a="man", b="king", c="woman")], SearchOptions(k=1))
    assert isinstance(answer, Neighbors)
    assert answer.neighbors[0].word == "queen"
