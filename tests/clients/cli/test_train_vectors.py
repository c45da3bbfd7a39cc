"""`dragoman train word2vec` and `dragoman train glove`: from text to a bundle, or a clear error."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dragoman_models.bundle import read_bundle

Command = Callable[..., Any]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("the cat sat on the mat\nthe dog sat on the cat\n" * 30, encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", ["word2vec", "glove"])
def test_text_becomes_a_bundle(dragoman: Command, text: Path, tmp_path: Path, kind: str) -> None:
    run, similarity = tmp_path / "run", tmp_path / "pairs.tsv"
    similarity.write_text("cat\tdog\t9\ncat\ton\t1\n")
    done = dragoman(
        "train", kind, "--corpus", str(text), "--out", str(run), "--dimensions", "8",
        "--epochs", "2", "--set", "report_seconds=1e9", "--data", "cats", "--data-license",
        "CC0-1.0", "--language", "en", "--similarity", f"pets={similarity}",
        "--encoding", "int8-rows",
    )  # fmt: skip
    bundle_folder = run / "models" / "word-vectors" / "1"
    assert (done.code, done.out) == (0, f"{bundle_folder}\n"), done.err
    bundle = read_bundle(bundle_folder)
    assert bundle.config["vocabulary_size"] == 6
    assert bundle.config["source_languages"] == ["en"]
    assert bundle.metrics["shipped"]["pets"]["covered"] == 2
    command = bundle.metrics["command"]
    assert command.startswith(f"dragoman train {kind} --out run --corpus text.txt --set ")
    assert "--set dimensions=8" in command
    assert str(tmp_path) not in command


def test_a_recipe_and_flags_over_it(dragoman: Command, text: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('corpus = "text.txt"\ndimensions = 4\nepochs = 1\narchitecture = "cbow"\n')
    bundle = tmp_path / "models" / "cats" / "3"
    done = dragoman(
        "train", "word2vec", "--config", str(recipe), "--out", str(tmp_path / "run"),
        "--bundle", str(bundle), "--dimensions", "6",
    )  # fmt: skip
    assert (done.code, done.out) == (0, f"{bundle}\n"), done.err
    settings = read_bundle(bundle).config["hyperparameters"]
    assert (settings["dimensions"], settings["architecture"]) == (6, "cbow")


def test_continued_training_adds_words_and_its_card_says_from_what(
    dragoman: Command, text: Path, tmp_path: Path
) -> None:
    train = ["train", "word2vec", "--dimensions", "4", "--epochs", "1"]
    first, second = tmp_path / "cats", tmp_path / "more"
    assert dragoman(*train, "--corpus", str(text), "--out", str(first)).code == 0
    new = tmp_path / "new.txt"
    new.write_text("the cow sat on the horse\n" * 30)
    done = dragoman(
        *train, "--corpus", str(new), "--out", str(second), "--continue-from", str(first),
        "--set", "max_words=100",
    )  # fmt: skip
    assert done.code == 0, done.err
    bundle = read_bundle(Path(done.out.strip()))
    assert set(bundle.file("vocabulary.txt").decode().split()) == {
        "the", "cat", "sat", "on", "mat", "dog", "cow", "horse",
    }  # fmt: skip
    assert "--continue-from cats --set dimensions=4" in bundle.metrics["command"]
    assert "--set max_words=100" in bundle.metrics["command"]


def test_resume_needs_the_same_run(dragoman: Command, text: Path, tmp_path: Path) -> None:
    train = ["train", "word2vec", "--corpus", str(text), "--epochs", "1"]
    first = dragoman(*train, "--out", str(tmp_path / "run"), "--dimensions", "4")
    assert first.code == 0
    bundle = ["--bundle", str(tmp_path / "models" / "cats" / "1")]
    again = dragoman(*train, "--out", str(tmp_path / "run"), "--dimensions", "4", *bundle)
    assert again.code == 1
    assert "holds a training run; resume it, or give another" in again.err
    resumed = dragoman(
        *train, "--out", str(tmp_path / "run"), "--dimensions", "4", *bundle, "--resume"
    )
    assert resumed.code == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "corpus: no text is given; name at least one file"),
        (["--corpus", "nowhere"], "corpus: there is no file nowhere"),
        (["--corpus", "{text}", "--window", "0"], "window: Input should be greater"),
        (["--corpus", "{text}", "--min-count", "61"], "min_count: 1 words stand 61 times or more"),
        (["--corpus", "{text}", "--set", "colour=red"], "colour: Extra inputs are not permitted"),
    ],
)
def test_errors_name_the_setting(
    dragoman: Command, text: Path, tmp_path: Path, flags: list[str], message: str
) -> None:
    filled = [flag.format(text=text) for flag in flags]
    done = dragoman("train", "word2vec", "--out", str(tmp_path / "run"), *filled)
    assert (done.code, done.out) == (1, "")
    assert message in done.err


@pytest.mark.parametrize("bundle", ["models/cats/one", "models/Cats!/1", "{text}"])
def test_a_bundle_that_cannot_be_written_is_refused_before_training(
    dragoman: Command, text: Path, tmp_path: Path, bundle: str
) -> None:
    run = tmp_path / "run"
    done = dragoman(
        "train", "glove", "--corpus", str(text), "--out", str(run),
        "--bundle", bundle.format(text=text),
    )  # fmt: skip
    assert (done.code, done.out) == (1, "")
    assert "is not NAME/VERSION" in done.err
    assert not run.exists() or not (run / "words.txt").exists()


@pytest.mark.parametrize(
    ("flags", "hint"),
    [
        (["--set", "window"], "--set"),
        (["--encoding", "int4"], "--encoding"),
        (["--similarity", "file"], "--similarity"),
    ],
)
def test_wrong_usage_names_the_flag(
    dragoman: Command, text: Path, tmp_path: Path, flags: list[str], hint: str
) -> None:
    done = dragoman(
        "train", "word2vec", "--out", str(tmp_path / "run"), "--corpus", str(text), *flags
    )
    assert done.code == 2
    assert f"Invalid value for {hint}" in done.err
    assert not (tmp_path / "run").exists()


def test_a_missing_extra_is_named() -> None:
    code = "import sys; sys.modules['numba'] = None; from dragoman_client.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "train", "glove", "--out", "run"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "package numba, which is not installed: pip install 'dragoman[train]'" in done.stderr
