"""The text of a token, and what is kept of it.

A token is `dragoman_ID_SECRET`: 12 hexadecimal digits to find it by, and 256 random bits. Only the
SHA-256 of the whole text is kept. A slow password hash would add nothing: it makes guessing dear
where people choose secrets, and nobody can go through 2^256 of them.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

_TOKEN = re.compile(r"dragoman_(?P<id>[0-9a-f]{12})_[A-Za-z0-9_-]{43}")
_NOBODYS_DIGEST = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, kw_only=True)
class NewToken:
    """A token that was just made; `text` is known only now."""

    token_id: str
    text: str
    digest: str

    def __repr__(self) -> str:
        return f"NewToken(token_id={self.token_id!r})"


def make_token() -> NewToken:
    """A new token from the operating system's random numbers."""
    token_id = secrets.token_hex(6)
    text = f"dragoman_{token_id}_{secrets.token_urlsafe(32)}"
    return NewToken(token_id=token_id, text=text, digest=digest_of(text))


def id_in(text: str) -> str | None:
    """The id in a token's text; None where it is no token."""
    match = _TOKEN.fullmatch(text)
    return None if match is None else match["id"]


def digest_of(text: str) -> str:
    """The SHA-256 of a token's text, in hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def is_text_of(text: str, digest: str | None) -> bool:
    """Whether `digest` is of this text, in a time that depends on neither.

    None stands for a token that nobody has: it takes as long, and is False.
    """
    same = hmac.compare_digest(digest_of(text), digest or _NOBODYS_DIGEST)
    return same and digest is not None
