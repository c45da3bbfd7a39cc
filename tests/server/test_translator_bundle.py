"""A real translator, small and untrained, from its bundle on disk to the answer of a call."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from dragoman.v1 import translation_service_pb2 as pb
from dragoman_models.bundle import read_bundle, write_bundle
from dragoman_models.registry import load_model
from dragoman_models.tokenizer import train_tokenizer
from dragoman_models.translation.config import NetworkConfig
from dragoman_models.translation.network import TranslationNetwork
from dragoman_models.translation.translator import TranslationOptions, Translator
from dragoman_server.model_repository import ModelRepository
from dragoman_server.model_version import ModelState
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


async def test_the_server_answers_what_the_model_answers(
    repository_folder: Path, server_with: ServerFactory
) -> None:
    repository = ModelRepository(find_bundles([repository_folder]))
    with ThreadPoolExecutor(1) as executor:
        await repository.load_all(executor)
    (version,) = repository.versions()
    assert (version.state, version.failure_reason) == (ModelState.READY, "")

    model = load_model(read_bundle(repository_folder / "tiny" / "1"))
    assert isinstance(model, Translator)
    options = TranslationOptions(beam_width=4, n_best=2, max_length=6, return_alignments=True)
    texts = ["the cat", "مرحبا 🦜", "un été à Zürich"]
    expected = model.translate(texts, options)

    asked = pb.TranslationOptions(
        beam_width=4, n_best=2, max_length=6, return_tokens=True, return_alignments=True
    )
    sources = [pb.TranslationSource(text=text) for text in [texts[0], "\x07", *texts[1:]]]
    async with server_with(versions=repository.versions()) as server:
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
