"""Scores equal those of the sacrebleu command on the same files, signatures included."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dragoman_models.errors import InvalidInputError
from dragoman_models.metrics.translation_quality import (
    TOKENIZERS,
    TranslationMetric,
    score_corpus,
)

REFERENCES = [
    "Jane is visiting Africa in September.",
    "The cat sat on the mat, didn't it?",
    "It costs 12.50 dollars (about 11 euros).",
    "我们明天中午出发。 We leave at noon.",
    "שלום 🙂 ÉTÉ — “quoted”",
    "A line with\u2028a separator and\ttab",
]
HYPOTHESES = [
    "Jane visits Africa in september.",
    "The cat was sitting on the mat, did it not?",
    "It costs 12.50 dollars (about 11 euros).",
    "我们中午出发。 we leave At noon .",
    "שלום 🙂 été — “quoted”",
    "",
]


def command_line(folder: Path, *options: str) -> list[dict[str, object]]:
    """What the sacrebleu command says of the files: name, score and signature of each metric."""
    hypotheses, references = folder / "hypotheses.txt", folder / "references.txt"
    hypotheses.write_text("".join(f"{line}\n" for line in HYPOTHESES), encoding="utf-8")
    references.write_text("".join(f"{line}\n" for line in REFERENCES), encoding="utf-8")
    command = [sys.executable, "-m", "sacrebleu", str(references), "-i", str(hypotheses)]
    command += ["-m", "bleu", "chrf", "ter", "--format", "json", "--width", "10", *options]
    done = subprocess.run(command, capture_output=True, check=True, text=True, encoding="utf-8")
    answer: list[dict[str, object]] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize(
    ("tokenizer", "lowercase"),
    [("13a", False), ("13a", True), ("intl", True), ("zh", False)],
)
def test_equals_the_sacrebleu_command(tmp_path: Path, tokenizer: str, lowercase: bool) -> None:
    options = ["--tokenize", tokenizer, *(["--lowercase", "--chrf-lowercase"] if lowercase else [])]
    scores = score_corpus(HYPOTHESES, REFERENCES, tokenizer=tokenizer, lowercase=lowercase)
    answers = command_line(tmp_path, *options)
    assert [answer["name"] for answer in answers] == ["BLEU", "chrF2", "TER"]
    assert list(scores) == list(TranslationMetric)
    for ours, theirs in zip(scores.values(), answers, strict=True):
        assert ours.score == pytest.approx(theirs["score"], abs=1e-9)
        assert ours.signature == theirs["signature"]


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_a_copy_is_perfect_with_every_tokenizer(tokenizer: str) -> None:
    scores = score_corpus(REFERENCES, REFERENCES, tokenizer=tokenizer)
    bleu, chrf, ter = scores.values()
    assert bleu.score == pytest.approx(100)
    assert chrf.score == pytest.approx(100)
    assert ter.score == 0
    assert f"tok:{tokenizer}|" in bleu.signature


@pytest.mark.parametrize("metric", TranslationMetric)
def test_only_what_is_asked_for(metric: TranslationMetric) -> None:
    alone = score_corpus(HYPOTHESES, REFERENCES, metrics=[metric])
    assert alone == {metric: score_corpus(HYPOTHESES, REFERENCES)[metric]}


@pytest.mark.parametrize(
    ("hypotheses", "references", "tokenizer", "field", "description"),
    [
        (["a"], ["a", "b"], "13a", "references", "has 2 lines for 1 hypotheses; give one for each"),
        (["a"], [], "13a", "references", "has 0 lines for 1 hypotheses; give one for each"),
        ([], [], "13a", "hypotheses", "is empty; give at least one line"),
        (["a"], ["a"], "flores200", "tokenizer", "'flores200' is unknown; give one of 13a, char"),
    ],
)
def test_names_what_is_wrong(
    hypotheses: list[str], references: list[str], tokenizer: str, field: str, description: str
) -> None:
    with pytest.raises(InvalidInputError) as raised:
        score_corpus(hypotheses, references, tokenizer=tokenizer)
    (violation,) = raised.value.violations
    assert violation.field == field
    assert violation.description.startswith(description)
