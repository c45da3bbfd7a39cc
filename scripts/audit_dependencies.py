"""Holds the dependencies to dependency_policy.toml, without the network.

    python scripts/audit_dependencies.py    exit code 1 and one line for each problem

- Everything that pyproject.toml asks for, in any extra, and all that this brings along is pinned in
  constraints.txt, once, to a version that is within the bounds and not refused by the policy.
- What is installed is what is pinned.
- Each licence that a package states is allowed by the policy.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

REPOSITORY = Path(__file__).resolve().parent.parent
POLICY = Path(__file__).with_name("dependency_policy.toml")
_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[A-Za-z0-9.!]+)")
_MORE_THAN_PINNED = frozenset({"pip", "setuptools"})  # of the tools that install


@dataclass(frozen=True, kw_only=True)
class Package:
    """An installed package: what it says of itself."""

    name: str
    version: str
    licences: tuple[str, ...]
    requires: tuple[Requirement, ...]


def main() -> int:
    """Runs the audit and returns the exit code."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    policy = tomllib.loads(POLICY.read_text(encoding="utf-8"))
    found = list(problems(asked_for(project), lines, installed_packages(), policy))
    for problem in found:
        print(problem)
    if not found:
        print(f"{len(lines)} lines of constraints hold to the policy of {policy['reviewed']}")
    return 1 if found else 0


def problems(
    asked: Iterable[Requirement],
    constraints: Iterable[str],
    installed: Mapping[str, Package],
    policy: Mapping[str, Any],
) -> Iterator[str]:
    """What is wrong, a line each."""
    pins, wrong = pinned(constraints)
    yield from wrong
    yield from _bound_problems(asked, pins, installed)
    yield from _refused(pins, policy)
    for name, version in pins.items():
        package = installed.get(name)
        if package is not None:
            if Version(Version(package.version).public) != Version(version):
                yield f"{name}: {package.version} is installed, and {version} is pinned"
            yield from _licence_problems(package, policy)


def asked_for(project: Mapping[str, Any]) -> list[Requirement]:
    """What the project asks for, in all of its extras."""
    texts = [*project["dependencies"]]
    for extra in project.get("optional-dependencies", {}).values():
        texts += extra
    own = canonicalize_name(project["name"])
    return [one for one in map(Requirement, texts) if canonicalize_name(one.name) != own]


def pinned(lines: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """The pinned version of each package, by canonical name, and what is no such line."""
    pins: dict[str, str] = {}
    wrong = []
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        match = _PIN.fullmatch(line)
        if match is None:
            wrong.append(f"constraints.txt: {line!r} pins no exact version; write NAME==VERSION")
            continue
        name = canonicalize_name(match["name"])
        if name in pins:
            wrong.append(f"constraints.txt: {name} is pinned twice")
        pins[name] = match["version"]
    return pins, wrong


def installed_packages() -> dict[str, Package]:
    """The packages of this environment, by canonical name."""
    packages: dict[str, Package] = {}
    for one in metadata.distributions():
        about: Any = one.metadata
        packages[canonicalize_name(about["Name"])] = Package(
            name=about["Name"],
            version=one.version,
            licences=_stated_licences(about),
            requires=tuple(map(Requirement, one.requires or ())),
        )
    return packages


def is_allowed(licence: str, allowed: Iterable[str]) -> bool:
    """Whether an SPDX expression, or one name, is covered: all of AND, and any of OR."""
    known = set(allowed)
    if licence in known:
        return True
    plain = licence.replace("(", "").replace(")", "")
    return all(
        any(choice.strip() in known for choice in part.split(" OR "))
        for part in plain.split(" AND ")
    )


def _stated_licences(about: Any) -> tuple[str, ...]:
    if about.get("License-Expression"):
        return (about["License-Expression"],)
    heads = (one.split(" :: ") for one in about.get_all("Classifier", []))
    classified = [parts[-1] for parts in heads if parts[0] == "License" and len(parts) > 2]
    if classified:
        return tuple(classified)
    text = (about.get("License") or "").strip()
    # Older setuptools write UNKNOWN where nothing is stated.
    return (text.splitlines()[0],) if text and text != "UNKNOWN" else ()


def _bound_problems(
    asked: Iterable[Requirement], pins: Mapping[str, str], installed: Mapping[str, Package]
) -> Iterator[str]:
    """Of what is asked for and all that it brings along here."""
    waiting = [("pyproject.toml", one) for one in asked]
    seen: set[tuple[str, str]] = set()
    while waiting:
        who, wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if (who, str(wanted)) in seen:
            continue
        seen.add((who, str(wanted)))
        version = pins.get(name)
        if version is None:
            if name not in _MORE_THAN_PINNED:
                yield f"{name}: {who} asks for it, and constraints.txt does not pin it"
            continue
        if not wanted.specifier.contains(version, prereleases=True):
            yield f"{name}: {version} is pinned, and {who} asks for {wanted.specifier}"
        package = installed.get(name)
        if package is not None:
            waiting += [(name, one) for one in package.requires if _holds(one, wanted.extras)]


def _holds(requirement: Requirement, extras: Iterable[str]) -> bool:
    if requirement.marker is None:
        return True
    return any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras))


def _refused(pins: Mapping[str, str], policy: Mapping[str, Any]) -> Iterator[str]:
    for name, rules in policy.get("refused", {}).items():
        version = pins.get(canonicalize_name(name))
        for rule in rules:
            if version and SpecifierSet(rule["versions"]).contains(version, prereleases=True):
                yield f"{name}: {version} is refused ({rule['versions']}): {rule['reason']}"


def _licence_problems(package: Package, policy: Mapping[str, Any]) -> Iterator[str]:
    elsewhere = policy.get("stated_elsewhere", {}).get(package.name)
    stated = package.licences or ((elsewhere,) if elsewhere else ())
    if not stated:
        yield f"{package.name}: states no licence; write it under stated_elsewhere"
    # "DFSG approved" says that a licence is free, not which it is.
    named = [one for one in stated if one != "DFSG approved"]
    for licence in named:
        if not is_allowed(licence, policy["licences"]):
            yield f"{package.name}: its licence {licence!r} is not one that the policy allows"


if __name__ == "__main__":
    sys.exit(main())
