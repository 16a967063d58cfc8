"""Tell an operator what takes how much room, and what waits."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from flexmeasures.data.stores.storage import beliefs_by_kind, database_size, table_sizes

__all__ = ["Storage", "TableSize", "measure_storage"]


@dataclass(frozen=True)
class TableSize:
    """A table.

    Attributes:
        name: Its name.
        rows: Number of rows, as the database estimates it.
        size: With its indexes [bytes].
    """

    name: str
    rows: int
    size: int


@dataclass(frozen=True)
class Storage:
    """What the database holds.

    Attributes:
        size: Of the whole database [bytes].
        tables: The largest first.
        beliefs: Estimated number of beliefs by type of source.
    """

    size: int
    tables: tuple[TableSize, ...]
    beliefs: dict[str, int]


def measure_storage(session: Session) -> Storage:
    """Measure the database; the time it takes does not grow with it."""
    tables = tuple(TableSize(*row) for row in table_sizes(session))
    total = next((table.rows for table in tables if table.name == "belief"), 0)
    return Storage(database_size(session), tables, beliefs_by_kind(session, total))
