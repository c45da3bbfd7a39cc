"""Tokens to text as they come: whole characters only, and nothing behind a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from dragoman_models.language_model.text_vocabulary import TextVocabulary


class TextStream:
    """The text of one continuation, piece by piece.

    Bytes of a character are held back until it is whole, and text that may be the beginning of a
    stop string until it is clear that it is not.
    """

    def __init__(
        self, vocabulary: TextVocabulary, prompt: str, stop_strings: Sequence[str] = ()
    ) -> None:
        self._vocabulary = vocabulary
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stop_strings = tuple(stop_strings)
        self._held = ""
        # A word begins with a blank, which is not wanted where the prompt has one, or none at all.
        self._drop_blank = vocabulary.kind != "characters" and (not prompt or prompt[-1].isspace())
        self.stopped = False

    def add(self, token: int) -> str:
        """The text that is certain now; "" after a stop string was met."""
        data = self._vocabulary.token_bytes(token)
        if self._drop_blank and data:
            data, self._drop_blank = data.removeprefix(b" "), False
        return self._release(self._decoder.decode(data), last=False)

    def finish(self) -> str:
        """What was held back, at the end; an unfinished character gives U+FFFD."""
        return self._release(self._decoder.decode(b"", True), last=True)

    def _release(self, text: str, *, last: bool) -> str:
        if self.stopped:
            return ""
        self._held += text
        found = [at for stop in self._stop_strings if (at := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            released, self._held = self._held[: min(found)], ""
            return released
        keep = 0 if last else self._possible_stop()
        cut = len(self._held) - keep
        released, self._held = self._held[:cut], self._held[cut:]
        return released

    def _possible_stop(self) -> int:
        """Length of the longest end of the held text that begins a stop string."""
        return max(
            (
                size
                for stop in self._stop_strings
                for size in range(1, min(len(stop), len(self._held) + 1))
                if self._held.endswith(stop[:size])
            ),
            default=0,
        )
