"""`dragoman evaluate-vectors`: the figures of sets whose answers are known by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
ROYAL = "man 1 0 0\nwoman 0 1 0\nking 1 0 1\nqueen 0 1 1\napple -1 -1 0\n"
QUESTIONS = """\
: family
man king woman queen
man queen woman apple
: capital-world
Athens Greece Oslo Norway
woman queen man king
"""
PAIRS = "# word word judgement\nman woman 1\nking queen 5\nking king 9\nman unknown 3\n"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    contents = {"vectors": ROYAL, "questions": QUESTIONS, "pairs": PAIRS}
    for name, text in contents.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return {name: str(tmp_path / name) for name in contents}


def test_figures_stand_in_rows_by_set_and_section(dragoman: Command, files: dict[str, str]) -> None:
    done = dragoman(
        "evaluate-vectors", files["vectors"], "--similarity", f"royal={files['pairs']}",
        "--analogies", files["questions"],
    )  # fmt: skip
    assert done.code == 0, done.err
    rows = [line.split("\t") for line in done.out.splitlines()]
    assert rows == [
        ["royal", "", "4", "3", "75.0 %", "", "rho 1.000"],
        ["analogies", "family", "2", "2", "100.0 %", "1", "50.0 %"],
        ["analogies", "capital-world", "2", "1", "50.0 %", "1", "100.0 %"],
        ["analogies", "all", "4", "3", "75.0 %", "2", "66.7 %"],
    ]


def test_json_holds_the_same_figures_of_a_bundle(
    dragoman: Command, files: dict[str, str], tmp_path: Path
) -> None:
    bundle = tmp_path / "royal" / "1"
    assert dragoman("import-vectors", files["vectors"], "--out", str(bundle)).code == 0
    done = dragoman(
        "evaluate-vectors", str(bundle), "--similarity", f"royal={files['pairs']}",
        "--analogies", files["questions"], "--method", "3cosmul", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    values = json.loads(done.out)
    assert (values["words"], values["dimensions"]) == (5, 3)
    assert values["similarity"]["royal"] == {"pairs": 4, "covered": 3, "spearman": 1.0}
    analogies = values["analogies"]
    assert (analogies["method"], analogies["questions"], analogies["covered"]) == ("3cosmul", 4, 3)
    assert analogies["accuracy"] == pytest.approx(2 / 3)
    assert analogies["sections"]["family"]["correct"] == 1


def test_vectors_of_words_in_capitals_keep_their_case(
    dragoman: Command, files: dict[str, str]
) -> None:
    Path(files["vectors"]).write_text(ROYAL.replace("man", "Man").replace("woMan", "woman"))
    Path(files["questions"]).write_text("Man king woman queen\n")
    flags = ["evaluate-vectors", files["vectors"], "--analogies", files["questions"], "--json"]
    folded, kept = (dragoman(*flags, *more) for more in ([], ["--keep-case"]))
    assert json.loads(folded.out)["analogies"]["covered"] == 0
    assert json.loads(kept.out)["analogies"]["correct"] == 1


def test_rare_words_can_be_left_out_as_answers(dragoman: Command, files: dict[str, str]) -> None:
    done = dragoman(
        "evaluate-vectors", files["vectors"], "--analogies", files["questions"], "--max-rank", "3",
        "--json",
    )  # fmt: skip
    # queen is the fourth word, so king is the only answer that can still be found.
    assert json.loads(done.out)["analogies"]["correct"] == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("pairs", b"a b 1\na b\n", "line 2: is not two words and a number"),
        ("pairs", b"caf\xe9 b 1\n", "is not UTF-8"),
        ("pairs", b"man x 1\n", "royal: judgements: 0 pairs are covered"),
        ("questions", b": s\na b c\n", "line 2: holds 3 words; a question has 4"),
        ("vectors", b"a 1\nb 1 2 3\n", "line 2: has 3 numbers where 1 are due"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(
    dragoman: Command, files: dict[str, str], name: str, content: bytes, message: str
) -> None:
    Path(files[name]).write_bytes(content)
    done = dragoman(
        "evaluate-vectors", files["vectors"], "--similarity", f"royal={files['pairs']}",
        "--analogies", files["questions"],
    )  # fmt: skip
    assert (done.code, done.out) == (1, "")
    assert message in done.err
    if "royal" not in message:
        assert files[name] in done.err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "give --analogies, --similarity or both"),
        (["--similarity", "file"], "'file' is not NAME=FILE"),
        (["--similarity", "a=x", "--similarity", "a=y"], "'a' is given twice"),
        (["--analogies", "x", "--method", "3cos"], "must be one of 3cosadd, 3cosmul"),
        (["--analogies", "x", "--max-rank", "0"], "Invalid value for '--max-rank'"),
    ],
)
def test_wrong_usage(
    dragoman: Command, files: dict[str, str], flags: list[str], message: str
) -> None:
    done = dragoman("evaluate-vectors", files["vectors"], *flags)
    assert done.code == 2
    assert message in done.err


def test_a_missing_file_is_named(dragoman: Command, files: dict[str, str]) -> None:
    done = dragoman("evaluate-vectors", files["vectors"], "--analogies", "nowhere.txt")
    assert done.code == 1
    assert "cannot read or write nowhere.txt: No such file" in done.err
    done = dragoman("evaluate-vectors", "nowhere.bin", "--analogies", files["questions"])
    assert done.code == 1
    assert "nowhere.bin" in done.err
