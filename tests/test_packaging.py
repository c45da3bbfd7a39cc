"""The wheel holds the four roots whole, and its base install is the light client."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path, PurePosixPath

import pytest
from packaging.requirements import Requirement

REPOSITORY = Path(__file__).resolve().parent.parent
ROOTS = ("proto", "models", "server", "clients")
LIGHT = {"googleapis-common-protos", "grpcio", "grpcio-status", "protobuf", "rich", "typer"}

# Runs in a process of its own, where importing what only an extra brings is an error.
IMPORT_CLIENT = """
import importlib, importlib.abc, pkgutil, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"dragoman_models", "dragoman_server", "grpc_health", "numpy",
                                      "pydantic_settings", "sacrebleu", "sentencepiece", "torch"}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
import dragoman_client
for found in pkgutil.walk_packages(dragoman_client.__path__, "dragoman_client."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a wheel is built from, without the leftovers of earlier builds."""
    tree = tmp_path_factory.mktemp("tree")
    leftovers = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for root in ROOTS:
        shutil.copytree(REPOSITORY / root, tree / root, ignore=leftovers)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(REPOSITORY / name, tree / name)
    return tree


@pytest.fixture(scope="module")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel that ``tree`` gives."""
    output = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(output)]
    built = subprocess.run([*command, str(tree)], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = output.glob("*.whl")
    return zipfile.ZipFile(path)


def _installed(wheel: zipfile.ZipFile) -> set[str]:
    """What the wheel puts beside other packages, without its metadata."""
    return {name for name in wheel.namelist() if ".dist-info" not in PurePosixPath(name).parts[0]}


def _metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(wheel.read(name).decode())


def test_the_wheel_holds_every_file_of_the_four_roots(tree: Path, wheel: zipfile.ZipFile) -> None:
    expected = {
        path.relative_to(tree / root).as_posix()
        for root in ROOTS
        for package in (tree / root).glob("dragoman*/")
        for path in package.rglob("*")
        if path.is_file()
    }
    assert _installed(wheel) == expected


def test_every_package_is_marked_as_typed(wheel: zipfile.ZipFile) -> None:
    packages = {PurePosixPath(name).parts[0] for name in _installed(wheel)}
    assert packages == {"dragoman", "dragoman_models", "dragoman_server", "dragoman_client"}
    assert {f"{package}/py.typed" for package in packages} <= _installed(wheel)


def test_the_base_install_is_light(wheel: zipfile.ZipFile) -> None:
    lines = _metadata(wheel).get_all("Requires-Dist", [])
    requirements = [Requirement(line) for line in lines]
    assert {found.name for found in requirements if found.marker is None} == LIGHT


def test_the_whole_client_imports_without_the_extras() -> None:
    command = [sys.executable, "-c", IMPORT_CLIENT]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
