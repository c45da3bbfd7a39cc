"""`dragoman import-vectors` and `export-vectors`: round trips, choices, and clear refusals."""

from __future__ import annotations

import gzip
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dragoman_models.bundle import read_bundle
from dragoman_models.embeddings.formats import vector_writer
from dragoman_models.embeddings.formats.byte_source import open_bytes

Command = Callable[..., Any]
GLOVE = "the 0.5 -1\ncafé 2 3.25\n東京 1 0\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "vectors.txt"
    path.write_text(GLOVE, encoding="utf-8")
    return path


def test_vectors_become_a_bundle_with_its_card(
    dragoman: Command, source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "models" / "mine" / "1"
    done = dragoman(
        "import-vectors", str(source), "--out", str(out), "--license", "CC0-1.0",
        "--origin", "a test", "--language", "en", "--language", "ja",
    )  # fmt: skip
    assert (done.code, done.out) == (0, f"{out}\n"), done.err
    assert done.err == "dragoman: 3 words of 2 dimensions\n"
    bundle = read_bundle(out)
    assert bundle.config["license"] == "CC0-1.0"
    assert bundle.config["source_languages"] == ["en", "ja"]
    assert "a test" in bundle.card


@pytest.mark.parametrize(
    ("flags", "name", "expected"),
    [
        (["--format", "glove-text"], "v.txt", GLOVE.encode()),
        ([], "v.txt", b"3 2\n" + GLOVE.encode()),
        (["--format", "fasttext-vec"], "v.vec", b"3 2\n" + GLOVE.encode()),
        (["--format", "glove-text"], "v.txt.gz", GLOVE.encode()),
    ],
)
def test_a_bundle_is_written_as_other_programs_read_it(
    dragoman: Command, source: Path, tmp_path: Path, flags: list[str], name: str, expected: bytes
) -> None:
    bundle, out = tmp_path / "mine" / "1", tmp_path / name
    assert dragoman("import-vectors", str(source), "--out", str(bundle)).code == 0
    done = dragoman("export-vectors", str(bundle), "--out", str(out), *flags)
    assert (done.code, done.out, done.err) == (0, f"{out}\n", "dragoman: 3 words\n")
    data = out.read_bytes()
    assert (gzip.decompress(data) if name.endswith(".gz") else data) == expected
    again = dragoman("export-vectors", str(bundle), "--out", str(out), *flags)
    assert again.code == 1
    assert "already exists; give another name" in again.err
    assert out.read_bytes() == data


def test_repeated_words_are_reported_or_refused(
    dragoman: Command, source: Path, tmp_path: Path
) -> None:
    source.write_text("a 1\n" + "".join(f"a {i}\nb{i} 1\n" for i in range(30)))
    out = tmp_path / "mine" / "1"
    refused = dragoman("import-vectors", str(source), "--out", str(out), "--duplicates", "refuse")
    assert refused.code == 1
    assert f"{source} line 2: repeats the word 'a' of line 1" in refused.err
    done = dragoman("import-vectors", str(source), "--out", str(out))
    assert done.code == 0
    assert "31 words of 1 dimensions" in done.err
    assert "left out 'a' at 2: the word stands before" in done.err
    assert "left out 30 repeated words in all" in done.err


def test_only_the_first_words_and_the_index(
    dragoman: Command, source: Path, tmp_path: Path
) -> None:
    source.write_text("".join(f"w{i} {i % 7 - 3.5} {i % 11 - 5.5} {i}\n" for i in range(200)))
    out = tmp_path / "mine" / "1"
    done = dragoman(
        "import-vectors", str(source), "--out", str(out), "--words", "150", "--index", "hnsw",
        "--encoding", "int16-rows",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "of the 10 nearest words" in done.err
    config = read_bundle(out).config
    assert (config["vocabulary_size"], config["encoding"]) == (150, "int16-rows")
    assert config["approximate_index"]["kind"] == "hnsw"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a 1 2\nb 1\n", "line 2: has 1 numbers where 2 are due"),
        (b"3 1\na 1\n", "it is cut short"),
        (b"caf\xe9 1\n", "is not UTF-8"),
        (b"", "is empty"),
        (gzip.compress(b"a 1\n" * 99)[:-5], "gzip is cut short or damaged"),
    ],
)
def test_a_wrong_file_is_named_and_leaves_nothing(
    dragoman: Command, source: Path, tmp_path: Path, content: bytes, message: str
) -> None:
    source.write_bytes(content)
    done = dragoman("import-vectors", str(source), "--out", str(tmp_path / "mine" / "1"))
    assert (done.code, done.out) == (1, "")
    assert str(source) in done.err
    assert message in done.err
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize(
    ("out", "message"), [("mine/one", "is not NAME/VERSION"), ("mine/1", "already exists")]
)
def test_a_folder_that_cannot_be_written_is_refused_before_reading(
    dragoman: Command, source: Path, tmp_path: Path, out: str, message: str
) -> None:
    (tmp_path / "mine" / "1").mkdir(parents=True)
    source.write_text("not read\n")
    done = dragoman("import-vectors", str(source), "--out", str(tmp_path / out))
    assert done.code == 1
    assert message in done.err


@pytest.mark.parametrize("flag", ["--format", "--encoding", "--index", "--duplicates",
                                  "--invalid-utf8"])  # fmt: skip
def test_wrong_usage_names_the_flag(
    dragoman: Command, source: Path, tmp_path: Path, flag: str
) -> None:
    done = dragoman("import-vectors", str(source), "--out", str(tmp_path / "m" / "1"), flag, "x")
    assert done.code == 2
    assert f"Invalid value for {flag}: must be one of" in done.err


def test_missing_files_are_named(dragoman: Command, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    done = dragoman("import-vectors", nowhere, "--out", str(tmp_path / "m" / "1"))
    assert done.code == 1
    assert f"{nowhere}" in done.err
    assert "No such file" in done.err
    done = dragoman("export-vectors", str(tmp_path / "m" / "1"), "--out", nowhere)
    assert done.code == 1
    assert "there is no such file or folder" in done.err or "No such file" in done.err


def test_ctrl_c_leaves_no_file(
    dragoman: Command, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, out = tmp_path / "mine" / "1", tmp_path / "folder" / "v.txt"
    out.parent.mkdir()
    assert dragoman("import-vectors", str(source), "--out", str(bundle)).code == 0

    def interrupt(*_: object) -> bytes:
        signal.raise_signal(signal.SIGINT)
        return b""

    monkeypatch.setattr(vector_writer, "_text", interrupt)
    assert dragoman("export-vectors", str(bundle), "--out", str(out)).code == 130
    assert not list(out.parent.iterdir())


@pytest.mark.parametrize("packed", [False, True])
def test_progress_adds_up_to_the_bytes_on_disk(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "file"
    data = bytes(range(256)) * 1000
    path.write_bytes(gzip.compress(data) if packed else data)
    seen: list[int] = []
    with open_bytes(path, seen.append) as file:
        assert b"".join(iter(lambda: file.read(1 << 16), b"")) == data
    # The first buffer may be read again, after the look at its first bytes.
    assert path.stat().st_size <= sum(seen) <= path.stat().st_size + (1 << 17)
