"""Answers as JSON, one object a line."""

from __future__ import annotations

import enum
import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

import typer

from dragoman_client.errors import DragomanClientError
from dragoman_client.results import ModelVersion


def print_json(**values: Any) -> None:
    """Prints one object on one line, in UTF-8."""
    typer.echo(json.dumps(values, ensure_ascii=False, default=_plain))


def model_values(model: ModelVersion) -> dict[str, Any]:
    """Which model answered."""
    return {"model": model.name, "version": model.version}


def error_values(error: DragomanClientError) -> dict[str, Any]:
    """What went wrong with an item."""
    return {"error": {"code": error.code.name, "message": str(error)}}


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    return asdict(value)
