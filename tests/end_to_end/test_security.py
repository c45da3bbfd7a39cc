"""The server with TLS and tokens as an operator starts it, and the command as a caller uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dragoman_client.cli import command

if TYPE_CHECKING:
    from tests.conftest import Authority
    from tests.end_to_end.conftest import RunningServer

Run = Callable[..., "Ended"]


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command in this process, without the start of one, in an environment of its own."""

    def ended(*arguments: str, **environment: str) -> Ended:
        with monkeypatch.context() as changed:
            for name, value in environment.items():
                changed.setenv(name, value)
            with pytest.raises(SystemExit) as exit_:
                command()(list(arguments), prog_name="dragoman")
        out, err = capfd.readouterr()
        return Ended(code=int(exit_.value.code or 0), out=out, err=err)

    return ended


@dataclass(frozen=True, kw_only=True)
class Secured:
    """A server with TLS and the token "ci", and where its files are."""

    server: RunningServer
    ca_file: Path
    tokens: Path
    token: str


@pytest.fixture
def secured(
    new_authority: Callable[[str], Authority],
    start_server: Callable[..., AbstractContextManager[RunningServer]],
    tmp_path: Path,
    run: Run,
) -> Iterator[Secured]:
    authority = new_authority("ours")
    certificate, key = authority.issue("server")
    tokens = tmp_path / "tokens.json"
    made = run("token", "create", "--name", "ci", "--file", str(tokens))
    assert (made.code, made.err) == (0, "")
    settings = (
        f'accepted_tokens = "{tokens}"\nlog_level = "debug"\n'
        f'[tls]\ncertificate = "{certificate}"\nkey = "{key}"'
    )
    with start_server(settings) as server:
        assert server.next_line().startswith("ready: ")
        yield Secured(
            server=server, ca_file=authority.ca_file, tokens=tokens, token=made.out.strip()
        )


def test_the_command_calls_with_tls_and_a_token(secured: Secured, tmp_path: Path, run: Run) -> None:
    ca = ("--server", secured.server.address, "--tls-ca", str(secured.ca_file))
    file = tmp_path / "token"
    file.write_text(f"{secured.token}\n")
    for arguments, environment in (
        (("--token", secured.token), {}),
        (("--token-file", str(file)), {}),
        ((), {"DRAGOMAN_TOKEN": secured.token}),
        ((), {"DRAGOMAN_TOKEN_FILE": str(file)}),
    ):
        done = run("models", *ca, *arguments, **environment)
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith("babel\t1\ttranslation\tready")
    done = run("translate", *ca, "--token", secured.token, "the cat", "--max-length", "3")
    assert done.code == 0
    done = run("models", *ca)
    assert (done.code, done.out) == (1, "")
    assert "this server asks for a token" in done.err
    done = run("models", *ca, "--token", secured.token[:-3] + "xyz")
    assert (done.code, done.out) == (1, "")
    assert "not one that this server accepts" in done.err
    done = run("health", *ca)
    assert (done.code, done.out) == (0, "serving\n")
    log = secured.server.log.read_text(encoding="utf-8")
    assert secured.token[-43:] not in log
    assert "token=ci" in log
    _check_rotation(secured, run)


def _check_rotation(secured: Secured, run: Run) -> None:
    """Tokens are rotated and revoked while the server runs."""
    ca = ("--server", secured.server.address, "--tls-ca", str(secured.ca_file))
    file = ("--file", str(secured.tokens))

    def works(token: str) -> bool:
        return run("models", *ca, "--token", token).code == 0

    again = run("token", "create", "--name", "ci", *file)
    assert again.code == 1
    assert "has a token 'ci' already" in again.err
    rotated = run("token", "rotate", "--name", "ci", "--keep-old-for-hours", "1", *file)
    new = rotated.out.strip()
    assert new != secured.token
    until = time.monotonic() + 60
    while not works(new) and time.monotonic() < until:  # the file is looked at once a second
        time.sleep(0.2)
    assert works(new)
    assert works(secured.token)
    rows = [line.split("\t") for line in run("token", "list", *file).out.splitlines()]
    assert [(row[0], row[2], row[5] == "-") for row in rows] == [
        ("ci", "use", False),
        ("ci", "use", True),
    ]
    assert run("token", "revoke", "--name", "ci", *file).code == 0
    assert run("token", "revoke", "--name", "ci", *file).code == 1
    until = time.monotonic() + 60
    while works(new) and time.monotonic() < until:
        time.sleep(0.2)
    assert not works(new)
    assert json.loads(secured.tokens.read_text()) == {"tokens": []}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("token", "create", "--name", "a/b"), "name: "),
        (("token", "create", "--name", "a", "--scope", "root"), "scopes: "),
        (("token", "create", "--name", "a", "--calls-per-minute", "0"), "calls-per-minute"),
        (("token", "rotate", "--name", "a"), "cannot be read"),
        (("token", "list"), "cannot be read"),
    ],
)
def test_wrong_tokens_are_refused_and_no_file_is_left(
    tmp_path: Path, arguments: tuple[str, ...], message: str, run: Run
) -> None:
    done = run(*arguments, "--file", str(tmp_path / "tokens.json"))
    assert done.code in (1, 2)
    assert message in done.err
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("serve", "--tls-key", "none.key"), "certificate and key belong together"),
        (("models", "--server", "192.0.2.1:1", "--token", "secret-1"), "in plaintext"),
        (("models", "--tls-ca", "none.pem"), "none.pem cannot be read"),
        (("models", "--token-file", "none.token"), "none.token cannot be read"),
        (("health", "--server", "127.0.0.1:1", "--timeout", "1"), "127.0.0.1:1"),
    ],
)
def test_what_is_not_safe_is_refused_with_the_fix(
    arguments: tuple[str, ...], message: str, run: Run
) -> None:
    done = run(*arguments)
    assert done.code in (1, 2)
    assert message in " ".join(done.err.split())
    assert "Traceback" not in done.err
    assert "secret-1" not in done.err


def test_the_network_is_not_served_in_plaintext(repository: Path) -> None:
    serve = [
        *(sys.executable, "-m", "dragoman_server", "--address", "0.0.0.0:0"),
        *("--models", str(repository)),
    ]
    environment = os.environ | {"DRAGOMAN_SHIPPED_MODELS": "false"}
    refused = subprocess.run(
        serve, capture_output=True, encoding="utf-8", env=environment, timeout=100, check=False
    )
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "--allow-plaintext-on-network" in refused.stderr
