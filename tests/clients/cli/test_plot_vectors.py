"""`dragoman plot-vectors`: pictures of words, and what cannot be drawn."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from matplotlib import font_manager

Command = Callable[..., Any]


@pytest.fixture
def vectors(tmp_path: Path) -> str:
    path = tmp_path / "v.txt"
    path.write_text("one 1 0 0\ntwo 1 1 0\nthree 0 1 1\nfour -1 0 1\nfünf 0 -1 1\n", "utf-8")
    return str(path)


def words_in(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def test_the_shipped_vectors_are_the_default(dragoman: Command, tmp_path: Path) -> None:
    out = tmp_path / "map.svg"
    done = dragoman("plot-vectors", "king", "apple", "--out", str(out), "--neighbors", "3")
    assert (done.code, done.out) == (0, f"{out}\n"), done.err
    assert done.err == "dragoman: a map of 8 words\n"
    drawn = words_in(out)
    assert ">king<" in drawn
    assert ">prince<" in drawn
    assert ">microsoft<" in drawn


@pytest.mark.parametrize("flags", [[], ["--projection", "tsne", "--seed", "3"], ["--heat-map"]])
@pytest.mark.parametrize(("name", "start"), [("p.png", b"\x89PNG"), ("p.html", b"<!DOCTYPE")])
def test_pictures_are_of_the_format_named(
    dragoman: Command, vectors: str, tmp_path: Path, flags: list[str], name: str, start: bytes
) -> None:
    out = tmp_path / name
    done = dragoman(
        "plot-vectors", "one", "three", "fünf", "--out", str(out), "--vectors", vectors, *flags,
        "--neighbors", "1",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert out.read_bytes().startswith(start)
    if name == "p.html":
        assert ">fünf<" in words_in(out)


@pytest.mark.parametrize("name", ["p.png", "p.svg"])
def test_letters_without_a_font_are_named_where_they_are_missing(
    dragoman: Command, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [])
    letter = "\U00013000"  # a hieroglyph, which the usual font lacks
    source = tmp_path / "v.txt"
    source.write_text(f"one 1 0\n{letter} 1 1\nthree 0 1\n", encoding="utf-8")
    flags = ["--vectors", str(source), "--neighbors", "0", "--out", str(tmp_path / name)]
    done = dragoman("plot-vectors", "one", letter, "three", *flags)
    assert done.code == 0, done.err
    assert ("no font of this machine has" in done.err) == (name == "p.png")


@pytest.mark.parametrize(
    ("words", "flags", "message"),
    [
        (["one", "ten"], [], "words[1]: the word 'ten' is not in the vocabulary"),
        (["one"], ["--neighbors", "0"], "make 1 points; a map needs 3"),
        (["one"], ["--heat-map", "--out", "p.docx"], "'p.docx' must end in .png"),
        (["one"], ["--vectors", "nowhere.txt"], "nowhere.txt: cannot be read: No such file"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    dragoman: Command, vectors: str, tmp_path: Path, words: list[str], flags: list[str],
    message: str,
) -> None:  # fmt: skip
    out = tmp_path / "p.png"
    usual = ["--out", str(out), "--vectors", vectors]
    done = dragoman("plot-vectors", *words, *usual, *flags)
    assert (done.code, done.out) == (1, "")
    assert message in done.err
    assert not out.exists()


def test_wrong_usage(dragoman: Command, vectors: str) -> None:
    done = dragoman("plot-vectors", "one", "--out", "p.png", "--projection", "umap")
    assert done.code == 2
    assert "Invalid value for --projection: must be one of pca, tsne" in done.err
    assert dragoman("plot-vectors", "--out", "p.png").code == 2


def test_a_missing_extra_is_named(vectors: str, tmp_path: Path) -> None:
    code = "import sys; sys.modules['matplotlib'] = None; "
    code += "from dragoman_client.cli import main; main()"
    flags = ["plot-vectors", "one", "--out", str(tmp_path / "p.png"), "--vectors", vectors]
    done = subprocess.run(
        [sys.executable, "-c", code, *flags], capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "package matplotlib" in done.stderr
    assert "pip install 'dragoman[plot]'" in done.stderr
