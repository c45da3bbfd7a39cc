"""A finished run becomes a bundle that translates as it was measured."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import typer
from rich.progress import Progress
from typer.testing import CliRunner

from dragoman_models.bundle import read_bundle
from dragoman_models.metrics.translation_quality import corpus_bleu
from dragoman_models.registry import load_model
from dragoman_models.translation.export import main
from dragoman_models.translation.recipe import read_recipe
from dragoman_models.translation.trainer import TranslationTrainer
from dragoman_models.translation.translation_options import TranslationOptions
from dragoman_models.translation.translator import Translator

RECIPE = """
source_language = "fr"
target_language = "en"
train = "pairs.tsv"
dev = "pairs.tsv"
source_column = 1
target_column = 2
passes = 2
precision = "fp32"
[network]
vocabulary_size = 320
embedding_size = 8
encoder_size = 6
decoder_size = 8
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, pairs: Sequence[tuple[str, str]]) -> Path:
    """A folder with data, a recipe, probes, and the run of the recipe in ``run``."""
    folder = tmp_path_factory.mktemp("finished")
    lines = "".join(f"{source}\t{target}\n" for source, target in pairs)
    (folder / "pairs.tsv").write_text(lines, encoding="utf-8")
    (folder / "recipe.toml").write_text(RECIPE)
    (folder / "probes.tsv").write_text("name\tZeynep\tZeynep dort.\nnumber\t4711\tJ'ai 4711 ans.\n")
    TranslationTrainer(read_recipe(folder / "recipe.toml"), folder / "run").run(
        Progress(disable=True)
    )
    return folder


def export(folder: Path, out: Path, *options: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(main)
    result = CliRunner().invoke(
        app,
        [
            *("--run", str(folder / "run"), "--config", str(folder / "recipe.toml")),
            *("--test", str(folder / "pairs.tsv"), "--probes", str(folder / "probes.tsv")),
            *("--data", "Ten pairs", "--data-license", "CC0-1.0", "--attribution", "nobody"),
            *("--out", str(out), *options),
        ],
    )
    return result.exit_code, result.output


@pytest.mark.parametrize("weights", ["int8-rows", "float16"])
def test_the_bundle_has_the_figures_of_its_own_weights(
    finished: Path, pairs: Sequence[tuple[str, str]], tmp_path: Path, weights: str
) -> None:
    out = tmp_path / "tiny" / "1"
    code, output = export(finished, out, "--weights", weights)
    assert code == 0, output
    bundle = read_bundle(out)
    assert bundle.config["weight_encoding"] == weights
    translator = load_model(bundle)
    assert isinstance(translator, Translator)
    for width in (1, 5):
        answers = translator.translate(
            [source for source, _ in pairs], TranslationOptions(beam_width=width)
        )
        bleu = corpus_bleu([one[0].text for one in answers], [target for _, target in pairs])
        assert bundle.metrics["test_bleu"][f"beam_{width}"] == round(bleu.score, 2)
    assert set(bundle.metrics["entity_survival"]) == {"name", "number", "all"}
    for words in ("Ten pairs", "CC0-1.0", "nobody", weights, "320 subword pieces"):
        assert words in bundle.card
    again, message = export(finished, out, "--weights", weights)
    assert (again, "already exists" in message) == (1, True)


def test_a_folder_without_a_finished_run_is_refused(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for name in ("recipe.toml", "pairs.tsv", "probes.tsv"):
        (tmp_path / name).write_bytes((finished / name).read_bytes())
    code, output = export(tmp_path, tmp_path / "tiny" / "1")
    assert (code, "holds no finished run of this recipe" in output) == (1, True)
