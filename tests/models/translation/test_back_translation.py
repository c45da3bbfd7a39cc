"""Synthetic pairs: filtered, without a sentence that is measured with, and resumable."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman_models.errors import TrainingError
from dragoman_models.translation import back_translation
from dragoman_models.translation.back_translation import (
    Progress,
    SyntheticOptions,
    SyntheticPairs,
)
from dragoman_models.translation.corpus import SentencePair, read_pairs
from dragoman_models.translation.held_out import HeldOut
from dragoman_models.translation.hypothesis import Hypothesis
from dragoman_models.translation.monolingual import SentenceSource, read_sentences
from dragoman_models.translation.pair_filter import PairFilter, Verdict
from dragoman_models.translation.translation_options import TranslationOptions
from dragoman_models.translation.translator import Translator


class Upsidedown(Translator):
    """Translates by turning each word around; its probability is the caller's."""

    def __init__(self, log_prob: float = -1.0) -> None:
        self.log_prob = log_prob
        self.calls: list[int] = []

    def translate(
        self, sources: Sequence[str], options: TranslationOptions, **_: Any
    ) -> list[tuple[Hypothesis, ...]]:
        self.calls.append(len(sources))
        return [(self._answer(source),) for source in sources]

    def _answer(self, source: str) -> Hypothesis:
        text = " ".join(word[::-1] for word in source.split())
        tokens = (*text.split(), "</s>")
        return Hypothesis(
            text=text, score=0.0, log_prob=self.log_prob, tokens=tokens,
            token_log_probs=(), truncated="endless" in source, attention=None,
        )  # fmt: skip


def options(text: Path, *held_out: str, forward: bool = False, **source: Any) -> SyntheticOptions:
    return SyntheticOptions(
        text=SentenceSource(paths=(text,), **source),
        filter=PairFilter(held_out=HeldOut(held_out)),
        forward=forward,
        origin="made by test/1",
    )


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    lines = [f"this is sentence {n}a of many" for n in range(10)]
    path.write_text("\n".join([*lines, "an endless one", "anna", lines[3].upper() + "!"]) + "\n")
    return path


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(back_translation, "_CHUNK", 3)


# --- the file ---


def test_the_text_is_the_target_and_its_translation_the_source(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "made" / "pairs.tsv"
    reports: list[Progress] = []
    done = SyntheticPairs(Upsidedown(), options(text), out).run(report=reports.append)
    lines = out.read_text().splitlines()
    assert lines[0] == "siht si ecnetnes a0 fo ynam\tthis is sentence 0a of many\tmade by test/1"
    assert len(lines) == 10  # of 13: one is endless, one is its own translation, one comes again
    assert done.verdicts == {"kept": 10, "truncated": 1, "copy": 1}
    assert done.sentences == 12
    assert [one.sentences for one in reports] == [3, 6, 9, 12]
    pairs = read_pairs(out, source_column=1, target_column=2)  # as training reads them
    assert pairs[9].target == "this is sentence 9a of many"


def test_forward_the_text_is_the_source(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "pairs.tsv"
    SyntheticPairs(Upsidedown(), options(text, forward=True), out).run()
    assert out.read_text().startswith("this is sentence 0a of many\tsiht si")


def test_no_pair_holds_a_sentence_that_is_measured_with(text: Path, tmp_path: Path) -> None:
    """Neither the text nor what the model makes of it."""
    out = tmp_path / "pairs.tsv"
    held_out = ("This is sentence 4a, of many!", "siht si ecnetnes a5 fo ynam")
    done = SyntheticPairs(Upsidedown(), options(text, *held_out), out).run()
    kept = out.read_text()
    assert "4a" not in kept
    assert "5a" not in kept
    assert done.verdicts["held out"] == 1  # the other was never translated
    assert done.verdicts["kept"] == 8


def interrupt(*_: Any, **__: Any) -> NoReturn:
    raise KeyboardInterrupt


@pytest.mark.parametrize("chunks", [0, 1, 3])
@pytest.mark.parametrize("place", ["translating", "writing"])
def test_a_resumed_file_equals_an_uninterrupted_one(
    text: Path, tmp_path: Path, chunks: int, place: str
) -> None:
    whole, out = tmp_path / "whole.tsv", tmp_path / "pairs.tsv"
    SyntheticPairs(Upsidedown(), options(text), whole).run()
    first = SyntheticPairs(Upsidedown(), options(text), out)
    left = chunks
    method = "_append" if place == "translating" else "_save"
    original = getattr(first, method)

    def limited(*arguments: Any) -> Any:
        nonlocal left
        left -= 1
        # The record of a new file is written before any chunk.
        return interrupt() if left < (0 if method == "_append" else -1) else original(*arguments)

    setattr(first, method, limited)
    with pytest.raises(KeyboardInterrupt):
        first.run()
    again = Upsidedown()
    SyntheticPairs(again, options(text), out).run(resume=True)
    assert out.read_bytes() == whole.read_bytes()
    assert sum(again.calls) == 12 - 3 * chunks  # nothing is translated twice
    record, expected = (
        json.loads(p.with_name(p.name + ".progress").read_text()) for p in (out, whole)
    )
    assert record == expected


def test_what_cannot_be_resumed_is_said(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "pairs.tsv"
    with pytest.raises(TrainingError, match="nothing to resume"):
        SyntheticPairs(Upsidedown(), options(text), out).run(resume=True)
    SyntheticPairs(Upsidedown(), options(text), out).run()
    with pytest.raises(TrainingError, match="exists; give --resume or another file"):
        SyntheticPairs(Upsidedown(), options(text), out).run()
    with pytest.raises(TrainingError, match="begun with other options"):
        SyntheticPairs(Upsidedown(), options(text, "held"), out).run(resume=True)
    out.write_text("cut")
    with pytest.raises(TrainingError, match=r"has 3 bytes, but .* begin again"):
        SyntheticPairs(Upsidedown(), options(text), out).run(resume=True)
    out.with_name("pairs.tsv.progress").write_text("[")
    with pytest.raises(TrainingError, match="cannot read"):
        SyntheticPairs(Upsidedown(), options(text), out).run(resume=True)


def test_a_real_translator(translator: Translator, text: Path, tmp_path: Path) -> None:
    """With random weights, whose answers are no good: nothing breaks, everything is counted."""
    done = SyntheticPairs(translator, options(text), tmp_path / "pairs.tsv").run()
    assert sum(done.verdicts.values()) == done.sentences == 12


# --- the filter ---


@pytest.mark.parametrize(
    ("source", "target", "log_prob", "verdict"),
    [
        ("Where is it?", "Wo ist es?", -0.5, Verdict.KEPT),
        ("Where is it?", "Wo ist es?", -1.5, Verdict.UNLIKELY),
        ("Where is it?", "Wo ist es?", float("nan"), Verdict.UNLIKELY),
        ("Where is it?", "where is IT", -0.5, Verdict.COPY),
        ("The young station master", "Der young station master", -0.5, Verdict.COPY),
        ("Angela visits Hannover", "Angela besucht Hannover", -0.5, Verdict.COPY),
        ("Tom", "Er kam gestern mit dem Zug aus Ulm.", -0.5, Verdict.LENGTH),
        ("Tom", "", -0.5, Verdict.LENGTH),
        ("Wo ist der Test?", "Where is the test?", -0.5, Verdict.HELD_OUT),
    ],
)
def test_verdicts(source: str, target: str, log_prob: float, verdict: Verdict) -> None:
    rules = PairFilter(held_out=HeldOut(["Where is the test?"]))
    found = rules.verdict(SentencePair(source, target), token_log_prob=log_prob)
    assert found is verdict


@given(st.text(), st.text(), st.sampled_from([0, 1]))
def test_whatever_is_held_out_goes(source: str, target: str, side: int) -> None:
    pair = SentencePair(source + "a", target + "b")
    rules = PairFilter(held_out=HeldOut([pair[side]]))
    assert rules.verdict(pair, token_log_prob=0.0) is Verdict.HELD_OUT


# --- the text ---


def sentences(path: Path, *held_out: str, **settings: Any) -> list[str]:
    return list(read_sentences(SentenceSource(paths=(path,), **settings), HeldOut(held_out)))


def test_paragraphs_are_taken_apart(tmp_path: Path) -> None:
    path = tmp_path / "book.txt.gz"
    book = (
        "“Are you ill?” asked Mr. Pip.  It\u2019s late. “I am.\n\n“Are you ill?” Asked. "
        + "Very " * 30
    )
    path.write_bytes(gzip.compress(book.encode()))
    assert sentences(path, split=True, fewest_words=2) == [
        '"Are you ill?" asked Mr. Pip.', "It's late.", "I am.", '"Are you ill?"',
    ]  # fmt: skip


def test_a_column_of_pairs(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("Good night.\tGute Nacht.\nGood night!\tNacht!\nHi.\tHallo.\n")
    assert sentences(path, column=1) == ["Good night.", "Hi."]
    assert sentences(path, "Nacht", column=2) == ["Gute Nacht.", "Hallo."]
    assert sentences(path, column=2, most=1) == ["Gute Nacht."]
    with pytest.raises(TrainingError, match="line 1: 2 tab-separated columns, but column 3"):
        sentences(path, column=3)


def test_text_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes("café".encode("latin-1"))
    for name in ("none", "latin"):
        with pytest.raises(TrainingError, match=f"cannot read .*{name}"):
            sentences(tmp_path / name)
    (tmp_path / "blank").write_text("\n \n...\n")
    assert sentences(tmp_path / "blank") == []
