"""Ways in which the folder of a bundle can be wrong."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def corrupt(folder: Path) -> None:
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x77")


def truncate(folder: Path) -> None:
    os.truncate(folder / "weights.safetensors", 100)


def make_foreign(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"\x08\x01")


def make_oversized(folder: Path) -> None:
    with (folder / "weights.safetensors").open("r+b") as file:
        file.truncate(50_000_000_000)  # a hole: it takes no space, and no time as it is not read


def make_endless(folder: Path) -> None:
    (folder / "CARD.md").unlink()
    os.mkfifo(folder / "CARD.md")


def point_outside(folder: Path) -> None:
    (folder / "CARD.md").unlink()
    (folder / "CARD.md").symlink_to("/etc/passwd")
