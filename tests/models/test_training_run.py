"""A run's folder and checkpoint: whose they are, what they give back, and what the bar shows."""

import math
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from rich.progress import ProgressColumn

from dragoman_models.errors import TrainingError
from dragoman_models.training import load_checkpoint
from dragoman_models.training_run import (
    CHECKPOINT,
    RunCheckpoint,
    RunCounters,
    claim_folder,
    refuse_divergence,
    training_bar,
)


@dataclass(kw_only=True)
class Counters(RunCounters):
    losses: list[float] = field(default_factory=list)


def parts() -> dict[str, torch.nn.Linear]:
    return {"network": torch.nn.Linear(2, 3), "average": torch.nn.Linear(2, 3)}


def test_a_checkpoint_gives_parts_counters_and_values_back(tmp_path: Path) -> None:
    saved, others = parts(), parts()
    RunCheckpoint(tmp_path, saved, settings="a").save(
        Counters(update=7, losses=[2.5, math.inf]), random_state=torch.arange(3)
    )
    counters = Counters()
    values = RunCheckpoint(tmp_path, others, settings="a").restore(counters)
    assert counters == Counters(update=7, losses=[2.5, math.inf])
    assert values["random_state"].tolist() == [0, 1, 2]
    for name, part in saved.items():
        assert torch.equal(part.weight, others[name].weight)
    assert not torch.equal(others["network"].weight, others["average"].weight)
    assert set(load_checkpoint(tmp_path / CHECKPOINT)) == {
        "settings", "network", "average", "update", "losses", "random_state",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("or_other", "message"),
    [
        ("", "was begun with another recipe; resume with that"),
        (" or other images", "was begun with another recipe or other images; resume with those"),
    ],
)
def test_the_checkpoint_of_other_settings_changes_nothing(
    tmp_path: Path, or_other: str, message: str
) -> None:
    RunCheckpoint(tmp_path, parts(), settings="a").save(Counters(update=7))
    own, counters = parts(), Counters()
    before = own["network"].weight.clone()
    with pytest.raises(TrainingError, match=message):
        RunCheckpoint(tmp_path, own, settings="b", or_other=or_other).restore(counters)
    assert torch.equal(own["network"].weight, before)
    assert counters == Counters()


def test_a_folder_is_claimed_once_and_resumed_only_where_there_is_a_run(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "first"
    with pytest.raises(TrainingError, match=r"nothing to resume: .*checkpoint\.pt does not exist"):
        claim_folder(folder, begun=False, resume=True)
    assert not folder.exists()
    claim_folder(folder, begun=False, resume=False)
    claim_folder(folder, begun=True, resume=True)
    with pytest.raises(TrainingError, match="holds a training run; give --resume or another"):
        claim_folder(folder, begun=True, resume=False)
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match="cannot make the folder"):
        claim_folder(tmp_path / "file" / "run", begun=False, resume=False)


@pytest.mark.parametrize(
    ("loss", "norm", "message"),
    [
        (math.nan, None, "diverged at update 3; lower learning_rate$"),
        (math.inf, 1.0, "loss inf, gradient norm 1"),
        (1.0, math.nan, r"loss 1, gradient norm nan\); lower learning_rate or clip_norm"),
    ],
)
def test_what_is_not_finite_is_refused(loss: float, norm: float | None, message: str) -> None:
    refuse_divergence(3, 1.0)
    refuse_divergence(3, 1.0, 1e30)
    with pytest.raises(TrainingError, match=message):
        refuse_divergence(3, loss, norm)


def test_the_bar_shows_what_a_task_reports() -> None:
    columns = ("loss {task.fields[loss]:.3f}", "{task.fields[speed]:,.0f} tokens/s")
    with training_bar(*columns) as bar:
        bar.console.quiet = True
        task = bar.add_task("pass", total=1, loss=1.25, speed=3210.0)
        shown = [column for column in bar.columns if isinstance(column, ProgressColumn)]
        cells = [str(column.render(bar.tasks[task])) for column in shown]
    assert "loss 1.250" in cells
    assert "3,210 tokens/s" in cells
