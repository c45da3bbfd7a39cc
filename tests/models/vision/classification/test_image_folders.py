"""Folders of classes: what decodes is taken, the rest is named; splits are even and disjoint."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dragoman_models.errors import TrainingError
from dragoman_models.vision.classification.image_folders import (
    LabelledFile,
    read_image_folder,
    split_files,
)


def write_image(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(3):
        write_image(tmp_path / "cats" / f"{number}.png", number)
        write_image(tmp_path / "dogs" / "deep" / f"{number}.png", 10 + number)
    return tmp_path


def test_images_are_found_at_any_depth(folder: Path) -> None:
    found = read_image_folder(folder)
    assert found.labels == ("cats", "dogs")
    assert found.skipped == ()
    assert [(one.path.name, one.class_id) for one in found.files] == [
        (f"{number}.png", class_id) for class_id in (0, 1) for number in range(3)
    ]


def test_what_is_left_out_is_named(folder: Path) -> None:
    (folder / "cats" / "notes.txt").write_text("none")
    whole = (folder / "cats" / "0.png").read_bytes()
    (folder / "cats" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "cats" / "copy.png").write_bytes(whole)
    (folder / "cats" / ".hidden.png").write_bytes(b"x")
    (folder / ".cache").mkdir()
    (folder / "empty").mkdir()
    write_image(folder / "cats" / "both.png", 77)
    (folder / "dogs" / "both.png").write_bytes((folder / "cats" / "both.png").read_bytes())
    write_image(folder / "single" / "1.png", 99)
    (folder / "cats" / "gone.png").symlink_to(folder / "nowhere")
    found = read_image_folder(folder)
    assert found.labels == ("cats", "dogs")
    assert len(found.files) == 6
    reasons = {str(path.relative_to(folder)): reason for path, reason in found.skipped}
    assert set(reasons) == {
        "cats/notes.txt", "cats/cut.png", "cats/copy.png", "cats/both.png", "dogs/both.png",
        "empty", "single/1.png",
    }  # fmt: skip
    assert "cut short" in reasons["cats/cut.png"]
    assert "is a copy of" in reasons["cats/copy.png"] or "0.png" in reasons
    assert reasons["dogs/both.png"] == "the same image stands in several classes"
    assert reasons["empty"] == "holds no image"
    assert reasons["single/1.png"] == "is the only image of its class"


def test_a_folder_without_two_classes_is_refused(folder: Path) -> None:
    with pytest.raises(TrainingError, match="cannot read the folder"):
        read_image_folder(folder / "nowhere")
    with pytest.raises(TrainingError, match=r"two or more folders.*; 0 such found"):
        read_image_folder(folder / "cats")
    for number in range(3):
        (folder / "dogs" / "deep" / f"{number}.png").write_bytes(b"no image")
    with pytest.raises(TrainingError, match=r"1 such found\. Left out, among 3: .*dogs"):
        read_image_folder(folder)


@given(
    counts=st.lists(st.integers(2, 30), min_size=2, max_size=5), seed=st.integers(0, 10**6),
    valid=st.floats(0.01, 0.6), test=st.floats(0, 0.39),
)  # fmt: skip
def test_splits_are_disjoint_whole_and_even(
    counts: list[int], seed: int, valid: float, test: float
) -> None:
    files = tuple(
        LabelledFile(path=Path(f"{class_id}/{number}"), class_id=class_id, digest="")
        for class_id, count in enumerate(counts)
        for number in range(count)
    )
    split = split_files(files, valid_share=valid, test_share=test, seed=seed)
    rows = np.concatenate([split.train, split.valid, split.test])
    assert sorted(rows.tolist()) == list(range(len(files)))
    of_class = np.array([file.class_id for file in files])
    for class_id, count in enumerate(counts):
        parts = [int((of_class[part] == class_id).sum()) for part in (split.train, split.valid)]
        assert min(parts) >= 1
        assert abs(parts[1] - valid * count) <= 1.5 or parts[0] == 1
    again = split_files(files, valid_share=valid, test_share=test, seed=seed)
    np.testing.assert_array_equal(split.train, again.train)
