"""A real translator, small and untrained, from its bundle on disk to the answer of a call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import numpy as np
import pytest
import torch

from dragoman.v1 import decoding_pb2
from dragoman.v1 import translation_service_pb2 as pb
from dragoman_models.bundle import read_bundle, write_bundle
from dragoman_models.registry import load_model
from dragoman_models.search.beam_search import EarlyStopping
from dragoman_models.search.length_normalization import LengthNormalization
from dragoman_models.tokenizer import train_tokenizer
from dragoman_models.translation.config import NetworkConfig
from dragoman_models.translation.network import TranslationNetwork
from dragoman_models.translation.translator import TranslationOptions, Translator
from dragoman_server.live_models import LiveModels
from dragoman_server.model_repository import ModelRepository
from dragoman_server.model_version import ModelState, ModelVersion
from dragoman_server.repository_scan import find_bundles

if TYPE_CHECKING:
    from tests.server.conftest import ServerFactory

TEXTS = ("the cat sat on the mat", "a dog ran in the park", "quick brown foxes jump")
PIECES = 284


@pytest.fixture(scope="module")
def repository_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the translator "tiny"."""
    folder = tmp_path_factory.mktemp("repository")
    tokenizer = train_tokenizer(TEXTS * 20, vocabulary_size=PIECES)
    config = NetworkConfig(
        vocabulary_size=PIECES, embedding_size=8, encoder_size=8, decoder_size=16
    )
    torch.manual_seed(7)
    write_bundle(
        folder / "tiny" / "1",
        config={
            "family": "translation",
            "network": config.model_dump(),
            "source_languages": ["fr"],
            "target_languages": ["en"],
        },
        tensors=TranslationNetwork(config).state_dict(),
        files={"tokenizer.model": tokenizer.model_bytes},
        metrics={},
        card="# Tiny\n",
    )
    return folder


async def loaded(folder: Path) -> tuple[ModelVersion, Translator]:
    """The translator in ``folder`` as the server has it, and as it is without a server."""
    repository = ModelRepository(find_bundles([folder]))
    await LiveModels(repository).load_all()
    (version,) = repository.versions()
    assert (version.state, version.failure_reason) == (ModelState.READY, "")
    model = load_model(read_bundle(folder / "tiny" / "1"))
    assert isinstance(model, Translator)
    return version, model


async def test_the_server_answers_what_the_model_answers(
    repository_folder: Path, server_with: ServerFactory
) -> None:
    version, model = await loaded(repository_folder)
    options = TranslationOptions(beam_width=4, n_best=2, max_length=6, return_alignments=True)
    texts = ["the cat", "مرحبا 🦜", "un été à Zürich"]
    expected = model.translate(texts, options)

    asked = pb.TranslationOptions(
        beam_width=4, n_best=2, max_length=6, return_tokens=True, return_alignments=True
    )
    sources = [pb.TranslationSource(text=text) for text in [texts[0], "\x07", *texts[1:]]]
    async with server_with(versions=[version]) as server:
        request = pb.TranslateRequest(sources=sources, options=asked)
        response = await server.translation.Translate(request)
    good = [result.translation for result in response.results if result.HasField("translation")]
    assert [result.HasField("error") for result in response.results] == [False, True, False, False]
    for text, answer, hypotheses in zip(texts, good, expected, strict=True):
        assert [one.text for one in answer.hypotheses] == [one.text for one in hypotheses]
        for got, wanted in zip(answer.hypotheses, hypotheses, strict=True):
            assert tuple(got.tokens) == wanted.tokens
            assert got.score == pytest.approx(wanted.score, rel=1e-4)
            assert tuple(got.alignment.source_tokens) == model.source_tokens(text)
            assert wanted.attention is not None
            weights = np.reshape(got.alignment.weights, wanted.attention.shape)
            np.testing.assert_allclose(weights, wanted.attention, atol=1e-5)
        assert answer.source_token_count == len(model.source_tokens(text))


async def test_every_control_reaches_the_search(
    repository_folder: Path, server_with: ServerFactory
) -> None:
    version, model = await loaded(repository_folder)
    controls = {
        "min_length": 2, "max_length": 9, "min_length_ratio": 0.5, "max_length_ratio": 1.5,
        "coverage_penalty": 0.25, "no_repeat_ngram_size": 2, "beam_width": 3, "n_best": 3,
    }  # fmt: skip
    options = TranslationOptions(**controls, early_stopping=EarlyStopping.NEVER)  # type: ignore[arg-type]
    texts, prefixes = ["the cat sat", "a dog ran", "a dog"], ["", "a cat", "a dog ran " * 9]
    expected = model.translate(texts[:2], options, prefixes=prefixes[:2])
    asked = pb.TranslationOptions(
        **controls,  # type: ignore[arg-type]
        early_stopping=decoding_pb2.EARLY_STOPPING_NEVER,
    )
    sources = [
        pb.TranslationSource(text=text, target_prefix=prefix)
        for text, prefix in zip(texts, prefixes, strict=True)
    ]
    async with server_with(versions=[version]) as server:
        request = pb.TranslateRequest(sources=sources, options=asked)
        *good, bad = (await server.translation.Translate(request)).results
    for result, hypotheses in zip(good, expected, strict=True):
        assert [one.text for one in result.translation.hypotheses] == [h.text for h in hypotheses]
        scores = [one.score for one in result.translation.hypotheses]
        assert scores == pytest.approx([one.score for one in hypotheses], rel=1e-4)
    assert "sources[2].target_prefix: has" in bad.error.message


async def test_targets_are_scored_in_order_with_bad_pairs_in_their_slots(
    repository_folder: Path, server_with: ServerFactory
) -> None:
    version, model = await loaded(repository_folder)
    pairs = [("the cat", "a dog"), (" ", "x"), ("a dog", ""), ("a", "y" * 10_001)]
    expected = model.score_targets([pairs[0], pairs[2]], normalization=LengthNormalization.AVERAGE)
    request = pb.ScoreTargetRequest(
        pairs=[pb.TranslationPair(source=source, target=target) for source, target in pairs],
        length_normalization=decoding_pb2.LENGTH_NORMALIZATION_AVERAGE,
        return_tokens=True,
        return_alignments=True,
    )
    async with server_with(versions=[version]) as server:
        results = (await server.translation.ScoreTarget(request)).results
        with pytest.raises(grpc.aio.AioRpcError, match=r"length_penalty: is 11.0"):
            await server.translation.ScoreTarget(
                pb.ScoreTargetRequest(pairs=request.pairs, length_penalty=11)
            )
    assert [result.HasField("error") for result in results] == [False, True, False, True]
    assert "pairs[1].source" in results[1].error.message
    assert "pairs[3].target: has 10,001 characters" in results[3].error.message
    for result, wanted in zip([results[0], results[2]], expected, strict=True):
        got = result.hypothesis
        assert (got.text, tuple(got.tokens)) == (wanted.text, wanted.tokens)
        assert got.score == pytest.approx(wanted.score, rel=1e-4)
        assert tuple(got.token_log_probs) == pytest.approx(wanted.token_log_probs, rel=1e-4)
        assert wanted.attention is not None
        assert len(got.alignment.weights) == wanted.attention.size
