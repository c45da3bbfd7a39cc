"""The arrows between the four import roots: server -> models, server -> API, clients -> API.

Models know neither gRPC nor the API. The client is light: only the subcommands of the `dragoman`
command reach for server and models, inside the functions that need them.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
ROOTS = {
    "dragoman": REPOSITORY / "proto",
    "dragoman_models": REPOSITORY / "models",
    "dragoman_server": REPOSITORY / "server",
    "dragoman_client": REPOSITORY / "clients",
}
ALLOWED = {
    "dragoman": {"dragoman"},
    "dragoman_models": {"dragoman_models"},
    "dragoman_server": {"dragoman_server", "dragoman_models", "dragoman"},
    "dragoman_client": {"dragoman_client", "dragoman"},
}
# What the base install brings: the client may import no other library.
LIGHT = {"google", "grpc", "grpc_status", "rich", "typer"}
COMMAND = "dragoman_client.cli"


@dataclass(frozen=True, kw_only=True)
class Import:
    """One imported module, and whether a function holds the import."""

    module: str
    line: int
    in_function: bool

    @property
    def root(self) -> str:
        return self.module.partition(".")[0]


def imports_of(source: str, module: str, *, is_package: bool = False) -> list[Import]:
    """All imports in ``source``, the code of ``module``, wherever they stand."""
    return list(_walk(ast.parse(source), module.split("."), is_package, in_function=False))


def _walk(
    node: ast.AST, module: list[str], is_package: bool, *, in_function: bool
) -> Iterator[Import]:
    for name in _imported(node, module, is_package):
        yield Import(module=name, line=getattr(node, "lineno", 0), in_function=in_function)
    inside = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, module, is_package, in_function=inside)


def _imported(node: ast.AST, module: list[str], is_package: bool) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=name, level=0):
            return [name or ""]
        case ast.ImportFrom(module=name, level=level):
            parents = module[: len(module) - level + is_package]
            return [".".join([*parents, *([name] if name else [])])]
        case ast.Call(
            func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            return [name]
    return []


def violations(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """What ``source``, the code of ``module``, imports against the arrows."""
    found = []
    root = module.partition(".")[0]
    for imported in imports_of(source, module, is_package=is_package):
        if not _is_allowed(imported, root, module):
            found.append(f"{module}:{imported.line} imports {imported.module}")
    return found


def _is_allowed(imported: Import, root: str, module: str) -> bool:
    in_command = f"{module}.".startswith(f"{COMMAND}.") and imported.in_function
    if imported.root in ROOTS:
        return imported.root in ALLOWED[root] or in_command
    if root == "dragoman_models":
        return not imported.root.startswith(("grpc", "google"))
    if root == "dragoman_client":
        return imported.root in LIGHT | sys.stdlib_module_names or in_command
    return True


def _modules() -> list[tuple[Path, str]]:
    return [
        (path, ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__"))
        for root, folder in ROOTS.items()
        for path in sorted((folder / root).rglob("*.py"))
    ]


def test_every_root_has_modules() -> None:
    assert {module.partition(".")[0] for _, module in _modules()} == set(ROOTS)


@pytest.mark.parametrize("root", ROOTS)
def test_imports_follow_the_arrows(root: str) -> None:
    found = [
        violation
        for path, module in _modules()
        if module.partition(".")[0] == root
        for violation in violations(
            path.read_text(encoding="utf-8"), module, is_package=path.name == "__init__.py"
        )
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("dragoman_models.bundle", "import grpc"),
        ("dragoman_models.bundle", "from google.protobuf import message"),
        ("dragoman_models.bundle", "def load():\n    from dragoman.v1 import model_pb2"),
        ("dragoman_models.bundle", "import dragoman_server.app"),
        ("dragoman_server.app", "from dragoman_client import Client"),
        ("dragoman.v1.model_pb2", "import dragoman_models"),
        ("dragoman_client.client", "import torch"),
        ("dragoman_client.client", "def call():\n    import numpy"),
        ("dragoman_client.client", "def call():\n    import dragoman_models"),
        ("dragoman_client.cli", "import dragoman_server"),
        ("dragoman_client.cli.serve", "if True:\n    from dragoman_server import app"),
        ("dragoman_client.climate", "def call():\n    import dragoman_server"),
        ("dragoman_client.cli", "import importlib\nimportlib.import_module('dragoman_server.app')"),
    ],
)
def test_a_wrong_import_is_found(module: str, source: str) -> None:
    assert len(violations(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("dragoman_models.translation.recipe", "import torch\nfrom . import corpus"),
        ("dragoman_server.app", "import grpc, dragoman_models.errors, dragoman.v1, numpy"),
        ("dragoman_client.client", "import asyncio, grpc, rich\nfrom dragoman.v1 import model_pb2"),
        ("dragoman_client.cli", "def serve():\n    from dragoman_server import app"),
        ("dragoman_client.cli.train", "def train():\n    import torch, dragoman_models.training"),
    ],
)
def test_a_right_import_is_let_through(module: str, source: str) -> None:
    assert violations(source, module) == []


def test_relative_imports_are_resolved() -> None:
    source = "from . import a\nfrom .b import c\nfrom ..d import e"
    modules = [found.module for found in imports_of(source, "root.package.module")]
    assert modules == ["root.package", "root.package.b", "root.d"]
    modules = [found.module for found in imports_of(source, "root.package", is_package=True)]
    assert modules == ["root.package", "root.package.b", "root.d"]
