"""`dragoman translate`: one line out for each line in, whatever becomes of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.clients.conftest import FakeServer

Command = Callable[..., Any]


@pytest.fixture
def server(translating_server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    monkeypatch.setenv("DRAGOMAN_SERVER", translating_server.address)
    return translating_server


def test_texts_are_translated_one_a_line(server: FakeServer, dragoman: Command) -> None:
    done = dragoman("translate", "-m", "shout", "-b", "3", "one two", "Straße")
    assert (done.code, done.out, done.err) == (0, "ONE TWO\nSTRASSE\n", "")
    (request,) = server.requests
    assert (request.model.name, request.options.beam_width) == ("shout", 3)


def test_options_reach_the_server(server: FakeServer, dragoman: Command) -> None:
    dragoman("translate", "a", "--n-best", "2", "--length-normalization", "average",
             "--length-penalty", "0.5", "--model", "shout/7")  # fmt: skip
    (request,) = server.requests
    assert (request.options.n_best, request.options.length_penalty) == (2, 0.5)
    assert request.options.length_normalization == 2
    assert request.model.version == 7
    assert not request.options.HasField("beam_width")


def test_phrases_and_groups_reach_the_server(server: FakeServer, dragoman: Command) -> None:
    dragoman("translate", "a", "b", "--require", "x y", "--require", "z", "--ban", "q",
             "--repetition-penalty", "1.5", "-b", "6", "--diverse-groups", "3",
             "--diversity-strength", "0.25")  # fmt: skip
    (request,) = server.requests
    assert [list(source.required_phrases) for source in request.sources] == [["x y", "z"]] * 2
    options = request.options
    assert (list(options.banned_phrases), options.repetition_penalty) == (["q"], 1.5)
    assert (options.diverse_beams.groups, options.diverse_beams.strength) == (3, 0.25)


def test_several_translations_stand_with_number_and_score(
    server: FakeServer, dragoman: Command
) -> None:
    done = dragoman("translate", "--n-best", "2", "a", "b")
    assert done.out == "1\t-0.5000\tA\n1\t-1.5000\tA!\n2\t-0.5000\tB\n2\t-1.5000\tB!\n"


def test_a_file_is_translated_line_by_line(
    server: FakeServer, dragoman: Command, tmp_path: Path
) -> None:
    path = tmp_path / "in.txt"
    path.write_text("one\n\n  \ntwo\n" * 50)
    done = dragoman("translate", "--file", str(path))
    assert (done.code, done.out, done.err) == (0, "ONE\n\n\nTWO\n" * 50, "")
    assert len(server.requests) == 4  # 200 lines, 64 a call


def test_an_error_of_one_line_keeps_the_output_in_step(
    server: FakeServer, dragoman: Command, tmp_path: Path
) -> None:
    path = tmp_path / "in.txt"
    path.write_text("one\n\nbad\ntwo\n")
    done = dragoman("translate", "--file", str(path))
    assert (done.code, done.out) == (1, "ONE\n\n\nTWO\n")
    assert done.err == "dragoman: line 3: is blank; give some text\n"


def test_json_has_an_object_for_every_line(
    server: FakeServer, dragoman: Command, tmp_path: Path
) -> None:
    path = tmp_path / "in.txt"
    path.write_text("łódź\n\nbad\n")
    done = dragoman("translate", "--file", str(path), "--json")
    assert done.code == 1
    assert "ŁÓDŹ" in done.out
    first, blank, bad = map(json.loads, done.out.splitlines())
    assert (first["line"], first["source"], first["translation"]) == (1, "łódź", "ŁÓDŹ")
    assert first["hypotheses"][0]["score"] == -0.5
    assert (first["model"], first["version"]) == ("shout", 2)
    assert (blank["line"], blank["translation"], blank["hypotheses"]) == (2, "", [])
    assert (bad["line"], bad["error"]["code"]) == (3, "INVALID_ARGUMENT")


def test_a_blank_text_given_by_itself_is_an_error(server: FakeServer, dragoman: Command) -> None:
    done = dragoman("translate", "")
    assert (done.code, done.out, done.err) == (1, "\n", "dragoman: is blank; give some text\n")
    done = dragoman("translate", "a", "bad")
    assert (done.code, done.out) == (1, "A\n\n")
    assert done.err == "dragoman: text 2: is blank; give some text\n"


def test_an_error_of_a_call_names_its_lines(
    server: FakeServer, dragoman: Command, tmp_path: Path
) -> None:
    path = tmp_path / "in.txt"
    path.write_text("one\n" * 64 + "full\n" + "two\n")
    done = dragoman("translate", "--file", str(path))
    assert (done.code, done.out) == (1, "ONE\n" * 64)
    assert done.err == "dragoman: lines 65 to 66: the queue is full\n"


def test_files_that_cannot_be_read(server: FakeServer, dragoman: Command, tmp_path: Path) -> None:
    done = dragoman("translate", "--file", str(tmp_path / "missing"))
    assert (done.code, done.out) == (1, "")
    assert "missing: No such file or directory" in done.err
    path = tmp_path / "latin.txt"
    path.write_bytes(b"one\n\xe9t\xe9\n")
    done = dragoman("translate", "--file", str(path))
    assert (done.code, done.out) == (1, "ONE\n")
    assert "latin.txt, line 2: is not UTF-8 (byte 0xe9 at position 1)" in done.err


def test_standard_input_in_any_locale(server: FakeServer, dragoman_process: Command) -> None:
    text = "café\n\n日本語 🙂\n\u05e9\u05dc\u05d5\u05dd\n"
    for locale in ("C", "en_US.ISO-8859-1"):
        environment = {
            "PATH": os.environ["PATH"],
            "DRAGOMAN_SERVER": server.address,
            "LC_ALL": locale,
            "PYTHONUTF8": "0",
            "PYTHONCOERCECLOCALE": "0",
        }
        done = dragoman_process("translate", stdin=text.encode(), environment=environment)
        assert (done.code, done.out, done.err) == (0, text.replace("café", "CAFÉ"), "")


def test_bytes_that_are_not_utf8_as_an_argument(
    server: FakeServer, dragoman_process: Command
) -> None:
    done = dragoman_process("translate", os.fsdecode(b"caf\xe9"))
    assert (done.code, done.out) == (1, "")
    assert "sources[0].text: character 4 is a lone surrogate" in done.err


@pytest.fixture
def endless(server: FakeServer) -> Any:
    """`dragoman translate` with pipes at both ends."""
    command = [sys.executable, "-m", "dragoman_client", "translate"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0) as process:
        yield process
        process.kill()


def test_lines_are_answered_as_they_come(endless: Any) -> None:
    for word in (b"one\n", b"two\n", b"three\n"):
        endless.stdin.write(word)
        assert endless.stdout.readline() == word.upper()  # though standard input is still open
    endless.stdin.close()
    assert endless.wait(timeout=30) == 0


def test_a_reader_that_goes_away_is_no_error_message(endless: Any) -> None:
    endless.stdin.write(b"one\n")
    assert endless.stdout.readline() == b"ONE\n"
    endless.stdout.close()
    endless.stdin.write(b"two\n")
    endless.stdin.close()
    assert endless.wait(timeout=30) == 141
    assert endless.stderr.read() == b""


def test_ctrl_c_ends_quietly(endless: Any) -> None:
    endless.stdin.write(b"one\n")
    assert endless.stdout.readline() == b"ONE\n"
    endless.send_signal(signal.SIGINT)
    assert endless.wait(timeout=30) == 130
    assert endless.stderr.read() == b""


def test_output_that_cannot_be_written_is_an_error(server: FakeServer) -> None:
    command = [sys.executable, "-m", "dragoman_client", "translate", "one"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == 1
    assert b"cannot read or write the output: No space left on device" in done.stderr
