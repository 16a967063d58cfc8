"""Fetch what pages load in browsers from the npm registry, with versions and licences: `make vendor`.

To renew a part, change its version here and run it; the files that are kept are a part of the repository.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

TARGET = Path(__file__).parent.parent / "src" / "flexmeasures" / "ui" / "static" / "vendor"


@dataclass(frozen=True)
class Part:
    """A package of the registry, and which of its files are kept.

    Attributes:
        files: Path in the package → name with us.
        why: What it is for.
    """

    name: str
    version: str
    licence: str
    files: dict[str, str]
    why: str


PARTS = (
    Part(
        "uplot",
        "1.6.32",
        "MIT",
        {"dist/uPlot.iife.min.js": "uplot.js", "dist/uPlot.min.css": "uplot.css"},
        "draws time series",
    ),
    Part(
        "leaflet",
        "1.9.4",
        "BSD-2-Clause",
        {"dist/leaflet.js": "leaflet.js", "dist/leaflet.css": "leaflet.css"},
        "draws maps",
    ),
    Part(
        "leaflet.markercluster",
        "1.5.3",
        "MIT",
        {"dist/leaflet.markercluster.js": "markercluster.js", "dist/MarkerCluster.css": "markercluster.css"},
        "groups markers that are close to each other",
    ),
    Part(
        "topojson-client",
        "3.1.0",
        "ISC",
        {"dist/topojson-client.min.js": "topojson.js"},
        "unfolds the map of the world",
    ),
    Part(
        "world-atlas",
        "2.0.2",
        "ISC; the data, by Natural Earth, are in the public domain",
        {"countries-50m.json": "world.json"},
        "land and borders, where no token for map tiles is set",
    ),
)


def main() -> None:
    """Replace the folder of vendored files."""
    shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.mkdir(parents=True)
    for part in PARTS:
        fetch(part)
    (TARGET / "README.md").write_text(describe())


def fetch(part: Part) -> None:
    """Copy the files of a part, and its licence beside them."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", f"{part.name}@{part.version}"]
        packed = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
        with tarfile.open(Path(folder) / packed.split()[-1]) as archive:
            archive.extractall(folder, filter="data")
        package = Path(folder) / "package"
        for source, name in part.files.items():
            text = (package / source).read_text(encoding="utf-8")
            lines = (line for line in text.splitlines() if not line.startswith("//# sourceMappingURL"))
            (TARGET / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        licences = [p for p in package.iterdir() if p.name.upper().startswith(("LICEN", "MIT-LICEN"))]
        (TARGET / f"{part.name}.LICENSE.txt").write_text(licences[0].read_text(encoding="utf-8"))


def describe() -> str:
    """Write the list of what is kept."""
    rows = [
        f"| {p.name} | {p.version} | {p.licence} | {', '.join(p.files.values())} | {p.why} |" for p in PARTS
    ]
    return "\n".join(
        [
            "# Parts of others that our pages load",
            "",
            "Written by `make vendor`; do not edit. The licences are beside the files.",
            "",
            "| package | version | licence | files | what for |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    main()
