"""How log lines look: text for people, or one JSON object a line for machines."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal


class TextFormatter(logging.Formatter):
    """2026-01-31T12:00:00.000Z INFO logger: message key=value ..."""

    def format(self, record: logging.LogRecord) -> str:
        head = f"{_time(record)} {record.levelname} {record.name}: {record.getMessage()}"
        fields = "".join(f" {key}={value}" for key, value in _fields(record).items())
        return "\n".join([head + fields, *_traceback(self, record)])


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        value: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        for text in _traceback(self, record):
            value["traceback"] = text
        return json.dumps(value, ensure_ascii=False, default=str)


def set_up_logging(level: str, log_format: Literal["text", "json"]) -> None:
    """Log to standard error, from `level` on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # It gives advice about its own command line, which a caller of the API cannot follow.
    logging.getLogger("sacrebleu").setLevel(logging.ERROR)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = getattr(record, "fields", {})
    return fields


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> list[str]:
    return [formatter.formatException(record.exc_info)] if record.exc_info else []
