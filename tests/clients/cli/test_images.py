"""`dragoman classify`, `detect`, `verify`, `enrol` and `identify`: rows, JSON, pictures, errors."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from google.rpc import status_pb2
from PIL import Image
from tests.clients.cli.test_extras import WITHOUT
from tests.clients.looking_server import answer_about_images

from dragoman_models.vision import result_drawing, results

if TYPE_CHECKING:
    from tests.clients.conftest import FakeServer

Command = Callable[..., Any]


@pytest.fixture
def looking(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """A server to which a JPEG is a cat, a WebP a dog and a PNG a fish; by DRAGOMAN_SERVER."""
    monkeypatch.setenv("DRAGOMAN_SERVER", server.address)
    answer_about_images(server)
    return server


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: cat.jpg, dog.webp, more/fish.PNG, and notes.txt."""
    monkeypatch.chdir(tmp_path)
    picture = Image.fromarray(np.full((30, 40, 3), (200, 90, 40), dtype=np.uint8))
    (tmp_path / "more").mkdir()
    for name in ("cat.jpg", "dog.webp", "more/fish.PNG"):
        picture.save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def lines(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines()]


def objects(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


# --- classify and detect ---


@pytest.mark.usefixtures("pictures")
def test_classes_are_printed_in_rows(looking: FakeServer, dragoman: Command) -> None:
    done = dragoman("classify", "cat.jpg", "-k", "2", "--model", "eyes/3")
    assert (done.code, done.err) == (0, "")
    assert lines(done.out) == [["cat.jpg", "cat", "0.5000"], ["cat.jpg", "dog", "0.2500"]]
    (request,) = looking.requests
    assert (request.top_k, request.model.name, request.model.version) == (2, "eyes", 3)


@pytest.mark.usefixtures("pictures", "looking")
def test_objects_are_printed_in_rows(dragoman: Command) -> None:
    done = dragoman("detect", "dog.webp", "cat.jpg", "--score-threshold", "0.1")
    assert (done.code, done.err) == (0, "")
    assert lines(done.out) == [
        ["dog.webp", "dog", "0.7500", "1.0", "2.5", "11.0", "22.5"],
        ["cat.jpg", "-", "-", "-", "-", "-", "-"],
    ]


@pytest.mark.usefixtures("pictures", "looking")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["."], ["cat.jpg", "dog.webp", "more/fish.PNG"]),
        (["more", "cat.jpg"], ["more/fish.PNG", "cat.jpg"]),
        (["*.jpg", "*.webp"], ["cat.jpg", "dog.webp"]),
        (["**/*.PNG"], ["more/fish.PNG"]),
    ],
)
def test_folders_and_patterns_are_their_images(
    dragoman: Command, arguments: list[str], expected: list[str]
) -> None:
    done = dragoman("classify", *arguments, "-k", "1", "--json")
    assert done.code == 0, done.err
    assert [one["image"] for one in objects(done.out)] == expected


@pytest.mark.usefixtures("pictures", "looking")
def test_one_bad_image_among_many_is_reported_and_the_others_are_answered(
    dragoman: Command, pictures: Path
) -> None:
    (pictures / "broken.jpg").write_bytes(b"bad")
    arguments = ["cat.jpg", "missing.png", "broken.jpg", "dog.webp"]
    done = dragoman("classify", *arguments, "-k", "1")
    assert done.code == 1
    assert lines(done.out) == [["cat.jpg", "cat", "0.5000"], ["dog.webp", "dog", "0.5000"]]
    assert done.err.splitlines() == [
        "dragoman: missing.png cannot be read: No such file or directory",
        "dragoman: broken.jpg: does not decode",
    ]
    done = dragoman("detect", *arguments, "--json")
    found = objects(done.out)
    assert done.code == 1
    assert [one["image"] for one in found] == arguments
    assert ["error" in one for one in found] == [False, True, True, False]
    assert found[2]["error"]["code"] == "INVALID_ARGUMENT"


@pytest.mark.usefixtures("pictures", "looking")
def test_json_has_all_of_an_answer(dragoman: Command) -> None:
    (found,) = objects(dragoman("classify", "more/fish.PNG", "--json").out)
    assert found["classes"][0] == {"class_id": 2, "label": "fish", "probability": 0.5}
    assert (found["image"], found["model"], found["version"]) == ("more/fish.PNG", "eyes", 3)
    (found,) = objects(dragoman("detect", "more/fish.PNG", "--json").out)
    assert (found["image_width"], found["image_height"]) == (40, 30)
    assert found["detections"] == [
        {"box": {"x_min": 1.0, "y_min": 2.5, "x_max": 11.0, "y_max": 22.5},
         "class_id": 1, "label": "dog", "score": 0.75}
    ]  # fmt: skip


@pytest.mark.usefixtures("pictures", "looking")
def test_wrong_usage_and_empty_choices_are_told(dragoman: Command, pictures: Path) -> None:
    (pictures / "empty").mkdir()
    done = dragoman("classify", "empty")
    assert (done.code, done.out) == (1, "")
    assert "empty has no images (.jpg, .jpeg, .png, .webp)" in done.err
    done = dragoman("detect", "*.gif")
    assert (done.code, done.err) == (1, "dragoman: no file is named like *.gif\n")
    done = dragoman("classify", ".", "--out", "drawn.png")
    assert done.code == 2
    assert "goes with one image, not 3" in done.err
    for name, text in (
        ("drawn.bmp", "must end in .png"), ("none/drawn.png", "there is no folder none"),
        ("more", "must end in"),
    ):  # fmt: skip
        done = dragoman("detect", "cat.jpg", "--out", name)
        assert (done.code, done.out) == (1, "")
        assert text in done.err


@pytest.mark.usefixtures("pictures")
def test_a_call_that_fails_names_its_images(server: FakeServer, dragoman: Command) -> None:
    server.fail("Classify", status_pb2.Status(code=5, message="no model is named 'x'"))
    done = dragoman("classify", ".", "--server", server.address)
    assert (done.code, done.out) == (1, "")
    assert done.err == "dragoman: cat.jpg to more/fish.PNG: no model is named 'x'\n"
    done = dragoman("classify", "cat.jpg", "--server", server.address)
    assert done.err == "dragoman: no model is named 'x'\n"


@pytest.mark.usefixtures("pictures", "looking")
def test_people_get_a_table(dragoman: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    out = dragoman("classify", "cat.jpg", "-k", "1").out
    assert out.split() == ["IMAGE", "CLASS", "PROBABILITY", "cat.jpg", "cat", "0.5000"]


# --- verify ---


@pytest.mark.usefixtures("looking")
def test_decisions_are_printed_with_distance_and_threshold(
    dragoman: Command, pictures: Path
) -> None:
    for name, content in (("a.png", b"four"), ("b.png", b"fives"), ("c.png", b"sevenseven")):
        (pictures / name).write_bytes(content)
    done = dragoman("verify", "a.png", "b.png", "c.png")
    assert (done.code, done.err) == (0, "")
    assert lines(done.out) == [
        ["a.png", "b.png", "same", "0.2500", "0.5000"],
        ["a.png", "c.png", "different", "1.5000", "0.5000"],
    ]
    (found,) = objects(dragoman("verify", "a.png", "b.png", "--threshold", "0.1", "--json").out)
    assert (found["first"], found["second"], found["same"]) == ("a.png", "b.png", False)
    assert found["threshold"] == pytest.approx(0.1)
    done = dragoman("verify", "none.png", "b.png", "--json")
    assert (done.code, "error" in objects(done.out)[0]) == (1, True)


# --- pictures ---


@pytest.mark.usefixtures("looking")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["classify", "cat.jpg"], [">cat<", ">dog<", ">fish<", ">0.500<"]),
        (["detect", "dog.webp"], [">dog 0.75<"]),
        (["verify", "cat.jpg", "cat.jpg"], [">same: distance 0.000, threshold 0.500<"]),
    ],
)
def test_results_are_drawn(
    dragoman: Command, pictures: Path, arguments: list[str], words: list[str]
) -> None:
    done = dragoman(*arguments, "--out", "drawn.svg")
    assert done.code == 0, done.err
    drawn = (pictures / "drawn.svg").read_text()
    assert all(word in drawn for word in words)
    assert "<image" in drawn
    done = dragoman(*arguments, "--out", "drawn.png")
    assert (pictures / "drawn.png").read_bytes().startswith(b"\x89PNG"), done.err


def test_boxes_are_drawn_where_the_objects_are() -> None:
    image = np.zeros((20, 30, 3), dtype=np.uint8)
    boxes = [(1.0, 2.0, 11.0, 12.5), (20.0, 0.0, 30.0, 20.0)]
    found = [
        results.DetectedObject(
            box=results.Box(x_min=x, y_min=y, x_max=right, y_max=lower),
            class_id=number, label=f"${number}", score=0.25 + 0.5 * number,
        )
        for number, (x, y, right, lower) in enumerate(boxes)
    ]  # fmt: skip
    (axes,) = result_drawing.objects_figure(image, found).axes
    drawn: Any = axes.patches
    assert [(p.get_x(), p.get_y(), p.get_width(), p.get_height()) for p in drawn] == [
        (1.0, 2.0, 10.0, 10.5), (20.0, 0.0, 10.0, 20.0)
    ]  # fmt: skip
    assert [text.get_text() for text in axes.texts] == ["$0 0.25", "$1 0.75"]
    assert (axes.get_xlim(), axes.get_ylim()) == ((0.0, 30.0), (20.0, 0.0))


# --- galleries ---


def test_a_gallery_is_made_extended_and_asked(
    looking: FakeServer, dragoman: Command, pictures: Path
) -> None:
    done = dragoman("enrol", "cat.jpg", "--label", "Tom", "--gallery", "pets")
    assert (done.code, done.out) == (0, "pets/1\n"), done.err
    done = dragoman("enrol", "dog.webp", "--label", "Rex", "--gallery", "pets", "--json")
    (found,) = objects(done.out)
    assert (found["gallery"], found["labels"], found["images"]) == ("pets/2", ["Tom", "Rex"], 2)
    # The gallery's own model is asked from then on, whatever the server's default is.
    assert [r.model.version for r in looking.requests if hasattr(r, "images")] == [0, 3]
    done = dragoman("identify", "dog.webp", "more/fish.PNG", "--gallery", "pets", "-k", "2")
    assert (done.code, done.err) == (0, "")
    assert lines(done.out) == [
        ["dog.webp", "1", "Rex", "0.0000", "yes"],
        ["dog.webp", "2", "Tom", "1.4142", "no"],
        ["more/fish.PNG", "1", "Tom", "1.4142", "no"],
        ["more/fish.PNG", "2", "Rex", "1.4142", "no"],
    ]
    found = objects(dragoman("identify", ".", "--gallery", "pets/1", "--json").out)
    assert [one["label"] for one in found] == ["Tom", None, None]
    assert found[0]["matches"] == [
        {"label": "Tom", "distance": 0.0, "pictures": 1, "within_threshold": True}
    ]
    assert found[0]["threshold"] == 0.5


@pytest.mark.usefixtures("looking")
def test_a_folder_of_folders_is_enrolled_by_their_names(dragoman: Command, pictures: Path) -> None:
    for name, file in (("Ann", "cat.jpg"), ("Bob", "dog.webp")):
        (pictures / "people" / name).mkdir(parents=True)
        (pictures / "people" / name / file).write_bytes((pictures / file).read_bytes())
    done = dragoman("enrol", "--identities", "people", "--gallery", "known", "--json")
    (found,) = objects(done.out)
    assert (found["labels"], found["images"]) == (["Ann", "Bob"], 2)
    (found,) = objects(dragoman("identify", "dog.webp", "--gallery", "known", "--json").out)
    assert found["label"] == "Bob"


@pytest.mark.usefixtures("looking")
def test_nothing_is_enrolled_where_anything_is_wrong(dragoman: Command, pictures: Path) -> None:
    done = dragoman("enrol", "cat.jpg", "missing.png", "--label", "Tom", "--gallery", "pets")
    assert (done.code, done.out) == (1, "")
    assert "missing.png cannot be read" in done.err
    assert not (pictures / "pets").exists()
    for arguments in (["cat.jpg"], ["--label", "Tom"],
                      ["cat.jpg", "--label", "Tom", "--identities", "more"]):  # fmt: skip
        done = dragoman("enrol", *arguments, "--gallery", "pets")
        assert done.code == 2
        assert "give --label with IMAGES, or --identities" in done.err
    done = dragoman("identify", "cat.jpg", "--gallery", "pets")
    assert (done.code, done.out) == (1, "")
    assert "pets" in done.err


def test_vectors_of_another_model_are_not_compared(
    looking: FakeServer, dragoman: Command, pictures: Path
) -> None:
    assert dragoman("enrol", "cat.jpg", "--label", "Tom", "--gallery", "pets").code == 0
    embed = looking.answers["EmbedImage"]

    def newer(request: Any, context: Any) -> Any:
        response: Any = embed(request, context)
        response.model.version = 4
        return response

    looking.answers["EmbedImage"] = newer
    done = dragoman("identify", "cat.jpg", "--gallery", "pets", "--model", "eyes")
    assert (done.code, done.out) == (1, "")
    assert "'eyes' version 4, but the gallery holds vectors of 'eyes' version 3" in done.err


@pytest.mark.parametrize(
    ("extra", "package", "arguments"),
    [
        ("models", "numpy", ["identify", "a.png", "--gallery", "pets"]),
        ("plot", "matplotlib", ["detect", "a.png", "--out", "drawn.png"]),
    ],
)
def test_a_missing_extra_is_named(extra: str, package: str, arguments: list[str]) -> None:
    code = WITHOUT.format(package=package)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert f"pip install 'dragoman[{extra}]'" in done.stderr
