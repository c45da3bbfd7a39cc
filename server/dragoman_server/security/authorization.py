"""Who calls, and whether the caller may: from the metadata of a call alone."""

from collections.abc import Iterable

from dragoman_server.errors import AccessDeniedError, NotAuthenticatedError
from dragoman_server.security.accepted_tokens import AcceptedTokens
from dragoman_server.security.access_rules import is_open, scopes_for
from dragoman_server.security.grant import Grant, Scope

AUTHORIZATION_KEY = "authorization"
_SCHEME = "bearer"
_LONGEST_TOKEN = 512
_NOTHING = Grant(name="", scopes=frozenset())

Metadata = Iterable[tuple[str, str | bytes]]


class Authorization:
    """Decides on every call by its method and its `authorization: Bearer TOKEN`.

    Without a file of tokens, everybody who reaches the server may use it, and administer it where
    only this machine reaches it.
    """

    def __init__(self, tokens: AcceptedTokens | None, *, only_this_machine: bool) -> None:
        self._tokens = tokens
        scopes = frozenset(Scope) if only_this_machine else frozenset({Scope.USE})
        self._everybody = Grant(name="", scopes=scopes)

    def grant_of(self, method: str, metadata: Metadata) -> Grant:
        """What an allowed call may do.

        Raises `NotAuthenticatedError` and `AccessDeniedError`.
        """
        if is_open(method):
            return _NOTHING
        grant = self._everybody if self._tokens is None else self._named(self._tokens, metadata)
        needed = scopes_for(method)
        if not needed & grant.scopes:
            raise AccessDeniedError(self._denial(method, grant, needed))
        return grant

    def _named(self, tokens: AcceptedTokens, metadata: Metadata) -> Grant:
        values = [value for key, value in metadata if key == AUTHORIZATION_KEY]
        if not values:
            raise NotAuthenticatedError(
                "this server asks for a token; send it as `authorization: Bearer TOKEN`, "
                "for example with --token-file or DRAGOMAN_TOKEN"
            )
        text = _token_in(values)
        grant = None if text is None else tokens.grant_of(text)
        if grant is None:
            raise NotAuthenticatedError(
                "the token is not one that this server accepts, or it has expired; "
                "ask who runs the server for a new one"
            )
        return grant

    def _denial(self, method: str, grant: Grant, needed: frozenset[Scope]) -> str:
        scopes = " or ".join(sorted(scope.value for scope in needed))
        if self._tokens is None:
            return (
                f"{method} needs the scope {scopes}, which nobody has over the network without a "
                "token; start the server with accepted_tokens"
            )
        return f"{method} needs the scope {scopes}, which the token {grant.name!r} does not have"


def _token_in(values: list[str | bytes]) -> str | None:
    """The token of the one header that there may be; None where it is not as it should be."""
    if len(values) != 1 or not isinstance(values[0], str):
        return None
    scheme, _, token = values[0].partition(" ")
    token = token.strip()
    return token if scheme.lower() == _SCHEME and len(token) <= _LONGEST_TOKEN else None
