"""How much room the database takes, and for what."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

__all__ = ["beliefs_by_kind", "database_size", "table_sizes"]

SAMPLE = 200_000
"""So many rows about are looked at to tell who has said how much."""

# A partitioned table is the sum of its parts.
_TABLES = text(
    "select relname, coalesce(nullif(reltuples, -1), 0)::bigint,"
    " coalesce((select sum(pg_total_relation_size(part.relid)) from pg_partition_tree(pg_class.oid) as part),"
    " pg_total_relation_size(pg_class.oid))::bigint"
    " from pg_class where relkind in ('r', 'p') and not relispartition"
    " and relnamespace = current_schema()::regnamespace order by 3 desc, 1"
)


def database_size(session: Session) -> int:
    """Measure the whole database [bytes]."""
    size: int = session.scalar(text("select pg_database_size(current_database())"))
    return size


def table_sizes(session: Session) -> list[tuple[str, int, int]]:
    """Measure each table with its indexes: name, estimated number of rows, and bytes; the largest first."""
    return [(name, rows, size) for name, rows, size in session.execute(_TABLES)]


def beliefs_by_kind(session: Session, total: int) -> dict[str, int]:
    """Estimate how many beliefs there are of each type of source, from a sample if there are many.

    Args:
        session: For reading.
        total: How many beliefs there are, about.
    """
    share = min(100.0, 100.0 * SAMPLE / max(total, 1))
    # Pages are chosen by chance, with a seed: the same data give the same answer.
    sample = "" if share == 100.0 else f" tablesample system ({share:.6f}) repeatable (1)"
    query = (
        "select coalesce(data_source.type, 'unknown'), count(*)"  # noqa: S608 - a number of ours
        f" from belief{sample} left join data_source on data_source.id = belief.source_id group by 1 order by 2 desc"
    )
    found: list[tuple[str, Any]] = [(kind, count) for kind, count in session.execute(text(query))]
    return {kind: round(count * 100.0 / share) for kind, count in found}
