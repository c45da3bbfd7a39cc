"""The audit of dependencies: it passes here, and it finds each kind of problem."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "audit_dependencies.py"
POLICY = {
    "licences": ["MIT", "BSD-3-Clause", "Apache-2.0 WITH LLVM-exception"],
    "stated_elsewhere": {"quiet": "MIT"},
    "refused": {"bad": [{"versions": "<2", "reason": "CVE-0"}]},
}


@pytest.fixture(scope="module")
def audit() -> Any:
    spec = importlib.util.spec_from_file_location("audit_dependencies", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


def test_the_dependencies_hold_to_the_policy() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], capture_output=True, encoding="utf-8", check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


@pytest.mark.parametrize(
    ("asked", "constraints", "package", "problem"),
    [
        (["one>=1"], ["one==1.0"], {"name": "one"}, None),
        (["One_A>=1"], ["one-a==1.0"], {"name": "one-a"}, None),
        ([], ["# a comment", "", "quiet==1"], {"name": "quiet", "licences": ()}, None),
        ([], ["loud==1"], {"name": "loud", "licences": ()}, "loud: states no licence"),
        ([], ["one>=1.0"], {}, "pins no exact version"),
        ([], ["one"], {}, "pins no exact version"),
        ([], ["one==1.*"], {}, "pins no exact version"),
        ([], ["one==1", "One==2"], {}, "one is pinned twice"),
        (["one"], [], {}, "one: pyproject.toml asks for it"),
        (["one>=2"], ["one==1"], {}, "one: 1 is pinned, and pyproject.toml asks for >=2"),
        ([], ["bad==1.9"], {}, "bad: 1.9 is refused (<2): CVE-0"),
        ([], ["bad==2.0"], {"name": "bad", "version": "2.0"}, None),
        ([], ["one==1"], {"name": "one", "version": "2"}, "2 is installed, and 1 is pinned"),
        ([], ["one==1"], {"name": "one", "version": "1+cpu"}, None),
        (
            ["one"],
            ["one==1"],
            {"name": "one", "requires": (Requirement("two>=3"),)},
            "two: one asks for it",
        ),
        (
            ["one"],
            ["one==1"],
            {"name": "one", "requires": (Requirement("two; extra == 'more'"),)},
            None,
        ),
        (
            ["one[more]"],
            ["one==1"],
            {"name": "one", "requires": (Requirement("two; extra == 'more'"),)},
            "two: one asks for it",
        ),
        ([], ["one==1"], {"name": "one", "licences": ("GPL-3.0-only",)}, "'GPL-3.0-only' is not"),
        ([], ["one==1"], {"name": "one", "licences": ("MIT AND GPL-2.0-only",)}, "GPL-2.0"),
        ([], ["one==1"], {"name": "one", "licences": ("MIT OR GPL-2.0-only",)}, None),
    ],
)
def test_each_kind_of_problem_is_found(
    audit: Any,
    asked: list[str],
    constraints: list[str],
    package: dict[str, Any],
    problem: str | None,
) -> None:
    installed = {}
    if package:
        values = {"version": "1", "licences": ("MIT",), "requires": (), **package}
        installed[package["name"]] = audit.Package(**values)
    found = list(audit.problems(map(Requirement, asked), constraints, installed, POLICY))
    if problem is None:
        assert found == []
    else:
        assert len(found) == 1
        assert problem in found[0]
