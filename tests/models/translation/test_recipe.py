"""Recipe files: what is wrong is named; paths are relative to the file."""

from pathlib import Path

import pytest

from dragoman_models.errors import TrainingError
from dragoman_models.translation.entity_survival import read_probes
from dragoman_models.translation.recipe import read_recipe

LEAST = """
source_language = "fr"
target_language = "en"
train = "data/train.tsv"
dev = "/elsewhere/dev.tsv"
source_column = 2
target_column = 1
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    recipe = read_recipe(write(tmp_path, LEAST + 'forbidden_names = "probes.tsv"\n'))
    assert recipe.train == tmp_path / "data" / "train.tsv"
    assert recipe.dev == Path("/elsewhere/dev.tsv")
    assert recipe.forbidden_names == tmp_path / "probes.tsv"
    assert read_recipe(write(tmp_path, LEAST)).forbidden_names is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (LEAST.replace("source_column = 2", ""), "source_column: Field required"),
        (LEAST + "lerning_rate = 1.0", "lerning_rate: Extra inputs are not permitted"),
        (LEAST + 'seed = "one"', "seed: Input should be a valid integer"),
        (LEAST + "dropout = 1.0", "dropout: Input should be less than 1"),
        (LEAST + "learning_rate = nan", "learning_rate: Input should be greater than 0"),
        (LEAST.replace("= 2", "= 0"), "source_column: Input should be greater than or equal to 1"),
        (LEAST + '[network]\ncell = "rnn"', "network.cell: Input should be 'gru' or 'lstm'"),
        (LEAST + "[network]\nsize = 3", "network.size: Extra inputs are not permitted"),
        (LEAST + "passes =", "cannot read the recipe .*Invalid value"),
    ],
)
def test_names_the_wrong_setting(tmp_path: Path, text: str, reason: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(TrainingError, match=reason) as raised:
        read_recipe(path)
    assert str(path) in str(raised.value)


def test_names_every_wrong_setting_at_once(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"passes: .*; patience: "):
        read_recipe(write(tmp_path, LEAST + "passes = 0\npatience = 0"))


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="No such file"):
        read_recipe(tmp_path / "none.toml")
    with pytest.raises(TrainingError, match="Is a directory"):
        read_recipe(tmp_path)
    (tmp_path / "latin.toml").write_bytes("# café".encode("latin-1"))
    with pytest.raises(TrainingError, match="utf-8"):
        read_recipe(tmp_path / "latin.toml")


RECIPES = Path(__file__).parents[3] / "docs" / "recipes"


@pytest.mark.parametrize(
    "path",
    sorted([*RECIPES.glob("translation/*.toml"), *RECIPES.glob("multi30k/*.toml")]),
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)
def test_the_repository_s_recipes_are_valid(path: Path) -> None:
    """Their probe sets are there, for the right language; what makes training text of anything
    but the pairs holds the probes out."""
    recipe = read_recipe(path)
    if path.parent.name == "translation":
        probes = RECIPES / "translation" / f"probe-{recipe.source_language}.tsv"
        assert recipe.forbidden_names == probes
        assert len(read_probes(probes)) == 200
        if recipe.synthetic or recipe.split_sentences:
            assert probes in recipe.held_out
            assert any(held.name.startswith("test") for held in recipe.held_out)
    else:
        assert recipe.substitution_rate == 0  # nothing but the data set
        assert recipe.keep_best
        assert not recipe.synthetic
    if recipe.continue_from is not None:  # the weights must fit
        first = path.with_name(f"{recipe.continue_from.name}.toml")
        assert read_recipe(first).network == recipe.network
