"""Translates any number of lines, some at a time, in constant memory and with nothing lost."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dragoman_client.client import Client
from dragoman_client.errors import DragomanClientError
from dragoman_client.options import TranslationOptions
from dragoman_client.requests.fields import Model
from dragoman_client.results import Translation

# What one call holds: enough for the server to gather well, and little enough for its deadline.
BATCH_LINES = 64
BATCH_BYTES = 16 * 1024

_LINE_BREAKS = re.compile(r"[\r\n]+")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a text without its end; ``number`` counts from 1."""

    number: int
    text: str


@dataclass(frozen=True, kw_only=True)
class TranslatedLine:
    """What became of one line: None for a blank one, whose translation is blank."""

    line: Line
    result: Translation | DragomanClientError | None

    @property
    def text(self) -> str:
        """The best translation on one line; empty for a blank line and for an error."""
        return one_line(self.result.text) if isinstance(self.result, Translation) else ""


def one_line(text: str) -> str:
    """``text`` without line breaks, which a model may write, so that lines stay in step."""
    return _LINE_BREAKS.sub(" ", text)


def gather(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Lines in batches for one call each."""
    batch: list[Line] = []
    size = 0
    for line in lines:
        added = len(line.text.encode("utf-8", "surrogatepass"))
        if batch and (len(batch) == BATCH_LINES or size + added > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += added
    if batch:
        yield batch


def translate_batch(
    client: Client,
    batch: Sequence[Line],
    *,
    model: Model = "",
    options: TranslationOptions | None = None,
    target_prefix: str = "",
    required_phrases: Sequence[str] = (),
    send_blank: bool = False,
) -> list[TranslatedLine]:
    """Translates the lines of one batch, in order; blank lines are not sent unless asked for.

    Raises:
        DragomanClientError: the call failed as a whole.
    """
    sent = [line for line in batch if send_blank or line.text.strip()]
    texts = [line.text for line in sent]
    answers = (
        client.translate(
            texts, model=model, options=options, target_prefix=target_prefix,
            required_phrases=required_phrases,
        )
        if texts
        else []
    )  # fmt: skip
    results = dict(zip((line.number for line in sent), answers, strict=True))
    return [TranslatedLine(line=line, result=results.get(line.number)) for line in batch]
