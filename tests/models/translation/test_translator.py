"""The translator as it is served: batches, options, and any text, with real networks."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from dragoman_models.errors import InvalidInputError
from dragoman_models.search.length_normalization import LengthNormalization
from dragoman_models.tokenizer import BOS, EOS, PAD, UNK, SubwordTokenizer
from dragoman_models.translation.config import NetworkConfig
from dragoman_models.translation.hypothesis import Hypothesis
from dragoman_models.translation.network import TranslationNetwork
from dragoman_models.translation.translation_options import TranslationOptions
from dragoman_models.translation.translator import Translator

SOURCES = [
    "Tom",
    "Il fait froid ce matin. " * 12,
    "Où est la gare ?",
    "🙂",
    "Le chat dort sur la table, et Marie mange une pomme à midi.",
    "שלום עולם",
    "Merci beaucoup !",
]


def ids_of(translator: Translator, hypothesis: Hypothesis) -> list[int]:
    tokenizer = translator.tokenizer
    pieces = tokenizer.pieces(range(tokenizer.vocabulary_size))
    return [pieces.index(token) for token in hypothesis.tokens]


def check_same(found: tuple[Hypothesis, ...], expected: tuple[Hypothesis, ...]) -> None:
    assert [one.tokens for one in found] == [one.tokens for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert (one.text, one.truncated) == (other.text, other.truncated)
        assert one.score == pytest.approx(other.score, abs=1e-4)
        assert one.token_log_probs == pytest.approx(other.token_log_probs, abs=1e-4)
        assert (one.attention is None) == (other.attention is None)
        if one.attention is not None and other.attention is not None:
            np.testing.assert_allclose(one.attention, other.attention, atol=1e-4)


@pytest.mark.parametrize("beam_width", [1, 4, 11])
def test_a_batch_gives_what_each_sentence_gives_alone(
    translator: Translator, beam_width: int
) -> None:
    options = TranslationOptions(
        beam_width=beam_width, n_best=min(beam_width, 3), max_length=30, return_alignments=True
    )
    together = translator.translate(SOURCES, options)
    assert len({answer[0].text for answer in together}) > 3  # they do depend on the source
    for source, answer in zip(SOURCES, together, strict=True):
        (alone,) = translator.translate([source], options)
        check_same(answer, alone)


def test_more_sentences_than_a_batch_holds(translator: Translator) -> None:
    """512 rows of hypotheses are decoded together: here 8 sentences of 64."""
    options = TranslationOptions(beam_width=64, max_length=6, return_alignments=True)
    sources = [f"Tom a {number} ans." for number in range(20)]
    together = translator.translate(sources, options)
    for index in (0, 7, 8, 19):
        check_same(together[index], translator.translate([sources[index]], options)[0])


@pytest.mark.parametrize("normalization", LengthNormalization)
def test_scores_are_those_of_teacher_forcing(
    translator: Translator, normalization: LengthNormalization
) -> None:
    """The same network, asked for the probability of the whole hypothesis at once."""
    options = TranslationOptions(
        beam_width=6, n_best=4, max_length=25, length_normalization=normalization,
        length_penalty=0.7,
    )  # fmt: skip
    for source, answer in zip(SOURCES, translator.translate(SOURCES, options), strict=True):
        assert 1 <= len(answer) <= 4
        assert len({one.text for one in answer}) == len(answer)
        scores = [one.score for one in answer]
        assert scores == sorted(scores, reverse=True)
        for one in answer:
            target = ids_of(translator, one)
            expected = teacher_forced(translator, source, target)
            np.testing.assert_allclose(one.token_log_probs, expected, atol=1e-4)
            assert one.log_prob == pytest.approx(sum(one.token_log_probs), abs=1e-4)
            length = len(target)
            divisor = {
                LengthNormalization.NONE: 1.0,
                LengthNormalization.AVERAGE: length,
                LengthNormalization.WU: ((5 + length) / 6) ** 0.7,
            }[normalization]
            assert one.score == pytest.approx(one.log_prob / divisor, rel=1e-6)


def teacher_forced(translator: Translator, source: str, target: list[int]) -> list[float]:
    ids = torch.tensor([[*translator.tokenizer.encode(source), EOS]])
    network = translator.network
    logits = network.logits(network(ids, torch.tensor([ids.size(1)]), torch.tensor([target])))
    log_probs = torch.log_softmax(logits[:, 0].double(), dim=-1)
    return [float(log_probs[t, token]) for t, token in enumerate(target)]


def test_width_one_is_a_greedy_loop(translator: Translator) -> None:
    network, options = translator.network, TranslationOptions(beam_width=1, max_length=25)
    for source, (answer,) in zip(SOURCES, translator.translate(SOURCES, options), strict=True):
        ids = torch.tensor([[*translator.tokenizer.encode(source), EOS]])
        memory, state = network.encode(ids, torch.tensor([ids.size(1)]))
        previous, tokens = BOS, list[int]()
        while len(tokens) < 25 and previous != EOS:
            logits, state, _ = network.step(torch.tensor([previous]), state, memory)
            logits[0, [PAD, UNK, BOS]] = -math.inf
            previous = int(logits[0].argmax())
            tokens.append(previous)
        expected = tokens if tokens[-1] == EOS else [*tokens, EOS]
        assert ids_of(translator, answer) == expected
        assert answer.truncated == (tokens[-1] != EOS)


def test_attention_rows_sum_to_one(translator: Translator) -> None:
    options = TranslationOptions(beam_width=3, max_length=15, return_alignments=True)
    for source, (answer,) in zip(SOURCES, translator.translate(SOURCES, options), strict=True):
        assert answer.attention is not None
        shape = len(answer.tokens), len(translator.source_tokens(source))
        assert answer.attention.shape == shape
        assert answer.attention.dtype == np.float32
        np.testing.assert_allclose(answer.attention.sum(axis=1), 1, atol=1e-5)
    (plain,) = translator.translate(["Tom"], TranslationOptions(beam_width=2, max_length=5))
    assert plain[0].attention is None


def test_tokens_end_with_eos_and_spell_the_text(translator: Translator) -> None:
    for answer in translator.translate(SOURCES, TranslationOptions(beam_width=4, max_length=9)):
        (one,) = answer
        assert one.tokens[-1] == "</s>"
        assert translator.tokenizer.decode(ids_of(translator, one)) == one.text
        assert len(one.tokens) <= 10
        assert one.truncated == (len(one.tokens) == 10)
    assert translator.source_tokens("Tom")[-1] == "</s>"


def test_a_cancelled_sentence_gets_no_answer(translator: Translator) -> None:
    options = TranslationOptions(beam_width=3, max_length=20)
    expected = translator.translate(SOURCES, options)
    found = translator.translate(SOURCES, options, cancelled=patient({1: 0, 4: 3}))
    for index, answer in enumerate(found):
        check_same(answer, () if index in (1, 4) else expected[index])


def patient(patience: dict[int, int]) -> Callable[[int], bool]:
    """Cancels the sentences named, each after it has been asked about so many times."""
    asked = dict.fromkeys(patience, 0)

    def cancelled(sentence: int) -> bool:
        if sentence not in asked:
            return False
        asked[sentence] += 1
        return asked[sentence] > patience[sentence]

    return cancelled


def test_work_stops_when_all_are_cancelled(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = 0
    step = TranslationNetwork.step

    def counted(network: TranslationNetwork, *arguments: torch.Tensor) -> object:
        nonlocal steps
        steps += 1
        return step(network, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(TranslationNetwork, "step", counted)
    options = TranslationOptions(beam_width=2)
    asked = patient(dict.fromkeys(range(len(SOURCES)), 2))  # before the batch, and at two steps
    assert translator.translate(SOURCES, options, cancelled=asked) == [()] * len(SOURCES)
    assert steps == 2
    assert translator.translate(SOURCES, options, cancelled=lambda _: True) == [()] * len(SOURCES)
    assert steps == 2


NAN = float("nan")


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        (TranslationOptions(), []),
        (TranslationOptions(beam_width=64, n_best=64, length_penalty=0.0, max_length=1), []),
        (TranslationOptions(beam_width=0), ["beam_width"]),
        (TranslationOptions(beam_width=-3), ["beam_width"]),
        (TranslationOptions(beam_width=65), ["beam_width"]),
        (TranslationOptions(beam_width=2, n_best=3), ["n_best"]),
        (TranslationOptions(n_best=0), ["n_best"]),
        (TranslationOptions(length_penalty=NAN), ["length_penalty"]),
        (TranslationOptions(length_penalty=math.inf), ["length_penalty"]),
        (TranslationOptions(length_penalty=-0.1), ["length_penalty"]),
        (TranslationOptions(max_length=0), ["max_length"]),
        (TranslationOptions(max_length=10_001), ["max_length"]),
        (
            TranslationOptions(beam_width=99, n_best=100, length_penalty=NAN, max_length=-1),
            ["beam_width", "n_best", "length_penalty", "max_length"],
        ),
    ],
)
def test_every_wrong_option_is_named(options: TranslationOptions, fields: list[str]) -> None:
    violations = options.violations()
    assert [violation.field for violation in violations] == fields
    assert all("; give " in violation.description for violation in violations)


def test_blank_sources_are_named_with_the_options(translator: Translator) -> None:
    sources = ["Tom", "", " \t\n\u3000", "\0\0", "\u200b", "."]
    with pytest.raises(InvalidInputError) as raised:
        translator.translate(sources, TranslationOptions(beam_width=0))
    fields = [violation.field for violation in raised.value.violations]
    assert fields == ["beam_width", "sources[1]", "sources[2]", "sources[3]", "sources[4]"]
    assert translator.translate([], TranslationOptions()) == []


@pytest.mark.parametrize(
    "source",
    [
        "🙂👩‍👩‍👧‍👦",
        "שלום عليكم",
        "\ud800 half",
        "a\0b\x1b[31m",
        "</s> <s> <pad>",
        "e" + "\u0301" * 300,
        "١٢٣",
    ],
)
def test_any_text_has_a_translation(translator: Translator, source: str) -> None:
    options = TranslationOptions(beam_width=2, max_length=12)
    ((answer,),) = translator.translate([source], options)
    assert math.isfinite(answer.score)
    assert answer.text.encode()


def test_two_thousand_words(translator: Translator) -> None:
    options = TranslationOptions(beam_width=2, max_length=40, return_alignments=True)
    source = "Le chat dort sur la table. " * 334
    long, short = translator.translate([source, "Tom"], options)
    assert long[0].attention is not None
    assert long[0].attention.shape == (len(long[0].tokens), len(translator.source_tokens(source)))
    check_same(short, translator.translate(["Tom"], options)[0])


def test_max_length_defaults_to_twice_the_source(
    make_network: Callable[[NetworkConfig], TranslationNetwork],
    small_config: NetworkConfig,
    tokenizer: SubwordTokenizer,
) -> None:
    network = make_network(small_config)
    network.output_bias[EOS] = -1e3  # never of its own accord
    endless = Translator(network, tokenizer, source_language="fr", target_language="en")
    for answer, source in zip(
        endless.translate(SOURCES[:3], TranslationOptions(beam_width=1)), SOURCES, strict=False
    ):
        assert answer[0].truncated
        assert len(answer[0].tokens) == 2 * len(endless.source_tokens(source)) + 20 + 1
