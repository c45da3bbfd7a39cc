"""What tokens add to a text, byte by byte, and which bytes belong to letters of words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

WORD, OTHER, UNKNOWN = 0, 256, 512  # what a symbol is beside its byte
SYMBOLS = 3 * 256
_UNSPACED = re.compile(  # scripts that put no blanks between words: Thai to Khmer, kana, Han
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff]"
)


def is_word_character(character: str) -> bool:
    """Whether a word goes on with ``character``: letters, digits, marks and the underscore,
    but not of scripts that are written without blanks."""
    if _UNSPACED.match(character):
        return False
    return (
        character.isalnum() or character == "_" or unicodedata.category(character).startswith("M")
    )


class TokenBytes:
    """The bytes of all V tokens as symbols: a byte, plus what its character is.

    A byte of 128 or more that stands alone in its token is UNKNOWN: its character is spelled out
    by several tokens.

    Attributes:
        symbols: (V, longest) of int16; -1 behind a token's last byte.
        longest: bytes of the longest token.
    """

    def __init__(self, tokens: Sequence[bytes]) -> None:
        """Args: tokens: what each adds to a text; nothing for special ones."""
        self.tokens = tuple(tokens)
        self.longest = max(map(len, tokens), default=0)
        self.symbols: npt.NDArray[np.int16] = np.full((len(tokens), self.longest), -1, np.int16)
        for token, content in enumerate(tokens):
            self.symbols[token, : len(content)] = _symbols(content)
        # The token of exactly these bytes; a piece goes before the byte of the same spelling.
        self.by_bytes = {
            content: token for token, content in reversed(list(enumerate(tokens))) if content
        }
        self.by_bytes |= {
            content: token for token, content in enumerate(tokens) if len(content) == 1
        }

    def continues_word(self) -> npt.NDArray[np.bool_]:
        """(V,) tokens that begin with a character of a word, or what may be one."""
        first: npt.NDArray[np.int64] = self.symbols[:, :1].astype(np.int64).sum(axis=1)
        found: npt.NDArray[np.bool_] = (first >= 0) & (first // 256 != OTHER // 256)
        return found if self.longest else np.zeros(len(self.tokens), np.bool_)


def _symbols(content: bytes) -> list[int]:
    try:
        characters = content.decode()
    except UnicodeDecodeError:
        return [byte + (UNKNOWN if byte > 127 else _kind(chr(byte))) for byte in content]
    return [byte + _kind(one) for one in characters for byte in one.encode()]


def _kind(character: str) -> int:
    return WORD if is_word_character(character) else OTHER
