"""Makes, replaces and revokes the tokens of a file; a server that runs follows within a second."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dragoman_server.errors import ConfigError, TokenFileError
from dragoman_server.security.token_file import AcceptedToken, read_tokens, write_tokens
from dragoman_server.security.token_secret import NewToken, make_token


def create_token(path: Path, *, days: float | None = None, **values: Any) -> str:
    """The text of a new token, which is kept nowhere; `values` are fields of `AcceptedToken`.

    Raises `ConfigError` for a wrong value, and `TokenFileError` also where the name is taken.
    """
    tokens = read_tokens(path) if path.exists() else ()
    if any(one.name == values.get("name") for one in tokens):
        text = f"has a token {values['name']!r} already; rotate or revoke it, or give another name"
        raise TokenFileError(path, text)
    made = make_token()
    write_tokens(path, [*tokens, _accepted(made, values, days)])
    return made.text


def rotate_token(path: Path, name: str, *, keep_hours: float, days: float | None = None) -> str:
    """The text of a new token in place of the latest of that name, which ends after `keep_hours`.

    Raises `TokenFileError`.
    """
    tokens = read_tokens(path)
    old = [one for one in tokens if one.name == name and not one.has_expired()]
    if not old:
        raise _no_token(path, name, tokens)
    latest = max(old, key=lambda one: one.created)
    end = _now() + timedelta(hours=keep_hours)
    kept = [
        one.model_copy(update={"expires": min(one.expires or end, end)}) if one in old else one
        for one in tokens
        if one.name != name or one in old
    ]
    fields = ("name", "scopes", "calls_per_minute", "characters_per_minute")
    made = make_token()
    accepted = _accepted(made, {field: getattr(latest, field) for field in fields}, days)
    write_tokens(path, [*kept, accepted])
    return made.text


def revoke_token(path: Path, name: str) -> None:
    """Remove all tokens of a name. Raises `TokenFileError` also where there is none."""
    tokens = read_tokens(path)
    kept = [one for one in tokens if one.name != name]
    if len(kept) == len(tokens):
        raise _no_token(path, name, tokens)
    write_tokens(path, kept)


def _accepted(made: NewToken, values: dict[str, Any], days: float | None) -> AcceptedToken:
    now = _now()
    try:
        return AcceptedToken.model_validate(
            {
                **values,
                "id": made.token_id,
                "sha256": made.digest,
                "created": now,
                "expires": None if days is None else now + timedelta(days=days),
            }
        )
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        raise ConfigError(f"{problem['loc'][0]}: {problem['msg']}") from error


def _no_token(path: Path, name: str, tokens: Sequence[AcceptedToken]) -> TokenFileError:
    names = ", ".join(sorted({one.name for one in tokens})) or "none"
    return TokenFileError(path, f"has no token {name!r} that is still accepted; it has: {names}")


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
