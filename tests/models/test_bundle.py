"""Laws of bundles: read gives what was written, nothing is ever half written, damage is refused."""

import errno
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dragoman_models import bundle as bundle_module
from dragoman_models.bundle import Bundle, is_model_name, is_version, read_bundle, write_bundle
from dragoman_models.errors import BundleError
from dragoman_models.tensor_file import decode_numpy, decode_torch, encode_tensors

FILES = ["config.json", "weights.safetensors", "metrics.json", "CARD.md", "vocabulary.txt"]


def write_small(folder: Path, **changes: Any) -> Path:
    parts: dict[str, Any] = {
        "config": {"family": "word-vectors", "note": "é 🙂"},
        "tensors": {"vectors": np.arange(6, dtype=np.float32).reshape(2, 3)},
        "files": {"vocabulary.txt": "été\nnaïve\n".encode()},
        "metrics": {"accuracy": 0.5},
        "card": "# A card\n",
    }
    write_bundle(folder, **(parts | changes))
    return folder


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write_small(tmp_path / "tiny" / "1")


def reason_of(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        read_bundle(folder)
    assert str(folder) in str(caught.value)
    return caught.value.reason


def test_reading_gives_what_was_written(small: Path) -> None:
    bundle = read_bundle(small)
    assert (bundle.name, bundle.version, bundle.family) == ("tiny", 1, "word-vectors")
    assert bundle.path == small
    assert bundle.config == {"family": "word-vectors", "note": "é 🙂"}
    assert bundle.metrics == {"accuracy": 0.5}
    assert bundle.card == "# A card\n"
    assert bundle.file("vocabulary.txt").decode() == "été\nnaïve\n"
    np.testing.assert_array_equal(bundle.numpy_tensors()["vectors"], [[0, 1, 2], [3, 4, 5]])


def test_sha256sum_agrees(small: Path) -> None:
    run = subprocess.run(
        ["sha256sum", "--strict", "-c", "SHA256SUMS"],
        cwd=small, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert sorted(run.stdout.split("\n")) == ["", *sorted(f"{name}: OK" for name in FILES)]


def test_the_same_parts_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = (write_small(tmp_path / name / "1") for name in ("one", "two"))
    for name in [*FILES, "SHA256SUMS"]:
        assert (first / name).read_bytes() == (second / name).read_bytes()


numbers = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4).flatmap(
    lambda shape: st.sampled_from([np.float32, np.float16, np.int8, np.int64, np.bool_]).flatmap(
        lambda dtype: hnp.arrays(dtype, shape)
    )
)


@given(st.dictionaries(st.text(st.characters(codec="ascii"), min_size=1), numbers, max_size=4))
def test_numpy_tensors_come_back_bit_for_bit(tensors: dict[str, np.ndarray]) -> None:
    back = decode_numpy(encode_tensors(tensors))
    assert back.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert back[name].dtype == tensor.dtype
        assert back[name].shape == tensor.shape
        assert back[name].tobytes() == tensor.tobytes()


@pytest.mark.parametrize(
    "dtype", [torch.bfloat16, torch.float16, torch.float32, torch.int8, torch.int64]
)
def test_torch_tensors_keep_their_type(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(1)
    tensor = (torch.randn(3, 5, generator=generator) * 50).to(dtype)
    mixed: dict[str, torch.Tensor | np.ndarray] = {
        "a": tensor.T,
        "tied": tensor.T,
        "b": np.array([1.5], dtype=np.float16),
    }
    data = encode_tensors(mixed)
    as_torch, as_numpy = decode_torch(data), decode_numpy(data)
    for name in ("a", "tied"):
        assert as_torch[name].dtype == dtype
        assert torch.equal(as_torch[name], tensor.T)
        # numpy has no bfloat16: its values come as float32, which holds each of them exactly.
        np.testing.assert_array_equal(as_numpy[name].astype(np.float64), tensor.T.double().numpy())
    assert as_torch["b"].dtype == torch.float16


def test_a_parameter_that_needs_gradients_can_be_written() -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    assert torch.equal(decode_torch(encode_tensors({"p": parameter}))["p"], torch.ones(2))


def test_reading_numpy_tensors_does_not_import_torch(small: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from dragoman_models.bundle import read_bundle\n"
        "read_bundle(Path(sys.argv[1])).numpy_tensors(); print('torch' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(small)], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert run.stdout.strip() == "False"


# --- Damage -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_a_flipped_bit_is_found(small: Path, name: str, place: float) -> None:
    data = bytearray((small / name).read_bytes())
    data[int(place * (len(data) - 1))] ^= 1
    (small / name).write_bytes(data)
    assert reason_of(small).startswith(f"{name} does not match its checksum")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_found(small: Path, name: str, kept: float) -> None:
    data = (small / name).read_bytes()
    (small / name).write_bytes(data[: int(kept * len(data))])
    reason = reason_of(small)
    if kept == 0:
        assert reason.startswith(f"{name} is empty")
    elif name == "weights.safetensors" and kept == 0.99:
        length = len(data)
        assert reason.startswith(f"{name} is cut short: {int(kept * length)} of {length} bytes")
    else:
        assert reason.startswith(f"{name} does not match its checksum")


@pytest.mark.parametrize("name", [*FILES, "SHA256SUMS"])
def test_a_missing_file_is_found(small: Path, name: str) -> None:
    (small / name).unlink()
    assert reason_of(small) == f"the file {name} is missing"


@pytest.mark.parametrize("size", [0, 1, 40, 66])
def test_a_truncated_list_of_checksums_is_found(small: Path, size: int) -> None:
    data = (small / "SHA256SUMS").read_bytes()
    (small / "SHA256SUMS").write_bytes(data[:size])
    assert "SHA256SUMS" in reason_of(small)


@given(data=st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_list_of_checksums_is_refused_politely(small: Path, data: bytes) -> None:
    (small / "SHA256SUMS").write_bytes(data)
    reason_of(small)


def rewrite(folder: Path, name: str, data: bytes) -> None:
    """Replace a file and its checksum: what a careless or hostile writer would make."""
    (folder / name).write_bytes(data)
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    lines = [line for line in lines if not line.endswith(f"  {name}")]
    lines.append(f"{hashlib.sha256(data).hexdigest()}  {name}")
    (folder / "SHA256SUMS").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"not json", "config.json is not JSON"),
        (b'{"family": "word-vectors"', "config.json is not JSON"),
        (b'{"family": "word-vectors", "x": NaN}', "config.json is not JSON: NaN"),
        (b"[" * 100_000, "config.json is not JSON"),
        (b"[1]", "config.json must hold a JSON object, not a list"),
        (b"{}", 'config.json must name the model\'s "family"'),
        (b'{"family": 7}', 'config.json must name the model\'s "family"'),
        (b"\xff\xfe{}", "config.json is not UTF-8 text (byte 0)"),
    ],
)
def test_a_config_that_is_none_is_refused(small: Path, data: bytes, reason: str) -> None:
    rewrite(small, "config.json", data)
    assert reason_of(small).startswith(reason)


@pytest.mark.parametrize("data", [b"", b"garbage", b"\xff" * 100, (10**15).to_bytes(8, "little")])
@pytest.mark.parametrize("take", [Bundle.numpy_tensors, Bundle.torch_tensors])
def test_foreign_weights_are_refused(
    small: Path, data: bytes, take: Callable[[Bundle], object]
) -> None:
    rewrite(small, "weights.safetensors", data)
    bundle = read_bundle(small)
    with pytest.raises(BundleError, match=r"weights\.safetensors: not a readable safetensors file"):
        take(bundle)


@pytest.mark.parametrize("name", ["config.json", "SHA256SUMS"])
def test_a_link_that_leads_out_is_refused(small: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    (small / name).rename(outside)
    (small / name).symlink_to(outside)
    assert reason_of(small) == f"{name} is a link that leads out of the bundle"


def test_a_link_to_itself_is_refused(small: Path) -> None:
    (small / "CARD.md").unlink()
    (small / "CARD.md").symlink_to("CARD.md")
    assert "CARD.md" in reason_of(small)


def test_a_folder_or_a_pipe_in_place_of_a_file_is_refused(small: Path) -> None:
    (small / "CARD.md").unlink()
    os.mkfifo(small / "CARD.md")
    assert reason_of(small) == "CARD.md is not a regular file"
    (small / "CARD.md").unlink()
    (small / "CARD.md").mkdir()
    assert reason_of(small) == "CARD.md is not a regular file"


@pytest.mark.parametrize("name", ["../1/CARD.md", "/etc/passwd", "a/b", "..", ".hidden"])
def test_a_path_in_the_list_of_checksums_is_refused(small: Path, name: str) -> None:
    with (small / "SHA256SUMS").open("a") as file:
        file.write(f"{'0' * 64}  {name}\n")
    assert reason_of(small).startswith("SHA256SUMS line 6 is not")


@pytest.mark.parametrize("name", ["../1/CARD.md", "/etc/passwd", "other", ""])
def test_only_the_bundles_own_files_can_be_read(small: Path, name: str) -> None:
    with pytest.raises(BundleError, match="the bundle has no file"):
        read_bundle(small).file(name)


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "foreign" / "1"
    assert reason_of(folder) == "there is no such folder"
    folder.mkdir(parents=True)
    assert reason_of(folder) == "the file SHA256SUMS is missing"
    (folder / "SHA256SUMS").write_text(f"{'0' * 64}  model.bin\n")
    assert reason_of(folder) == "config.json is not listed in SHA256SUMS, so this is no bundle"


# --- Names --------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["0", "01", "1.0", "-1", "v1", "one", "\u0661", "1 ", "9" * 10])
def test_a_version_that_is_no_whole_number_is_refused(tmp_path: Path, version: str) -> None:
    assert not is_version(version)
    with pytest.raises(BundleError, match="not a whole number from 1"):
        write_small(tmp_path / "tiny" / version)
    with pytest.raises(BundleError, match="not a whole number from 1"):
        read_bundle(tmp_path / "tiny" / version)


@pytest.mark.parametrize("name", [".hidden", "UPPER", "a b", "é", "a\n", "-a", "x" * 129, "a\0b"])
def test_a_name_that_could_play_tricks_is_refused(tmp_path: Path, name: str) -> None:
    assert not is_model_name(name)
    with pytest.raises(BundleError, match=r"model name .* is not allowed"):
        write_small(tmp_path / name / "1")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "/a", "a\\b"])
def test_a_path_is_not_a_model_name(name: str) -> None:
    assert not is_model_name(name)


@pytest.mark.parametrize("name", ["fr-en", "glove-100d", "a", "0", "x" * 128, "en.v2_small"])
def test_plain_names_are_allowed(name: str) -> None:
    assert is_model_name(name)


@pytest.mark.parametrize("name", ["config.json", "SHA256SUMS", "../x", "a/b", "", ".x", "x\n"])
def test_an_extra_file_cannot_replace_another(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match="cannot be the name of an extra file"):
        write_small(tmp_path / "tiny" / "1", files={name: b""})
    assert list(tmp_path.iterdir()) == []


# --- Writing, whole or not at all ---------------------------------------------------------------


def test_a_bundle_is_never_replaced(small: Path) -> None:
    before = {path.name: path.read_bytes() for path in small.iterdir()}
    with pytest.raises(BundleError, match="already exists"):
        write_small(small, card="# Another\n")
    assert {path.name: path.read_bytes() for path in small.iterdir()} == before
    assert [path.name for path in small.parent.iterdir()] == ["1"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"config": {}}, "config must name"),
        ({"config": {"family": "x", "y": float("nan")}}, "config.json cannot be written as JSON"),
        ({"metrics": {"y": object()}}, "metrics.json cannot be written as JSON"),
        ({"card": " \n"}, "the card is empty"),
    ],
)
def test_wrong_parts_are_refused_and_leave_nothing(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(BundleError, match=reason):
        write_small(tmp_path / "tiny" / "1", **changes)
    assert list(tmp_path.iterdir()) == []


def fail_at(monkeypatch: pytest.MonkeyPatch, name: str, error: BaseException) -> None:
    """Half-write the file `name`, then fail."""
    write_file = bundle_module._write_file

    def failing(path: Path, data: bytes) -> None:
        if path.name == name:
            path.write_bytes(data[: len(data) // 2])
            raise error
        write_file(path, data)

    monkeypatch.setattr(bundle_module, "_write_file", failing)


@pytest.mark.parametrize("name", [*FILES, "SHA256SUMS"])
def test_a_full_disk_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    fail_at(monkeypatch, name, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    with pytest.raises(BundleError, match="cannot be written: No space left on device"):
        write_small(tmp_path / "deep" / "tiny" / "1")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_no_trace_and_keeps_other_versions(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at(monkeypatch, "metrics.json", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        write_small(small.parent / "2")
    assert [path.name for path in small.parent.iterdir()] == ["1"]
    read_bundle(small)


def test_a_failed_rename_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(self: Path, target: Path) -> Path:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(BundleError, match="Input/output error"):
        write_small(tmp_path / "tiny" / "1")
    assert list(tmp_path.iterdir()) == []


def test_every_file_and_folder_is_flushed_before_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def recorded_fsync(descriptor: int) -> None:
        events.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def recorded_rename(self: Path, target: Path) -> Path:
        events.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(Path, "rename", recorded_rename)
    write_small(tmp_path / "tiny" / "1")
    at = events.index("rename")
    assert set(events[: at - 1]) == {*FILES, "SHA256SUMS"}
    assert events[at - 1].endswith(".tmp")
    assert events[at + 1 :] == ["tiny"]


def test_a_reader_never_meets_half_a_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    write_file = bundle_module._write_file

    def watched(path: Path, data: bytes) -> None:
        write_file(path, data)
        names = [child.name for child in (tmp_path / "tiny").iterdir()]
        seen.append([name for name in names if is_version(name)])

    monkeypatch.setattr(bundle_module, "_write_file", watched)
    folder = write_small(tmp_path / "tiny" / "1")
    assert seen == [[]] * 6
    assert json.loads((folder / "config.json").read_text())["family"] == "word-vectors"
