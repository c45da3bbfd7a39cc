"""Training on a folder of people's pictures, with files in it that are none."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from rich.progress import Progress

from dragoman_models.bundle import read_bundle
from dragoman_models.errors import TrainingError
from dragoman_models.registry import load_model
from dragoman_models.vision.image_decoding import read_image
from dragoman_models.vision.verification.card import TrainingData
from dragoman_models.vision.verification.export import export
from dragoman_models.vision.verification.image_embedder import ImageEmbedder
from dragoman_models.vision.verification.measure import measure, read_run
from dragoman_models.vision.verification.recipe import ImageEmbedderRecipe, read_recipe
from dragoman_models.vision.verification.run_images import read_images
from dragoman_models.vision.verification.trainer import ImageEmbedderTrainer

RECIPE = """
updates = 40
classes_per_batch = 8
images_per_class = 3
mining = "semi_hard"
distance = "squared"
margin = 0.4
average_decay = 0.9
warmup_updates = 5
learning_rate = 4e-3
precision = "fp32"
[network]
image_size = 24
color = "rgb"
stem = 8
stages = [12, 16]
dimensions = 8
[augmentation]
rotation = 5.0
flip = true
brightness = 0.05
[validation]
every_updates = 20
protocol = "mixed"
ways = 3
episodes = 30
"""


def portrait(person: int, number: int) -> Image.Image:
    """A face of the person's own colours and proportions, in another light and size each time."""
    own, other = random.Random(person), random.Random(f"{person}/{number}")
    width = other.randint(40, 70)
    size = (width, width + other.randint(0, 20))
    colors = [tuple(own.randint(30, 225) for _ in range(3)) for _ in range(3)]
    light = other.uniform(0.85, 1.15)
    back, skin, hair = (tuple(min(255, int(c * light)) for c in color) for color in colors)
    image = Image.new("RGB", size, back)
    draw = ImageDraw.Draw(image)
    w, h = size
    draw.ellipse((w * 0.2, h * 0.15, w * 0.8, h * 0.9), fill=skin)
    draw.rectangle((w * 0.2, h * 0.1, w * 0.8, h * own.uniform(0.2, 0.45)), fill=hair)
    return image


@pytest.fixture
def people(tmp_path: Path) -> Path:
    folder = tmp_path / "people"
    for person in range(14):
        own = folder / f"person {person:02}"
        own.mkdir(parents=True)
        for number in range(4):
            portrait(person, number).save(own / f"{number}.{'jpg' if number else 'png'}")
    (folder / "person 00/notes.txt").write_text("not a picture")
    cut = (folder / "person 01/1.jpg").read_bytes()[:200]
    (folder / "person 01/cut.jpg").write_bytes(cut)
    (folder / "somebody once").mkdir()
    portrait(99, 0).save(folder / "somebody once/0.png")
    (folder / "README.txt").write_text("no person")
    return folder


@pytest.fixture
def recipe(tmp_path: Path, people: Path) -> ImageEmbedderRecipe:
    path = tmp_path / "people.toml"
    path.write_text(RECIPE)
    return read_recipe(path, identities=people)


def test_people_are_learnt_and_bad_files_named(
    tmp_path: Path, people: Path, recipe: ImageEmbedderRecipe
) -> None:
    said: list[str] = []
    images = read_images(recipe, said.append)
    assert len(said) == 3
    assert "person 00/notes.txt" in said[0]
    assert "cut.jpg" in said[1]
    assert "cut short" in said[1]
    assert "somebody once: it has 1 pictures, and two are needed" in said[2]
    parts = [set(part.class_names) for part in (images.train, images.valid, images.test)]
    assert [len(part) for part in parts] == [8, 3, 3]
    assert len(set.union(*parts)) == 14
    ImageEmbedderTrainer(recipe, images, tmp_path / "run").run(Progress(disable=True))
    run = read_run(tmp_path / "run", recipe)
    figures = measure(run, images, episodes=20, seed=1, ways=3)
    assert figures.one_shot["mixed"].accuracy > 0.6  # chance: 1/3
    assert not figures.baseline
    data = TrainingData(description="made faces", license="CC0-1.0", attribution="nobody")
    out = tmp_path / "people-vectors/1"
    export(run, images, out, figures=figures, data=data, commands=["train it", "export it"])
    bundle = read_bundle(out)
    assert "biometric" in bundle.card
    assert "people (8 classes, 32 images)" in bundle.card
    model = load_model(bundle)
    assert isinstance(model, ImageEmbedder)
    vectors = model.embed([read_image(path) for path in sorted(people.glob("*/2.jpg"))])
    assert vectors.shape == (14, 8)
    assert np.isfinite(vectors).all()


def test_too_few_people_or_pictures_are_an_error_that_says_so(
    tmp_path: Path, people: Path, recipe: ImageEmbedderRecipe
) -> None:
    for number in range(5, 14):
        (people / f"person {number:02}").rename(tmp_path / f"person {number}")
    with pytest.raises(TrainingError, match="has 5 people with two pictures or more; 3 are needed"):
        read_images(recipe)
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder, message in ((empty, "none of its 0 folders"), (tmp_path / "no", "cannot read")):
        with pytest.raises(TrainingError, match=message):
            read_images(recipe.model_copy(update={"identities": folder}))


def test_the_recipe_for_people_is_used_without_a_file(people: Path) -> None:
    recipe = read_recipe(None, identities=people)
    assert recipe.network.color == "rgb"
    assert recipe.identities == people
    with pytest.raises(TrainingError, match="give either omniglot or identities"):
        read_recipe(None).model_copy()
