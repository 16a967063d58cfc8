"""Plugins that were installed with pip; loads nothing, so that every command can ask."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["GROUP", "find_installed_plugins", "may_be_installed"]

GROUP = "flexmeasures.plugins"
"""The group of entry points in which packages name their plugins."""

_METADATA = (".dist-info", ".egg-info")


def may_be_installed() -> bool:
    """Tell whether some installed package names a plugin, in milliseconds, without reading all metadata."""
    return any(
        GROUP.encode() in file.read_bytes()
        for folder in dict.fromkeys(sys.path)
        for file in _entry_point_files(folder or ".")
    )


def _entry_point_files(folder: str) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            packages = [Path(entry.path) for entry in entries if entry.name.endswith(_METADATA)]
    except OSError:  # an archive, or a folder that is not there
        return []
    return [file for package in packages if (file := package / "entry_points.txt").is_file()]


def find_installed_plugins(wanted: list[str] | None) -> list[EntryPoint]:
    """List the entry points of plugins, by name.

    Args:
        wanted: Names of those to load; None for all.
    """
    if wanted == [] or not may_be_installed():
        return []
    from importlib.metadata import entry_points  # noqa: PLC0415 - reads the metadata of all packages

    found = {point.name: point for point in entry_points(group=GROUP)}
    return [found[name] for name in sorted(found) if wanted is None or name in wanted]
