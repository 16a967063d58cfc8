"""The driver's connection behind a session, for statements that carry arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import psycopg
from sqlalchemy.orm import Session

from flexmeasures.data.stores.arrays import read_array

__all__ = ["driver_of", "fetch_arrays"]


def driver_of(session: Session) -> psycopg.Connection[Any]:
    """Get the driver's connection, inside the session's transaction, with all that the session holds written to it."""
    session.flush()
    return session.connection().connection.driver_connection  # type: ignore[return-value]


def fetch_arrays(
    session: Session, query: str, parameters: Mapping[str, Any], types: tuple[str, ...]
) -> tuple[np.ndarray[Any, Any], ...]:
    """Run a query whose one row holds arrays.

    Args:
        session: Within its transaction.
        query: With named parameters.
        parameters: By name.
        types: Of the elements of each array, as `arrays.read_array` knows them.

    Returns:
        An array for each column, shape ``(n,)``; empty for null.
    """
    with driver_of(session).cursor(binary=True) as cursor:
        cursor.execute(query, parameters)
        answer = cursor.pgresult
        assert answer is not None  # noqa: S101 - a select has a result
        return tuple(read_array(name, answer.get_value(0, n)) for n, name in enumerate(types))
