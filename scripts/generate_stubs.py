"""Generates the Python stubs beside the .proto files, or checks that they are up to date.

    python scripts/generate_stubs.py            write the stubs
    python scripts/generate_stubs.py --check    write nothing; exit code 1 where one is outdated

The generators are pinned in constraints.txt: grpcio-tools for code, mypy-protobuf for types.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PROTO_ROOT = REPOSITORY / "proto"
GOOGLEAPIS = REPOSITORY / "third_party" / "googleapis"
PACKAGE = Path("dragoman", "v1")
STUB_PATTERNS = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi")


def generate(output: Path) -> None:
    """Writes the stubs of all .proto files to ``output/dragoman/v1``.

    Raises SystemExit where a .proto file does not compile.
    """
    protos = sorted((PROTO_ROOT / PACKAGE).glob("*.proto"))
    services = [path for path in protos if path.stem.endswith("_service")]
    _run_protoc(protos, f"--python_out={output}", f"--mypy_out=quiet:{output}")
    _run_protoc(
        services,
        f"--grpc_python_out={output}",
        # Concrete servicers: a call that a service leaves out answers UNIMPLEMENTED.
        f"--mypy_grpc_out=quiet,generate_concrete_servicer_stubs:{output}",
    )


def _run_protoc(protos: list[Path], *outputs: str) -> None:
    include = (f"-I{folder}" for folder in (PROTO_ROOT, GOOGLEAPIS))
    command = [sys.executable, "-m", "grpc_tools.protoc", *include, *outputs, *map(str, protos)]
    # The plugins are console scripts of this environment, which need not be on the PATH.
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    finished = subprocess.run(command, env={**os.environ, "PATH": path}, check=False)
    if finished.returncode != 0:
        raise SystemExit(finished.returncode)


def stubs(root: Path) -> dict[str, bytes]:
    """The content of each stub under ``root``, by file name."""
    folder = root / PACKAGE
    return {
        path.name: path.read_bytes() for pattern in STUB_PATTERNS for path in folder.glob(pattern)
    }


def outdated(committed: dict[str, bytes], generated: dict[str, bytes]) -> list[str]:
    """Names of stubs that are missing, left over, or different, in order."""
    names = sorted(committed.keys() | generated.keys())
    return [name for name in names if committed.get(name) != generated.get(name)]


def main() -> int:
    """Runs the command and returns its exit code."""
    parser = argparse.ArgumentParser(description="Generates the Python stubs of the API.")
    parser.add_argument("--check", action="store_true", help="only report stubs not up to date")
    check: bool = parser.parse_args().check
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        generated = stubs(Path(folder))
        names = outdated(stubs(PROTO_ROOT), generated)
        if check:
            for name in names:
                print(f"{PROTO_ROOT / PACKAGE / name} is not up to date: run `make proto`")
            return 1 if names else 0
        for name in names:
            target = PROTO_ROOT / PACKAGE / name
            if name in generated:
                shutil.copyfile(Path(folder) / PACKAGE / name, target)
            else:
                target.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
