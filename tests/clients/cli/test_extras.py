"""`dragoman serve` and `dragoman train` without their extras, and with wrong settings."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dragoman_client.cli.training_options import how_to_resume

Command = Callable[..., Any]

# The command where a package that only an extra brings is not installed.
WITHOUT = """
import sys
sys.modules[{package!r}] = None
from dragoman_client.cli import main
main()
"""


@pytest.mark.parametrize(
    ("extra", "package", "arguments"),
    [
        ("server", "pydantic_settings", ["serve"]),
        ("train", "torch", ["train", "translation", "--config", "a.toml", "--out", "run"]),
    ],
)
def test_a_missing_extra_is_named(extra: str, package: str, arguments: list[str]) -> None:
    code = WITHOUT.format(package=package)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert f"package {package}, which is not installed: pip install 'dragoman[{extra}]'" in (
        done.stderr
    )


def test_a_wrong_setting_of_the_server_is_wrong_usage(dragoman: Command, tmp_path: Path) -> None:
    done = dragoman("serve", "--address", "nowhere")
    assert done.code == 2
    assert "'nowhere' is no HOST:PORT" in done.err
    done = dragoman("serve", "--config", str(tmp_path / "missing.toml"))
    assert done.code == 2
    assert "missing.toml" in done.err


def test_a_wrong_recipe_is_an_error(dragoman: Command, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("source_language = 1\n")
    done = dragoman("train", "translation", "--config", str(recipe), "--out", str(tmp_path / "run"))
    assert (done.code, done.out) == (1, "")
    assert "source_language" in done.err


def test_an_interrupted_training_says_how_to_go_on(tmp_path: Path) -> None:
    config, out = tmp_path / "my recipe.toml", tmp_path / "run"
    assert "no checkpoint yet" in how_to_resume("translation", out, config=config)
    out.mkdir()
    (out / "checkpoint.pt").touch()
    assert how_to_resume("translation", out, config=config, seed=None) == (
        f"go on with: dragoman train translation --config '{config}' --out {out} --resume"
    )
    assert how_to_resume("image-embedder", out, config=None, identities=Path("people")) == (
        f"go on with: dragoman train image-embedder --identities people --out {out} --resume"
    )
