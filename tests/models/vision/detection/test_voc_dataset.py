"""Reading a Pascal VOC data set, with all that can be wrong with one."""

import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from tests.models.vision.detection.voc_writer import write_annotation, write_image

from dragoman_models.errors import TrainingError
from dragoman_models.vision.detection.voc_dataset import VocDataset, read_names


def grey(height: int = 40, width: int = 60) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    return np.full((height, width, 3), 90, dtype=np.uint8)


def one_image(
    folder: Path, name: str = "cell", **corners: tuple[float, float, float, float]
) -> None:
    write_image(folder, name, grey())
    objects = [(label, box) for label, box in (corners or {"red": (1, 1, 10, 20)}).items()]
    write_annotation(folder, name, objects, (60, 40))


def test_boxes_run_from_the_first_pixels_edge_to_the_last_ones(tmp_path: Path) -> None:
    one_image(tmp_path, red=(1, 1, 60, 40), white=(11, 6, 20, 40))
    dataset = VocDataset(tmp_path)
    assert dataset.labels == ("red", "white")
    (image,) = dataset.images
    assert (image.width, image.height) == (60, 40)
    assert image.boxes.tolist() == [[0, 0, 60, 40], [10, 5, 20, 40]]
    assert image.classes.tolist() == [0, 1]
    assert dataset.pixels(image).shape == (40, 60, 3)
    assert dataset.skipped == []


def test_a_tar_is_read_as_its_folder_is(discs: Path, tmp_path: Path) -> None:
    archive = tmp_path / "discs.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(discs, arcname="VOCdevkit/discs")
    plain, packed = VocDataset(discs), VocDataset(archive)
    assert [one.name for one in plain.images] == [one.name for one in packed.images]
    for one, other in zip(plain.images, packed.images, strict=True):
        assert np.array_equal(one.boxes, other.boxes)
        assert np.array_equal(plain.pixels(one), packed.pixels(other))


@pytest.mark.parametrize(
    "corners", [(5, 7, 5, 7), (5, 7, 5, 20), (20, 7, 5, 20), (5, 20, 9, 7), (70, 5, 80, 10)]
)
def test_boxes_without_an_area_are_named_and_left_out(
    tmp_path: Path, corners: tuple[float, float, float, float]
) -> None:
    one_image(tmp_path, red=(1, 1, 10, 20), white=corners)
    dataset = VocDataset(tmp_path)
    assert len(dataset.images[0].boxes) == 1
    (skipped,) = dataset.skipped
    assert str(skipped).startswith("cell: object 2 (white) has no width or height")


def test_boxes_that_reach_out_of_the_image_are_clipped(tmp_path: Path) -> None:
    one_image(tmp_path, red=(-5, 30, 70, 99))
    assert VocDataset(tmp_path).images[0].boxes.tolist() == [[0, 29, 60, 40]]


def test_damaged_files_are_named_and_left_out(tmp_path: Path) -> None:
    for name in ("good", "short", "noxml", "unnamed", "cornerless", "sizes", "endless"):
        one_image(tmp_path, name)
    image = tmp_path / "JPEGImages" / "short.png"
    noise = np.random.default_rng(1).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    write_image(tmp_path, "short", noise)
    image.write_bytes(image.read_bytes()[:900])
    annotations = tmp_path / "Annotations"
    (annotations / "noxml.xml").write_text("<annotation><object>")
    write_annotation(tmp_path, "unnamed", [("", (1, 1, 5, 5))], (60, 40))
    (annotations / "cornerless.xml").write_text(
        "<annotation><object><name>red</name></object></annotation>"
    )
    write_annotation(tmp_path, "sizes", [("red", (1, 1, 5, 5))], (640, 480))
    write_annotation(tmp_path, "endless", [("red", (1, 1, float("nan"), 5))], (60, 40))
    write_image(tmp_path, "alone", grey())
    write_annotation(tmp_path, "imageless", [("red", (1, 1, 5, 5))], (60, 40))
    dataset = VocDataset(tmp_path)
    assert [one.name for one in dataset.images] == ["good"]
    reasons = {one.name: one.reason for one in dataset.skipped}
    for name, part in {
        "short": "is a PNG that is cut short",
        "noxml": "is not XML",
        "unnamed": "object 1 of its annotation has no name",
        "cornerless": "object 1 (red) of its annotation has no xmin, ymin, xmax and ymax",
        "sizes": "its annotation is of (640, 480) pixels, the image has (60, 40)",
        "endless": "is not finite",
        "alone": "it has no annotation",
        "imageless": "its annotation has no image",
    }.items():
        assert part in reasons[name], reasons[name]
    assert len(reasons) == 8


def test_a_list_chooses_images_and_names_those_that_are_missing(discs: Path) -> None:
    dataset = VocDataset(discs, ["disc_03", "disc_99", "disc_01"])
    assert [one.name for one in dataset.images] == ["disc_03", "disc_01"]
    assert [str(one) for one in dataset.skipped] == [
        "disc_99: there is no such image; the image is left out"
    ]


def test_an_image_without_objects_stays(tmp_path: Path) -> None:
    one_image(tmp_path, "full")
    write_image(tmp_path, "empty", grey())
    write_annotation(tmp_path, "empty", [], (60, 40))
    dataset = VocDataset(tmp_path)
    assert [len(one.boxes) for one in dataset.images] == [0, 1]
    assert dataset.images[0].boxes.shape == (0, 4)


def test_what_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="holds no data set"):
        VocDataset(tmp_path)
    with pytest.raises(TrainingError, match="cannot read the data set"):
        VocDataset(tmp_path / "missing.tar")
    (tmp_path / "text.tar").write_text("not a tar")
    with pytest.raises(TrainingError, match="cannot read the data set"):
        VocDataset(tmp_path / "text.tar")
    one_image(tmp_path)
    with pytest.raises(TrainingError, match="'red' is none of the labels white"):
        VocDataset(tmp_path, labels=["white"])
    with pytest.raises(TrainingError, match=r"no image can be used \(first: other:"):
        VocDataset(tmp_path, ["other"])


def test_an_image_that_vanishes_or_changes_is_told(discs: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copy"
    shutil.copytree(discs, copied)
    dataset = VocDataset(copied)
    path = copied / "JPEGImages" / "disc_00.png"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(TrainingError, match="disc_00 has changed"):
        dataset.pixels(dataset.images[0])
    path.unlink()
    with pytest.raises(TrainingError, match="disc_00"):
        dataset.pixels(dataset.images[0])


def test_lists_of_names_are_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    path.write_text("b\n\n a \r\n")
    assert read_names(path) == ("b", "a")
    path.write_text("a\nb\na\n")
    with pytest.raises(TrainingError, match="names a twice"):
        read_names(path)
    path.write_text("\n")
    with pytest.raises(TrainingError, match="names no images"):
        read_names(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(TrainingError, match="cannot read the list"):
        read_names(path)
    with pytest.raises(TrainingError, match="cannot read the list"):
        read_names(tmp_path / "none.txt")


def test_entities_of_an_annotation_are_not_followed(tmp_path: Path) -> None:
    one_image(tmp_path, "good")
    one_image(tmp_path, "evil")
    secret = tmp_path / "secret.txt"
    secret.write_text("hidden")
    (tmp_path / "Annotations" / "evil.xml").write_text(
        f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{secret}">]><annotation><object><name>&x;</name>'
        "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox></object>"
        "</annotation>"
    )
    dataset = VocDataset(tmp_path)
    assert dataset.labels == ("red",)
    assert "has no name" in dataset.skipped[0].reason
