"""What the approximate index finds, what it misses, and when search falls back to exact."""

from pathlib import Path

import numpy as np
import pytest

from dragoman_models.bundle import read_bundle, write_bundle
from dragoman_models.embeddings.approximate_index import (
    ApproximateIndex,
    ApproximateOptions,
    IndexKind,
)
from dragoman_models.embeddings.quantization import VectorEncoding
from dragoman_models.embeddings.word_queries import (
    AnalogyQuestion,
    Neighbors,
    SearchMethod,
    SearchOptions,
)
from dragoman_models.embeddings.word_vectors import WordVectors
from dragoman_models.embeddings.word_vectors_bundle import APPROXIMATE_INDEX, write_word_vectors
from dragoman_models.errors import BundleError, InvalidInputError
from dragoman_models.registry import load_model
from dragoman_models.vocabulary import Vocabulary

SIZE = 1_000


def indexed(kind: IndexKind, seed: int = 1) -> WordVectors:
    matrix = np.random.default_rng(seed).standard_normal((SIZE, 8)).astype(np.float32)
    vectors = WordVectors(Vocabulary([f"w{i}" for i in range(SIZE)]), matrix)
    vectors.approximate = ApproximateIndex.build(vectors.index, ApproximateOptions(kind=kind))
    return vectors


@pytest.fixture(scope="module", params=IndexKind)
def vectors(request: pytest.FixtureRequest) -> WordVectors:
    return indexed(request.param)


def ask(vectors: WordVectors, words: list[str], **options: object) -> list[Neighbors]:
    search = SearchOptions(**{"method": SearchMethod.APPROXIMATE, **options})  # type: ignore[arg-type]
    answers = vectors.nearest(words, search)
    assert all(isinstance(answer, Neighbors) for answer in answers)
    return [answer for answer in answers if isinstance(answer, Neighbors)]


def test_nearly_all_neighbors_are_found_and_every_score_is_exact(vectors: WordVectors) -> None:
    words = [f"w{i}" for i in range(100)]
    exact = ask(vectors, words, method=SearchMethod.EXACT)
    found = ask(vectors, words)
    hits = 0
    for right, answer in zip(exact, found, strict=True):
        assert (right.method, answer.method) == (SearchMethod.EXACT, SearchMethod.APPROXIMATE)
        scores = {one.word: one.score for one in right.neighbors}
        hits += sum(one.word in scores for one in answer.neighbors)
        for one in answer.neighbors:
            assert scores.get(one.word, one.score) == one.score
        assert list(answer.neighbors) == sorted(answer.neighbors, key=lambda n: (-n.score, n.rank))
    assert hits / 1_000 > 0.97


def test_a_filter_by_rank_is_kept(vectors: WordVectors) -> None:
    for answer in ask(vectors, ["w900", "w3"], max_rank=600):
        assert answer.method is SearchMethod.APPROXIMATE
        assert len(answer.neighbors) == 10
        assert max(one.rank for one in answer.neighbors) <= 600


def test_few_candidates_and_many_answers_are_searched_exactly(vectors: WordVectors) -> None:
    for options in ({"max_rank": 50}, {"k": SIZE}, {"k": 600}, {"max_rank": 120, "k": 100}):
        (found,) = ask(vectors, ["w7"], **options)
        assert found.method is SearchMethod.EXACT
        assert found == ask(vectors, ["w7"], method=SearchMethod.EXACT, **options)[0]


def test_excluded_words_and_thresholds_hold(vectors: WordVectors) -> None:
    (everything,) = ask(vectors, ["w5"], k=30)
    gone = tuple(one.word for one in everything.neighbors[:20])
    (rest,) = ask(vectors, ["w5"], excluded_words=gone)
    assert not {one.word for one in rest.neighbors} & {*gone, "w5"}
    assert len(rest.neighbors) == 10
    (high,) = ask(vectors, ["w5"], min_score=0.8)
    assert all(one.score >= 0.8 for one in high.neighbors)


def test_analogies_by_addition_use_the_index(vectors: WordVectors) -> None:
    options = SearchOptions(method=SearchMethod.APPROXIMATE)
    (answer,) = vectors.analogy([AnalogyQuestion(a="w1", b="w2", c="w3")], options)
    assert isinstance(answer, Neighbors)
    assert answer.method is SearchMethod.APPROXIMATE


def test_without_an_index_the_field_is_named() -> None:
    plain = WordVectors(Vocabulary(["a"]), np.ones((1, 2), np.float32))
    with pytest.raises(InvalidInputError) as caught:
        plain.nearest(["a"], SearchOptions(k=1, method=SearchMethod.APPROXIMATE))
    assert [violation.field for violation in caught.value.violations] == ["method"]


def test_an_index_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    vectors = indexed(IndexKind.IVF)
    folder = tmp_path / "made" / "1"
    write_word_vectors(
        folder, vectors, encoding=VectorEncoding.FLOAT32, details={}, metrics={}, card="x"
    )
    bundle = read_bundle(folder)
    loaded = load_model(bundle)
    assert isinstance(loaded, WordVectors)
    assert loaded.approximate is not None
    other = WordVectors(Vocabulary(["a", "b"]), np.eye(2, dtype=np.float32))
    foreign = ApproximateIndex.build(other.index, ApproximateOptions()).to_bytes()
    for version, (data, reason) in enumerate(
        [(foreign, "indexes 2 x 2, not 1,000 x 8"), (b"junk", "is no index that faiss can read")], 2
    ):
        files = {"vocabulary.txt": bundle.file("vocabulary.txt"), APPROXIMATE_INDEX: data}
        write_bundle(
            tmp_path / "made" / str(version),
            config=bundle.config, tensors=bundle.numpy_tensors(), files=files, metrics={}, card="x",
        )  # fmt: skip
        with pytest.raises(BundleError) as caught:
            load_model(read_bundle(tmp_path / "made" / str(version)))
        assert caught.value.reason == f"nearest.faiss: {reason}"
