"""The tokens that a running server accepts, read again when their file changes."""

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from dragoman_server.errors import TokenFileError
from dragoman_server.security.file_signature import signature_of
from dragoman_server.security.grant import Grant
from dragoman_server.security.token_file import AcceptedToken, read_tokens
from dragoman_server.security.token_secret import id_in, is_text_of

_SECONDS_BETWEEN_LOOKS = 1.0
_log = logging.getLogger(__name__)


class AcceptedTokens:
    """Finds what a token grants.

    The file is looked at once a second at most, when a call comes. What can no longer be read, or
    was half written, leaves the tokens as they were, and is logged once.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises `TokenFileError` where the file is not sound."""
        self._path = path
        self._clock = clock
        self._signature = signature_of(path)
        self._tokens = _by_id(read_tokens(path))
        self._looked = clock()

    def grant_of(self, text: str) -> Grant | None:
        """What the token `text` grants; None where it is nobody's, or has expired."""
        self._reread()
        token = self._tokens.get(id_in(text) or "")
        sound = is_text_of(text, None if token is None else token.sha256)
        if token is None or not sound or token.has_expired():
            return None
        return token.grant()

    def _reread(self) -> None:
        now = self._clock()
        if now - self._looked < _SECONDS_BETWEEN_LOOKS:
            return
        self._looked = now
        signature = signature_of(self._path)
        if signature == self._signature:
            return
        self._signature = signature
        try:
            self._tokens = _by_id(read_tokens(self._path))
        except TokenFileError as error:
            _log.error("%s; the tokens stay as they were", error)
        else:
            _log.info("%d tokens read again from %s", len(self._tokens), self._path)


def _by_id(tokens: tuple[AcceptedToken, ...]) -> Mapping[str, AcceptedToken]:
    return {token.id: token for token in tokens}
