"""The file of accepted tokens: JSON with hashes, never the tokens themselves.

    {"tokens": [{"name": "ci", "id": "0f3c...", "sha256": "9f86...", "scopes": ["use"],
                 "calls_per_minute": 600, "characters_per_minute": null,
                 "created": "2026-01-31T12:00:00Z", "expires": null}]}

Several tokens may share a name while one replaces the other; they share its quotas.
"""

import os
import stat
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from dragoman_server.errors import TokenFileError
from dragoman_server.security.grant import Grant, Scope

Quota = Annotated[int, Field(ge=1, le=1_000_000_000_000)]
TOKEN_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"  # noqa: S105 - a pattern, not a secret


class AcceptedToken(BaseModel):
    """One token that the server accepts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=f"^{TOKEN_NAME}$")]
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]
    calls_per_minute: Quota | None = None
    characters_per_minute: Quota | None = None
    created: AwareDatetime
    expires: AwareDatetime | None = None

    def has_expired(self, now: datetime | None = None) -> bool:
        return self.expires is not None and self.expires <= (now or datetime.now(UTC))

    def grant(self) -> Grant:
        """What the token grants."""
        return Grant(
            name=self.name,
            scopes=frozenset(self.scopes),
            calls_per_minute=self.calls_per_minute,
            characters_per_minute=self.characters_per_minute,
        )


class _Content(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens: tuple[AcceptedToken, ...]

    @model_validator(mode="after")
    def _check_ids(self) -> "_Content":
        ids = [token.id for token in self.tokens]
        if len(set(ids)) < len(ids):
            raise ValueError("two tokens have the same id; make one of them anew")
        return self


def read_tokens(path: Path) -> tuple[AcceptedToken, ...]:
    """The tokens in a file.

    Raises `TokenFileError` where it cannot be read, anybody may write it, or it is no token file.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read()
    except OSError as error:
        raise TokenFileError(path, f"cannot be read: {error.strerror or error}") from error
    if not stat.S_ISREG(mode):
        raise TokenFileError(path, "is no file; name the file that `dragoman token create` wrote")
    if mode & stat.S_IWOTH:
        raise TokenFileError(path, f"may be written by anybody; run `chmod o-w {path}`")
    try:
        return _Content.model_validate_json(data).tokens
    except ValidationError as error:
        raise TokenFileError(path, _reason(error)) from error


def write_tokens(path: Path, tokens: Sequence[AcceptedToken]) -> None:
    """Replace the file as a whole, readable by its owner alone where it is new.

    Raises `TokenFileError` where it cannot be written, or is no longer valid.
    """
    try:
        content = _Content(tokens=tuple(tokens))
        # A link, as that of a mounted secret, is followed: the file behind it is replaced.
        target = path.resolve()
        _replace(target, content.model_dump_json(indent=2) + "\n")
    except ValidationError as error:
        raise TokenFileError(path, _reason(error)) from error
    except OSError as error:
        raise TokenFileError(path, f"cannot be written: {error.strerror or error}") from error


def _replace(path: Path, text: str) -> None:
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o600
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)  # noqa: PTH105 - mkstemp gives a name
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _reason(error: ValidationError) -> str:
    # Never the input itself: somebody may have written a token where its hash belongs.
    problem = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    text = problem["msg"].removeprefix("Value error, ")
    return f"is no file of accepted tokens: {f'{where}: ' if where else ''}{text}"
