"""Reads the TOML files that say how to train; whoever wrote one is told what is wrong, by name."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from dragoman_models.errors import TrainingError

Recipe = TypeVar("Recipe", bound=BaseModel)


def read_settings(path: Path) -> dict[str, Any]:
    """The settings in a recipe file.

    Raises:
        TrainingError: the file is missing or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"cannot read the recipe {path}: {error}") from error


def checked_recipe(kind: type[Recipe], settings: Mapping[str, Any], path: Path | None) -> Recipe:
    """The recipe that ``settings``, from the file ``path`` if there is one, make.

    Raises:
        TrainingError: a setting is wrong; each is named.
    """
    try:
        return kind.model_validate(settings)
    except ValidationError as error:
        problems = "; ".join(map(_described, error.errors()))
        raise TrainingError(f"{path}: {problems}" if path else problems) from error


def _described(problem: Mapping[str, Any]) -> str:
    field = ".".join(map(str, problem["loc"]))
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{field}: {message}" if field else message
