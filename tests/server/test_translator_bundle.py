"""A real translator, small and untrained, from its bundle on disk to the answer of a call."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
import torch

from dragoman.v1 import decoding_pb2
from dragoman.v1 import translation_service_pb2 as pb
from dragoman.v1.model_pb2 import ModelSelector
from dragoman_models.bundle import read_bundle, write_bundle
from dragoman_models.registry import load_model
from dragoman_models.search.beam_search import EarlyStopping
from dragoman_models.search.diverse_beams import DiverseBeams
from dragoman_models.search.length_normalization import LengthNormalization
from dragoman_models.search.sampling_options import SamplingOptions
from dragoman_models.tokenizer import train_tokenizer
from dragoman_models.translation.config import NetworkConfig
from dragoman_models.translation.network import TranslationNetwork
from dragoman_models.translation.translation_options import TranslationOptions
from dragoman_models.translation.translator import Translator
from dragoman_server.live_models import LiveModels
from dragoman_server.model_repository import ModelRepository
from dragoman_server.model_version import ModelState, ModelVersion
from dragoman_server.repository_scan import RepositoryFolders

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
    repository = ModelRepository(RepositoryFolders([folder]).scan().versions())
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
        "coverage_penalty": 0.25, "no_repeat_ngram_size": 2, "beam_width": 6, "n_best": 4,
        "repetition_penalty": 1.5,
    }  # fmt: skip
    options = TranslationOptions(
        **controls,  # type: ignore[arg-type]
        early_stopping=EarlyStopping.NEVER,
        banned_phrases=("e", "the dog"),
        diverse_beams=DiverseBeams(groups=2, strength=0.5),
    )
    texts, prefixes = ["the cat sat", "a dog ran", "a dog"], ["", "a cat", "a dog ran " * 9]
    required, banned = [["mat"], [], []], [[], ["a cat a", "b"], []]
    expected = model.translate(
        texts[:2], options, prefixes=prefixes[:2], required_phrases=required[:2],
        banned_phrases=banned[:2],
    )  # fmt: skip
    asked = pb.TranslationOptions(
        **controls,  # type: ignore[arg-type]
        early_stopping=decoding_pb2.EARLY_STOPPING_NEVER,
        banned_phrases=["e", "the dog"],
        diverse_beams=pb.DiverseBeamOptions(groups=2),
    )
    sources = [
        pb.TranslationSource(
            text=texts[i], target_prefix=prefixes[i], required_phrases=required[i],
            banned_phrases=banned[i],
        )
        for i in range(3)
    ]  # fmt: skip
    async with server_with(versions=[version]) as server:
        request = pb.TranslateRequest(sources=sources, options=asked)
        *good, bad = (await server.translation.Translate(request)).results
    for result, hypotheses in zip(good, expected, strict=True):
        assert [one.text for one in result.translation.hypotheses] == [h.text for h in hypotheses]
        scores = [one.score for one in result.translation.hypotheses]
        assert scores == pytest.approx([one.score for one in hypotheses], rel=1e-4)
    assert "sources[2].target_prefix: has" in bad.error.message


async def test_phrases_that_cannot_be_met_fail_their_source_alone(
    repository_folder: Path, server_with: ServerFactory
) -> None:
    version, _ = await loaded(repository_folder)
    phrases: list[dict[str, Any]] = [
        {"required_phrases": ["the cat sat on the mat"]},  # of 3 tokens at most
        {"required_phrases": ["ok", "a dog"], "banned_phrases": ["dog"]},
        {"required_phrases": [" "]},
        {"banned_phrases": ["a", "\u200b"]},
        {"required_phrases": ["a"] * 17},
        {"banned_phrases": ["a" * 201]},
        {},
    ]
    sources = [pb.TranslationSource(text="a dog", **one) for one in phrases]
    async with server_with(versions=[version]) as server:
        request = pb.TranslateRequest(
            sources=sources, options=pb.TranslationOptions(max_length=3, beam_width=2)
        )
        results = (await server.translation.Translate(request)).results
    fields = [
        "sources[0].required_phrases", "sources[1].required_phrases[1]",
        "sources[2].required_phrases[0]", "sources[3].banned_phrases[1]",
        "sources[4].required_phrases", "sources[5].banned_phrases[0]",
    ]  # fmt: skip
    for result, field in zip(results, fields, strict=False):
        assert result.error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
        assert result.error.message.startswith(f"{field}: "), result.error.message
    assert results[-1].translation.hypotheses


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


async def test_samples_are_those_of_the_seed_that_the_answer_tells(
    repository_folder: Path, server_with: ServerFactory
) -> None:
    version, model = await loaded(repository_folder)
    asked = pb.TranslationOptions(
        n_best=7, max_length=9, sampling=decoding_pb2.SamplingOptions(temperature=0.8, top_k=50)
    )
    texts = ["the cat", "a dog", "the cat"]
    sources = [pb.TranslationSource(text=text) for text in texts]
    request = pb.TranslateRequest(sources=sources, options=asked)
    async with server_with(versions=[version]) as server:
        drawn = [one.translation for one in (await server.translation.Translate(request)).results]
        request.options.sampling.seed = drawn[0].seed
        again = [one.translation for one in (await server.translation.Translate(request)).results]
    options = TranslationOptions(
        n_best=7, max_length=9, seed=drawn[0].seed,
        sampling=SamplingOptions(temperature=float(np.float32(0.8)), top_k=50),
    )  # fmt: skip
    expected = model.translate(texts, options)
    for first, second, hypotheses in zip(drawn, again, expected, strict=True):
        assert first == second
        assert first.HasField("seed")
        assert [one.text for one in first.hypotheses] == [one.text for one in hypotheses]
    assert list(drawn[0].hypotheses) == list(drawn[2].hypotheses)


async def test_options_of_a_search_and_wrong_filters_are_refused_beside_sampling(
    repository_folder: Path, server_with: ServerFactory
) -> None:
    version, _ = await loaded(repository_folder)
    sources = [pb.TranslationSource(text="the cat")]
    async with server_with(versions=[version]) as server:
        asked = pb.TranslationOptions(
            beam_width=5, early_stopping=decoding_pb2.EARLY_STOPPING_NEVER,
            sampling=decoding_pb2.SamplingOptions(),
        )  # fmt: skip
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.translation.Translate(pb.TranslateRequest(sources=sources, options=asked))
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        for name in ("beam_width", "early_stopping"):
            assert f"options.{name}: belongs to beam search" in str(caught.value.details())
        asked = pb.TranslationOptions(sampling=decoding_pb2.SamplingOptions(top_p=1.5), n_best=65)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.translation.Translate(pb.TranslateRequest(sources=sources, options=asked))
        assert "options.sampling.top_p: is 1.5" in str(caught.value.details())
        assert "options.n_best: is 65; give 1 to 64 with sampling" in str(caught.value.details())


async def test_split_texts_and_word_links_are_those_of_the_model(
    repository_folder: Path, server_with: ServerFactory
) -> None:
    version, model = await loaded(repository_folder)
    text = " The cat sat.\n\nA dog ran! 🙂 Brown foxes"
    options = TranslationOptions(
        n_best=2, max_length=6, return_alignments=True, split_sentences=True
    )
    (expected,) = model.translate([text], options)
    asked = pb.TranslationOptions(
        n_best=2, max_length=6, return_alignments=True,
        sentence_splitting=pb.SENTENCE_SPLITTING_AT_SENTENCE_ENDS,
    )  # fmt: skip
    request = pb.TranslateRequest(sources=[pb.TranslationSource(text=text)], options=asked)
    async with server_with(versions=[version]) as server:
        (result,) = (await server.translation.Translate(request)).results
    tokens = model.source_tokens(text, split_sentences=True)
    assert result.translation.source_token_count == len(tokens)
    for got, wanted in zip(result.translation.hypotheses, expected, strict=True):
        assert got.text == wanted.text
        assert got.text.count("\n") >= 2
        assert tuple(got.alignment.source_tokens) == tokens
        assert len(got.alignment.weights) == len(tokens) * len(wanted.tokens)
        links = [
            ((x.source.start, x.source.end), (x.target.start, x.target.end))
            for x in got.alignment.word_links
        ]
        assert links == [(x.source, x.target) for x in wanted.word_links]


@pytest.mark.parametrize(
    ("asked", "divided"),
    [
        (pb.SENTENCE_SPLITTING_UNSPECIFIED, True),
        (pb.SENTENCE_SPLITTING_AT_SENTENCE_ENDS, True),
        (pb.SENTENCE_SPLITTING_WHOLE_TEXT, False),
    ],
)
async def test_texts_are_divided_unless_that_is_turned_off(
    repository_folder: Path,
    server_with: ServerFactory,
    asked: pb.SentenceSplitting.ValueType,
    divided: bool,
) -> None:
    version, model = await loaded(repository_folder)
    text = "The cat sat. A dog ran! Brown foxes"
    request = pb.TranslateRequest(
        sources=[pb.TranslationSource(text=text)],
        options=pb.TranslationOptions(max_length=6, sentence_splitting=asked),
    )
    async with server_with(versions=[version]) as server:
        (result,) = (await server.translation.Translate(request)).results
    by_choice = {
        choice: model.translate([text], TranslationOptions(max_length=6, split_sentences=choice))
        for choice in (False, True)
    }
    assert by_choice[False][0][0].text != by_choice[True][0][0].text
    assert result.translation.hypotheses[0].text == by_choice[divided][0][0].text


async def test_an_ensemble_names_its_models_and_refuses_what_does_not_fit(
    repository_folder: Path, server_with: ServerFactory
) -> None:
    version, model = await loaded(repository_folder)
    strange = copy.copy(model)
    strange.texts = replace(model.texts, source_language="de")
    versions = [version, replace(version, name="strange", model=strange)]
    sources = [pb.TranslationSource(text="the cat sat")]

    def asking(*partners: ModelSelector) -> pb.TranslateRequest:
        options = pb.TranslationOptions(max_length=6, ensemble_models=partners)
        return pb.TranslateRequest(
            model=ModelSelector(name="tiny"), sources=sources, options=options
        )

    tiny = ModelSelector(name="tiny", version=1)
    async with server_with(versions=versions) as server:
        alone = await server.translation.Translate(asking())
        twice = await server.translation.Translate(asking(tiny))
        assert [(one.name, one.version) for one in twice.ensemble_models] == [("tiny", 1)]
        one, both = (r.results[0].translation.hypotheses[0] for r in (alone, twice))
        assert one.text == both.text
        assert one.log_prob == pytest.approx(both.log_prob, abs=1e-4)
        for partners, problem in (
            (
                [tiny, ModelSelector(name="strange")],
                r"options.ensemble_models\[1\]: translates de-en",
            ),
            ([ModelSelector(name="../x")], r"options.ensemble_models\[0\].name: is '../x'"),
            ([ModelSelector()], r"options.ensemble_models\[0\].name: is empty"),
            ([tiny] * 8, r"options.ensemble_models: has 8 models; give at most 7"),
            ([ModelSelector(name="missing")], "no model is named 'missing'"),
        ):
            with pytest.raises(grpc.aio.AioRpcError, match=problem):
                await server.translation.Translate(asking(*partners))

        async def messages() -> AsyncIterator[pb.TranslateStreamRequest]:
            config = pb.TranslateStreamConfig(
                model=ModelSelector(name="tiny"), options=asking(tiny).options
            )
            yield pb.TranslateStreamRequest(config=config)
            yield pb.TranslateStreamRequest(item=pb.TranslateStreamItem(source=sources[0]))

        *_, last = [one async for one in server.translation.TranslateStream(messages())]
        assert [one.name for one in last.summary.ensemble_models] == ["tiny"]
