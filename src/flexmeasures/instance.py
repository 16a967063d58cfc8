"""Where an instance keeps its embedded data, configuration and logs; loads nothing, so that every command can ask."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["find_instance_path", "make_private_folder", "open_private_file"]


def find_instance_path(environ: Mapping[str, str] | None = None) -> Path:
    """Find the instance folder: as told, beside a source checkout, or in the Python installation.

    Args:
        environ: The environment; the process's own if left out.
    """
    told = (os.environ if environ is None else environ).get("FLEXMEASURES_INSTANCE_PATH")
    if told:
        return Path(told).expanduser().resolve()
    root = Path(__file__).resolve().parents[2]
    if (root / "pyproject.toml").is_file():
        return root / "instance"
    prefix = Path(sys.prefix)
    return (
        prefix / "var" / "flexmeasures-instance"
        if os.access(prefix, os.W_OK)
        else Path.home() / ".flexmeasures"
    )


def make_private_folder(path: Path) -> None:
    """Make a folder, with its parents, that nobody but its owner may enter; one that is there keeps its mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)


def open_private_file(path: str, flags: int) -> int:
    """Open a file which, if it is new, nobody but its owner may read; pass it to `open` as ``opener``."""
    return os.open(path, flags, 0o600)
