"""The build command: either source format gives the same bundle, and a wrong source says where."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from dragoman_models.bundle import read_bundle
from dragoman_models.embeddings.build_glove_bundle import main
from dragoman_models.embeddings.glove_source import read_glove
from dragoman_models.embeddings.word_vectors import WordVectors
from dragoman_models.errors import InvalidInputError
from dragoman_models.registry import load_model

ROWS = {
    "man": [1.0, 0.0, 0.0], "woman": [0.0, 1.0, 0.0], "king": [1.0, 0.0, 1.0],
    "queen": [0.0, 1.0, 1.0], "naïve": [0.5, -0.25, 0.125],
}  # fmt: skip
APP = typer.Typer()
APP.command()(main)


def text_source(folder: Path) -> Path:
    path = folder / "vectors.txt"
    lines = [" ".join([word, *map(str, row)]) for word, row in ROWS.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def json_source(folder: Path) -> Path:
    path = folder / "vectors.json"
    document = {
        "dimensions": 3,
        "words": list(ROWS),
        "vectors": {word: [*row, 1.5, index] for index, (word, row) in enumerate(ROWS.items())},
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def run(folder: Path, source: Path, *more: str) -> Path:
    questions, judgements = folder / "questions.txt", folder / "pairs.tsv"
    questions.write_text(": family\nman king woman queen\nman king woman prince\n")
    judgements.write_text("man king 9\nman queen 1\nman woman 1\n")
    out = folder / source.suffix.strip(".") / "tiny" / "1"
    result = CliRunner().invoke(
        APP,
        [
            "--source", str(source), "--out", str(out), "--origin", "made for a test",
            "--analogies", str(questions), "--similarity", f"pairs={judgements}", *more,
        ],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return out


def test_either_format_gives_the_same_vectors(tmp_path: Path) -> None:
    from_text = run(tmp_path, text_source(tmp_path))
    from_json = run(tmp_path, json_source(tmp_path))
    for name in ("weights.safetensors", "vocabulary.txt"):
        assert (from_text / name).read_bytes() == (from_json / name).read_bytes()


def test_the_bundle_is_measured_and_its_card_complete(tmp_path: Path) -> None:
    bundle = read_bundle(run(tmp_path, text_source(tmp_path), "--words", "4"))
    model = load_model(bundle)
    assert isinstance(model, WordVectors)
    assert list(model.vocabulary) == ["man", "woman", "king", "queen"]
    analogies = bundle.metrics["shipped"]["google_analogies"]
    assert (analogies["items"], analogies["covered"], analogies["correct"]) == (2, 1, 1)
    assert bundle.metrics["source_float32"]["words"] == 5
    assert "| shipped (4 words) | google_analogies | 1 of 2 | 100.00 % right |" in bundle.card
    assert "$" not in bundle.card
    assert str(tmp_path) not in bundle.card + json.dumps(bundle.metrics)
    assert "--similarity pairs=pairs.tsv" in bundle.metrics["command"]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("v.txt", "a 1 2\nb 1\n", "v.txt line 2: has 1 numbers where 2 are due"),
        ("v.txt", "a 1 2\nb 1 x\n", "v.txt line 2: number 2 is no number"),
        ("v.txt", "a\n", "v.txt line 1: has no numbers"),
        ("v.txt", "", "is empty"),
        ("v.json", "{", "is not wink-nlp's JSON"),
        ("v.json", "{}", "is not wink-nlp's JSON"),
        ("v.json", '{"words": ["a"], "vectors": {}, "dimensions": 2}', "is not wink-nlp's JSON"),
    ],
)
def test_a_wrong_source_says_where(tmp_path: Path, name: str, data: str, reason: str) -> None:
    (tmp_path / name).write_text(data)
    with pytest.raises(InvalidInputError) as caught:
        read_glove(tmp_path / name)
    assert reason in str(caught.value)


def test_a_failure_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    source = text_source(tmp_path)
    source.write_text("a 1 2\na 1 2\n")
    result = CliRunner().invoke(
        APP, ["--source", str(source), "--out", str(tmp_path / "t" / "1"), "--origin", "x"]
    )
    assert result.exit_code == 1
    assert "line 2: repeats the word 'a' of line 1" in result.output
    assert not (tmp_path / "t").exists()
