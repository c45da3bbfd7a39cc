"""The file of tokens: what it keeps, what it refuses, and that a running server follows it."""

from __future__ import annotations

import hmac
import json
import logging
import re
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman_server.errors import TokenFileError
from dragoman_server.security import token_secret
from dragoman_server.security.accepted_tokens import AcceptedTokens
from dragoman_server.security.grant import Scope
from dragoman_server.security.token_file import AcceptedToken, read_tokens, write_tokens
from dragoman_server.security.token_secret import digest_of, id_in, is_text_of, make_token


def accepted(made: token_secret.NewToken, name: str = "ci", **more: Any) -> AcceptedToken:
    values: dict[str, Any] = {"scopes": ["use"], "created": datetime.now(UTC), **more}
    return AcceptedToken(name=name, id=made.token_id, sha256=made.digest, **values)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_tokens_differ_and_are_found_by_their_ids() -> None:
    made = [make_token() for _ in range(100)]
    assert len({one.text for one in made}) == len({one.token_id for one in made}) == 100
    for one in made:
        assert id_in(one.text) == one.token_id
        assert is_text_of(one.text, one.digest)
        assert not is_text_of(one.text, made[0].digest) or one is made[0]
        assert one.text not in repr(one)


@given(st.text())
def test_no_other_text_is_a_token(text: str) -> None:
    assert id_in(text) is None or re.fullmatch("dragoman_[0-9a-f]{12}_.{43}", text)
    assert not is_text_of(text, make_token().digest)
    assert not is_text_of(text, None)


def test_an_unknown_token_is_compared_like_a_known_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, unknown = make_token(), make_token()
    path = tmp_path / "tokens.json"
    write_tokens(path, [accepted(known)])
    tokens = AcceptedTokens(path)
    compared: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def counting(first: str, second: str) -> bool:
        compared.append((len(first), len(second)))
        return bool(compare(first, second))

    monkeypatch.setattr(hmac, "compare_digest", counting)
    wrong = known.text[:-1] + ("A" if known.text[-1] != "A" else "B")
    found = [tokens.grant_of(text) for text in (known.text, wrong, unknown.text, "", "x")]
    assert [caller is not None for caller in found] == [True, False, False, False, False]
    assert compared == [(64, 64)] * 5


def test_the_file_holds_hashes_and_is_its_owners_alone(tmp_path: Path) -> None:
    made = make_token()
    path = tmp_path / "tokens.json"
    write_tokens(path, [accepted(made, calls_per_minute=5, scopes=["use", "administer"])])
    text = path.read_text()
    assert made.text not in text
    assert made.text.rpartition("_")[2] not in text
    assert digest_of(made.text) in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (found,) = read_tokens(path)
    assert found.grant().scopes == frozenset(Scope)
    assert (found.calls_per_minute, found.characters_per_minute) == (5, None)
    assert [one.name for one in tmp_path.iterdir()] == ["tokens.json"]


def test_a_link_to_the_file_stays_one(tmp_path: Path) -> None:
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    write_tokens(real, [])
    link.symlink_to(real)
    write_tokens(link, [accepted(make_token())])
    assert link.is_symlink()
    assert len(read_tokens(real)) == 1


def _content(**changes: object) -> str:
    token: dict[str, object] = {
        "name": "ci", "id": "0" * 12, "sha256": "0" * 64, "scopes": ["use"],
        "created": "2026-01-31T12:00:00Z",
    }  # fmt: skip
    return json.dumps({"tokens": [token | changes]})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "no file of accepted tokens"),
        ("{}", "tokens: "),
        ("[]", "no file of accepted tokens"),
        ('{"tokens": [], "secret": 1}', "secret: "),
        (_content(scopes=[]), "scopes: "),
        (_content(scopes=["root"]), r"scopes\.0: "),
        (_content(sha256="dragoman_hunter2"), "sha256: "),
        (_content(name="../../etc"), "name: "),
        (_content(name="a\nb"), "name: "),
        (_content(calls_per_minute=0), "calls_per_minute: "),
        (_content(created="2026-01-31T12:00:00"), "created: .*timezone"),
        (_content()[:-2] + "," + _content()[12:], "same id"),
    ],
)
def test_what_is_no_token_file_is_refused_without_repeating_it(
    tmp_path: Path, content: str, reason: str
) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(content)
    with pytest.raises(TokenFileError, match=reason) as caught:
        read_tokens(path)
    assert "hunter2" not in str(caught.value)


def test_a_file_that_anybody_may_write_or_nobody_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    write_tokens(path, [])
    path.chmod(0o666)
    with pytest.raises(TokenFileError, match="chmod o-w"):
        read_tokens(path)
    with pytest.raises(TokenFileError, match="cannot be read: No such file"):
        read_tokens(tmp_path / "none.json")
    with pytest.raises(TokenFileError, match="Is a directory"):
        read_tokens(tmp_path)
    with pytest.raises(TokenFileError, match="cannot be written"):
        write_tokens(tmp_path / "no" / "folder.json", [])


@pytest.fixture
def following(tmp_path: Path) -> tuple[Path, Clock, Callable[[], AcceptedTokens]]:
    clock = Clock()
    path = tmp_path / "tokens.json"
    return path, clock, lambda: AcceptedTokens(path, clock)


def test_a_changed_file_is_followed(
    following: tuple[Path, Clock, Callable[[], AcceptedTokens]],
) -> None:
    path, clock, start = following
    first, second = make_token(), make_token()
    write_tokens(path, [accepted(first)])
    tokens = start()
    assert tokens.grant_of(first.text)
    write_tokens(path, [accepted(first), accepted(second, "new", calls_per_minute=7)])
    clock.now += 2
    caller = tokens.grant_of(second.text)
    assert caller is not None
    assert (caller.name, caller.calls_per_minute) == ("new", 7)
    write_tokens(path, [accepted(second)])  # the first is revoked
    clock.now += 2
    assert tokens.grant_of(first.text) is None
    assert tokens.grant_of(second.text)


def test_a_broken_file_leaves_the_tokens_as_they_were_and_is_logged_once(
    following: tuple[Path, Clock, Callable[[], AcceptedTokens]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    path, clock, start = following
    made = make_token()
    write_tokens(path, [accepted(made)])
    tokens = start()
    for damage in ("write", "remove"):
        caplog.clear()
        if damage == "write":
            path.write_text('{"tokens": [{"sha256": "hunter2"')
        else:
            path.unlink()
        for _ in range(3):
            clock.now += 2
            assert tokens.grant_of(made.text)
        errors = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
        assert len(errors) == 1
        assert "hunter2" not in errors[0]
    write_tokens(path, [])
    clock.now += 2
    assert tokens.grant_of(made.text) is None


def test_a_token_ends_when_it_expires(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    past, future = make_token(), make_token()
    now = datetime.now(UTC)
    write_tokens(
        path,
        [
            accepted(past, "past", expires=now - timedelta(seconds=1)),
            accepted(future, "future", expires=now + timedelta(hours=1)),
        ],
    )
    tokens = AcceptedTokens(path)
    assert tokens.grant_of(past.text) is None
    assert tokens.grant_of(future.text)
    assert read_tokens(path)[1].has_expired(now + timedelta(hours=1))
