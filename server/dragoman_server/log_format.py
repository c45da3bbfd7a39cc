"""How log lines look: text for people, or one JSON object a line for machines."""

import json
import logging
import sys
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

_WRITE_FAILED = "ExecuteBatchError raised in core"


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
    handler.addFilter(_is_worth_a_line)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Looked up for every line, and shown in none.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # It gives advice about its own command line, which a caller of the API cannot follow.
    logging.getLogger("sacrebleu").setLevel(logging.ERROR)


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Not that a caller left while an answer was written to it: gRPC logs a traceback then, so that
    whoever leaves often would fill the log. The line of the call says that it was cancelled."""
    return not (record.name.startswith("grpc.") and _WRITE_FAILED in record.getMessage())


def _time(record: logging.LogRecord) -> str:
    seconds, milliseconds = divmod(int(record.created * 1_000), 1_000)
    return f"{_second(seconds)}.{milliseconds:03}Z"


@lru_cache(maxsize=1)  # a busy server writes thousands of lines in a second
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = getattr(record, "fields", {})
    return fields


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> list[str]:
    return [formatter.formatException(record.exc_info)] if record.exc_info else []
