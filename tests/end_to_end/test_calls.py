"""Every call through the real client, checked against what the answers must have in common."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from dragoman_client import (
    AsyncClient,
    BleuTokenizer,
    Client,
    DragomanClientError,
    FinishReason,
    HealthStatus,
    InvalidRequestError,
    LengthNormalization,
    ModelState,
    ModelVersion,
    NotFoundError,
    ScoringOptions,
    SearchOptions,
    Similarity,
    Translation,
    TranslationMetric,
    TranslationOptions,
    WordLookup,
    WordMatch,
    WordVector,
)

TRANSLATOR = "babel"
TEXTS = ["the cat sees the dog.", "Jane", "a new book in the old house and on the cat."]


def vectors(client: Client, words: list[str]) -> np.ndarray:
    """Vectors of words as float64, (words, dimensions)."""
    found = client.embed(words)
    return np.array([one.values for one in found if isinstance(one, WordVector)], dtype=np.float64)


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def test_similarity_is_the_cosine_of_the_vectors(client: Client) -> None:
    king, queen, apple = vectors(client, ["king", "queen", "apple"])
    # The server compares 8-bit vectors; so are these, one by one.
    assert client.similarity("king", "queen").cosine == pytest.approx(cosine(king, queen), abs=1e-5)
    pairs = client.similarity([("king", "apple"), ("apple", "king"), ("king", "king")])
    cosines = [one.cosine for one in pairs if isinstance(one, Similarity)]
    assert cosines == pytest.approx([cosine(king, apple)] * 2 + [1.0], abs=1e-5)


def test_normalized_vectors_have_length_one(client: Client) -> None:
    vector = client.embed("king", normalize=True)
    assert len(vector.values) == 100
    assert np.linalg.norm(vector.values) == pytest.approx(1.0, abs=1e-5)
    assert vector.word.match is WordMatch.EXACT
    assert vector.model == ModelVersion(name="glove-100d", version=1)


def test_nearest_words_are_in_order_and_without_the_query(client: Client) -> None:
    found = client.nearest("king", options=SearchOptions(k=5))
    scores = [neighbor.score for neighbor in found.neighbors]
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)
    words = [neighbor.word for neighbor in found.neighbors]
    assert "king" not in words
    king, *others = vectors(client, ["king", *words])
    assert scores == pytest.approx([cosine(king, other) for other in others], abs=1e-5)
    options = SearchOptions(k=1, include_query_words=True)
    assert client.nearest("king", options=options).neighbors[0].word == "king"


def test_analogies(client: Client) -> None:
    best = client.analogy("man", "king", "woman").neighbors[0]
    assert best.word == "queen"
    questions = [("paris", "france", "tokyo"), ("walk", "walking", "swim")]
    answers = client.analogy(questions, options=SearchOptions(k=1))
    words = [one.neighbors[0].word for one in answers if not isinstance(one, DragomanClientError)]
    assert words == ["japan", "swimming"]


def test_case_is_a_stated_fallback(client: Client) -> None:
    assert client.embed("King").word.match is WordMatch.IGNORING_CASE
    with pytest.raises(NotFoundError):
        client.embed("King", lookup=WordLookup.EXACT)


def test_a_translation_is_the_same_alone_and_in_a_batch(client: Client) -> None:
    options = TranslationOptions(beam_width=3)
    batch = client.translate(TEXTS, model=TRANSLATOR, options=options)
    for text, together in zip(TEXTS, batch, strict=True):
        assert isinstance(together, Translation)
        alone = client.translate(text, model=TRANSLATOR, options=options)
        assert alone.text == together.text
        assert alone.hypotheses[0].score == pytest.approx(together.hypotheses[0].score, abs=1e-4)
        assert alone.source_token_count == together.source_token_count
        assert alone.model == ModelVersion(name=TRANSLATOR, version=1)


def test_several_translations_with_tokens_and_alignments(client: Client) -> None:
    options = TranslationOptions(
        beam_width=4, n_best=3, max_length=9, return_tokens=True, return_alignments=True,
        length_normalization=LengthNormalization.AVERAGE,
    )  # fmt: skip
    found = client.translate("the old cat", model=TRANSLATOR, options=options)
    assert 1 <= len(found.hypotheses) <= 3
    scores = [hypothesis.score for hypothesis in found.hypotheses]
    assert scores == sorted(scores, reverse=True)
    for hypothesis in found.hypotheses:
        assert hypothesis.finish_reason is FinishReason.MAX_LENGTH
        assert len(hypothesis.tokens) == len(hypothesis.token_log_probs) == 10
        assert sum(hypothesis.token_log_probs) == pytest.approx(hypothesis.log_prob, abs=1e-3)
        assert hypothesis.score == pytest.approx(hypothesis.log_prob / 10, abs=1e-4)
        assert hypothesis.alignment is not None
        weights = np.array(hypothesis.alignment.weights)
        assert weights.shape == (10, found.source_token_count)
        assert weights.sum(axis=1) == pytest.approx(np.ones(10), abs=1e-4)
        assert hypothesis.alignment.target_tokens == hypothesis.tokens


@pytest.mark.parametrize(
    "text",
    [
        "\u05e9\u05dc\u05d5\u05dd \u200f\u0639\u0631\u0628\u064a",  # right to left
        "🙂👩‍👩‍👧‍👦 e\u0301 \ufeff",
        "a\0b",
        "zzyzx qwghlm \U0001f9ff\u0b85",  # nothing of it in the vocabulary
        "x" * 10_000,
        "one\ntwo\r\n\tthree",
    ],
    ids=["right-to-left", "emoji", "NUL", "unknown", "longest", "line breaks"],
)
def test_any_text_is_translated(client: Client, text: str) -> None:
    options = TranslationOptions(beam_width=1, max_length=3)
    assert client.translate(text, model=TRANSLATOR, options=options).source_token_count >= 2


def test_scores_are_those_of_sacrebleu(client: Client) -> None:
    hypotheses = ["The cat sat on the mat.", "", "Hello, world!", "Ein Satz ohne Sinn"]
    references = ["The cat is on the mat.", "Nothing.", "hello world", "Ein Satz mit Sinn."]
    found = client.score(hypotheses, references)
    for ours, metric in ((found.bleu, BLEU()), (found.chrf, CHRF()), (found.ter, TER())):
        assert ours is not None
        assert ours.score == metric.corpus_score(hypotheses, [references]).score
        assert ours.signature == str(metric.get_signature())
    options = ScoringOptions(
        metrics=(TranslationMetric.BLEU,), lowercase=True, bleu_tokenizer=BleuTokenizer.CHAR
    )
    found = client.score(hypotheses, references, options=options)
    expected = BLEU(lowercase=True, tokenize="char").corpus_score(hypotheses, [references])
    assert found.bleu is not None
    assert found.bleu.score == expected.score
    assert (found.chrf, found.ter, found.segment_count) == (None, None, 4)


def test_models_are_listed_with_what_was_refused(client: Client) -> None:
    models = {model.name: model for model in client.list_models()}
    assert models["glove-100d"].state is ModelState.READY
    assert models["glove-100d"].dimensions == 100
    assert models[TRANSLATOR].source_languages == ("fr",)
    assert models[TRANSLATOR].services == ("dragoman.v1.TranslationService",)
    assert models["damaged"].state is ModelState.FAILED
    assert "weights.safetensors" in models["damaged"].failure_reason
    failed = client.list_models(states=[ModelState.FAILED])
    assert [model.name for model in failed] == ["damaged"]
    words = client.list_models(family="word-vectors")
    assert {model.family for model in words} == {"word-vectors"}


def test_a_model_has_a_card(client: Client) -> None:
    assert client.get_model(TRANSLATOR).card == "# babel\n\nRandom weights, to test with.\n"
    named = client.get_model(ModelVersion(name="glove-100d", version=1))
    assert named.info.current
    assert "GloVe" in named.card


def test_health(client: Client) -> None:
    client.wait_until_ready(timeout=60)
    for service in ("", "dragoman.v1.EmbeddingService", "dragoman.v1.TranslationService",
                    "dragoman.v1.EvaluationService", "dragoman.v1.ModelService"):  # fmt: skip
        assert client.check_health(service) is HealthStatus.SERVING
    with pytest.raises(NotFoundError):
        client.check_health("dragoman.v1.Nothing")


async def test_the_asynchronous_client_gives_the_same(server: object, client: Client) -> None:
    options = TranslationOptions(beam_width=2)
    async with AsyncClient(client.address) as other:
        await other.wait_until_ready(timeout=60)
        similarity, answer, batch, models = await asyncio.gather(
            other.similarity("king", "queen"),
            other.analogy("man", "king", "woman"),
            other.translate([*TEXTS, " "], model=TRANSLATOR, options=options),
            other.list_models(),
        )
    assert similarity == client.similarity("king", "queen")
    assert answer == client.analogy("man", "king", "woman")
    assert models == client.list_models()
    *translated, blank = batch
    assert isinstance(blank, InvalidRequestError)
    for text, found in zip(TEXTS, translated, strict=True):
        assert isinstance(found, Translation)
        assert found.text == client.translate(text, model=TRANSLATOR, options=options).text
