"""Draw the tables and how they refer to each other: ``make show-data-model``.

Writes ``data-model.dot`` and, where Graphviz is installed, ``data-model.svg`` beside it.
"""

from __future__ import annotations

import importlib
import shutil
import subprocess
from pathlib import Path

from sqlalchemy import MetaData

from flexmeasures.data.database import db


def draw(metadata: MetaData) -> str:
    """Write the tables as a graph for Graphviz: primary keys underlined, an edge for each foreign key."""
    lines = [
        "digraph tables {",
        '  rankdir="LR"; node [shape="plaintext", fontname="sans-serif", fontsize="10"];',
    ]
    for table in metadata.sorted_tables:
        rows = "".join(
            f'<tr><td align="left" port="{column.name}">'
            f"{'<u>' if column.primary_key else ''}{column.name}{'</u>' if column.primary_key else ''}</td></tr>"
            for column in table.columns
        )
        title = f'<tr><td bgcolor="#dddddd"><b>{table.name}</b></td></tr>'
        lines.append(
            f'  "{table.name}" [label=<<table border="0" cellborder="1" cellspacing="0">{title}{rows}</table>>];'
        )
    for table in metadata.sorted_tables:
        for key in table.foreign_keys:
            lines.append(
                f'  "{table.name}":"{key.parent.name}" -> "{key.column.table.name}":"{key.column.name}";'
            )
    return "\n".join([*lines, "}", ""])


def main() -> None:
    """Write the files."""
    importlib.import_module("flexmeasures.data.tables")
    path = Path("data-model.dot")
    path.write_text(draw(db.metadata), encoding="utf-8")
    if shutil.which("dot"):
        subprocess.run(["dot", "-Tsvg", "-odata-model.svg", str(path)], check=True)
        print("The data model is in data-model.svg.")
    else:
        print(
            "The data model is in data-model.dot; for a picture install Graphviz (Debian: apt-get install graphviz)."
        )


if __name__ == "__main__":
    main()
