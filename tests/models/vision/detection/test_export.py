"""Measuring a finished run and making its bundle."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file
from typer.testing import CliRunner

from dragoman_models.bundle import read_bundle
from dragoman_models.metrics.average_precision import (
    COCO_IOU_THRESHOLDS,
    ImageObjects,
    PrecisionRecall,
    mean_average_precision,
    precision_recall,
)
from dragoman_models.registry import load_model
from dragoman_models.vision.detection.coco_evaluation import coco_figures
from dragoman_models.vision.detection.detector import SingleShotDetector
from dragoman_models.vision.detection.export import main
from dragoman_models.vision.detection.network import DetectorNetwork
from dragoman_models.vision.detection.threshold import at_threshold, best_threshold
from dragoman_models.vision.detection.voc_dataset import VocDataset
from dragoman_models.vision.results import DetectionOptions

_LOG = """\
epoch,update,seconds,learning_rate,train_loss,box_loss,objectness_loss,class_loss,held_out_map50
1,2,3.5,0.001,6.5,2.5,3,1,
2,4,3.5,0.0001,4.5,1.5,2,1,0.25
"""


@pytest.fixture
def run(tmp_path: Path, network: DetectorNetwork) -> Path:
    folder = tmp_path / "runs" / "discs"
    folder.mkdir(parents=True)
    (folder / "network.json").write_text(network.config.model_dump_json())
    (folder / "log.csv").write_text(_LOG)
    save_file(network.state_dict(), folder / "weights.safetensors")
    return folder


@pytest.fixture
def recipe(tmp_path: Path, discs: Path) -> Path:
    (tmp_path / "test.txt").write_text("disc_01\ndisc_04\ndisc_05\n")
    path = tmp_path / "discs.toml"
    path.write_text(
        f'data = "{discs}"\ntest = "test.txt"\nheld_out = 3\nbatch_size = 4\ninput_size = 64\n'
    )
    return path


def words(run: Path, recipe: Path, out: Path) -> list[str]:
    given = {
        "run": run, "config": recipe, "out": out, "data": "drawn discs",
        "data-license": "CC0-1.0", "attribution": "nobody",
    }  # fmt: skip
    return [word for name, value in given.items() for word in (f"--{name}", str(value))]


def app() -> object:
    import typer

    made = typer.Typer()
    made.command()(main)
    return made


def exported(run: Path, recipe: Path, out: Path) -> tuple[int, str]:
    result = CliRunner().invoke(app(), words(run, recipe, out))  # type: ignore[arg-type]
    return result.exit_code, result.output


def test_a_bundle_is_measured_as_it_is_shipped(
    run: Path, recipe: Path, discs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "models" / "discs" / "1"
    code, output = exported(run, recipe, out)
    assert code == 0, output
    bundle = read_bundle(out)
    model = load_model(bundle)
    assert isinstance(model, SingleShotDetector)
    assert model.score_threshold == bundle.config["score_threshold"]
    dataset = VocDataset(discs, ["disc_01", "disc_04", "disc_05"])
    found, objects = [], []
    options = DetectionOptions(score_threshold=0.005, max_detections=100)
    for image in dataset.images:
        (answer,) = model.detect([dataset.pixels(image)], options)
        objects.append(ImageObjects(boxes=image.boxes, classes=image.classes))
        found.append(
            ImageObjects(
                boxes=np.array(
                    [[one.box.x_min, one.box.y_min, one.box.x_max, one.box.y_max] for one in answer]
                ).reshape(-1, 4),
                classes=np.array([one.class_id for one in answer], dtype=int),
                scores=np.array([one.score for one in answer]),
            )
        )
    measured = bundle.metrics["test"]
    assert measured["images"] == 3
    assert measured["objects"] == 6
    expected = mean_average_precision(objects, found, classes=2)
    assert measured["map50"] == pytest.approx(expected, abs=1e-4)
    assert bundle.file("precision-recall.png").startswith(b"\x89PNG")
    assert "drawn discs" in bundle.card
    assert "| 2 | 4.500 |" in bundle.card
    assert str(tmp_path) not in bundle.card + json.dumps(dict(bundle.metrics))


def test_an_unfinished_run_or_a_wrong_place_is_told(
    run: Path, recipe: Path, tmp_path: Path
) -> None:
    code, output = exported(run, recipe, tmp_path / "models" / "Discs" / "one")
    assert code == 1
    assert "is not NAME/VERSION" in output
    (run / "weights.safetensors").unlink()
    out = tmp_path / "models" / "discs" / "1"
    code, output = exported(run, recipe, out)
    assert code == 1
    assert "holds no finished run" in output
    assert not out.exists()


def test_without_a_test_list_nothing_is_measured(run: Path, recipe: Path, tmp_path: Path) -> None:
    recipe.write_text(recipe.read_text().replace('test = "test.txt"\n', ""))
    code, output = exported(run, recipe, tmp_path / "models" / "discs" / "1")
    assert code == 1
    assert "test: name a list" in output


def scene(seed: int) -> tuple[list[ImageObjects], list[ImageObjects]]:
    generator = np.random.default_rng(seed)
    low = generator.uniform(0, 80, (6, 8, 2))
    truth = np.concatenate([low, low + generator.uniform(8, 30, (6, 8, 2))], axis=2)
    classes = generator.integers(0, 2, (6, 8))
    moved = truth + generator.normal(0, 3, truth.shape)
    scores = generator.integers(1, 50, (6, 8)) / 50
    objects = [
        ImageObjects(boxes=one, classes=kind) for one, kind in zip(truth, classes, strict=True)
    ]
    found = [
        ImageObjects(boxes=one, classes=kind, scores=score)
        for one, kind, score in zip(moved, classes, scores, strict=True)
    ]
    return objects, found


def curves(seed: int) -> list[PrecisionRecall]:
    objects, found = scene(seed)
    return [
        precision_recall(objects, found, class_id=class_id, iou_threshold=0.5)
        for class_id in range(2)
    ]


@pytest.mark.parametrize("seed", range(3))
def test_pycocotools_and_our_own_measure_agree(seed: int) -> None:
    objects, found = scene(seed)
    figures = coco_figures(objects, found, classes=2)
    assert figures.map50 == pytest.approx(mean_average_precision(objects, found, classes=2))
    assert figures.map50_95 == pytest.approx(
        mean_average_precision(objects, found, classes=2, iou_thresholds=COCO_IOU_THRESHOLDS)
    )
    assert np.mean(figures.ap50) == pytest.approx(figures.map50)
    assert np.mean(figures.ap50_95) == pytest.approx(figures.map50_95)


@pytest.mark.parametrize("seed", range(5))
def test_no_other_threshold_has_a_better_f1(seed: int) -> None:
    every = curves(seed)
    chosen = best_threshold(every)
    best = at_threshold(every, chosen).f1
    assert best == max(at_threshold(every, score).f1 for score in np.linspace(0, 1, 501))
    assert 0 < best < 1


def test_precision_and_recall_at_a_threshold_are_counted() -> None:
    objects, found = scene(9)
    every = curves(9)
    for threshold in (0.1, 0.5, 0.9):
        kept = [
            ImageObjects(
                boxes=one.boxes[one.scores >= threshold],
                classes=one.classes[one.scores >= threshold],
                scores=one.scores[one.scores >= threshold],
            )
            for one in found
            if one.scores is not None
        ]
        ends = [
            precision_recall(objects, kept, class_id=class_id, iou_threshold=0.5)
            for class_id in range(2)
        ]
        right = sum(round(one.recall[-1] * one.objects) for one in ends if len(one.recall))
        at = at_threshold(every, threshold)
        assert at.recall == pytest.approx(right / 48)
        assert at.precision == pytest.approx(right / sum(len(one.boxes) for one in kept))


def test_where_nothing_is_found_a_threshold_is_given_all_the_same() -> None:
    nothing = PrecisionRecall(
        precision=np.empty(0), recall=np.empty(0), scores=np.empty(0), objects=4
    )
    assert best_threshold([nothing]) == 0.5
    assert at_threshold([nothing], 0.5).f1 == 0
