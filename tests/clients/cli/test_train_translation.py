"""`dragoman train translation --seed` and `dragoman train back-translation`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dragoman_models import pretrained
from dragoman_models.translation.trainer import TranslationTrainer

RECIPE = """
source_language = "fr"
target_language = "en"
train = "pairs.tsv"
dev = "pairs.tsv"
source_column = 1
target_column = 2
passes = 1
precision = "fp32"
[network]
vocabulary_size = 286
embedding_size = 6
encoder_size = 4
decoder_size = 6
"""
SHIPPED = Path(pretrained.__path__[0])


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    lines = "Tom dort.\tTom is asleep.\nIl fait froid.\tIt is cold.\nMerci, Anne !\tThanks, Ann!\n"
    (tmp_path / "pairs.tsv").write_text(lines * 3, encoding="utf-8")
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


def test_a_seed_goes_before_the_recipes(dragoman: Any, recipe: Path, tmp_path: Path) -> None:
    weights = []
    for seed in ("1", "2"):
        out = tmp_path / seed
        done = dragoman(
            "train", "translation", "--config", str(recipe), "--out", str(out), "--seed", seed
        )
        assert (done.code, done.out) == (0, f"{out / 'averaged.safetensors'}\n")
        weights.append((out / "averaged.safetensors").read_bytes())
    assert weights[0] != weights[1]


def test_how_to_go_on_names_the_seed(
    dragoman: Any, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: TranslationTrainer) -> None:
        (self.folder / "checkpoint.pt").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(TranslationTrainer, "run", interrupted)
    out = tmp_path / "run"
    done = dragoman(
        "train", "translation", "--config", str(recipe), "--out", str(out), "--seed", "3"
    )
    assert done.code == 130
    assert f"--config {recipe} --seed 3 --out {out} --resume" in done.err


def test_back_translation_by_a_shipped_model(dragoman: Any, tmp_path: Path) -> None:
    """English text becomes pairs to train de-en with; what is held out is not among them."""
    (tmp_path / "text.txt").write_text("I am tired. Where is my book?\nI love you.\nI am tired.\n")
    (tmp_path / "test.tsv").write_text("I love you!\tIch liebe dich.\n")
    arguments = [
        "train", "back-translation", "--model", str(SHIPPED / "en-de" / "1"), "--split",
        "--text", str(tmp_path / "text.txt"), "--exclude", str(tmp_path / "test.tsv"),
        "--out", str(tmp_path / "made.tsv"),
    ]  # fmt: skip
    done = dragoman(*arguments)
    assert (done.code, done.out) == (0, f"{tmp_path / 'made.tsv'}: 2 pairs of 2 sentences\n")
    lines = [line.split("\t") for line in (tmp_path / "made.tsv").read_text().splitlines()]
    assert [line[1] for line in lines] == ["I am tired.", "Where is my book?"]
    assert [line[2] for line in lines] == 2 * ["back-translated by en-de/1"]
    assert lines[0][0] == "Ich bin müde."
    again = dragoman(*arguments)
    assert again.code == 1
    assert "exists; give --resume or another file" in again.err
    assert dragoman(*arguments, "--resume").code == 0
    drawn = [*arguments[:-1], str(tmp_path / "drawn.tsv"), "--top-k", "1", "--seed", "3"]
    assert dragoman(*drawn).code == 0  # of the one most probable token: the same
    assert (tmp_path / "drawn.tsv").read_bytes() == (tmp_path / "made.tsv").read_bytes()


def test_back_translation_needs_a_translator(dragoman: Any, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("I am tired.\n")
    for model, reason in (
        (SHIPPED / "glove-100d" / "1", "is no translator"),
        (tmp_path / "none" / "1", "there is no such folder"),
    ):
        done = dragoman(
            "train", "back-translation", "--model", str(model), "--text",
            str(tmp_path / "text.txt"), "--exclude", str(tmp_path / "text.txt"), "--out",
            str(tmp_path / "made.tsv"),
        )  # fmt: skip
        assert done.code == 1
        assert reason in done.err
