"""numpy arrays as PostgreSQL's binary format, both ways, without a Python object per value.

Source: PostgreSQL documentation, "Frontend/Backend Protocol" and "COPY", and the ``*_recv`` functions of the types.
An array is a header of 20 bytes for one dimension (number of dimensions, has-nulls flag, element type, length, lower
bound) followed by each element's length and value, all big-endian.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from psycopg import pq
from psycopg.adapt import AdaptersMap, Dumper

from flexmeasures.domain.beliefs.timing import Durations
from flexmeasures.domain.time import Instants

__all__ = [
    "Float8Array",
    "Int4Array",
    "IntervalArray",
    "TimestamptzArray",
    "copy_rows",
    "horizons_column",
    "instants_column",
    "read_array",
    "register_dumpers",
]

_HEADER = struct.Struct(">iiIii")
# PostgreSQL counts from 2000-01-01.
_EPOCH_SHIFT = int(np.datetime64("2000-01-01", "us").astype(np.int64))
_INTERVAL = np.dtype([("microseconds", ">i8"), ("days", ">i4"), ("months", ">i4")])

_ELEMENT_OIDS = {"timestamptz": 1184, "interval": 1186, "float8": 701, "int4": 23}
_ARRAY_OIDS = {"timestamptz": 1185, "interval": 1187, "float8": 1022, "int4": 1007}
_DTYPES = {
    "timestamptz": np.dtype(">i8"),
    "interval": _INTERVAL,
    "float8": np.dtype(">f8"),
    "int4": np.dtype(">i4"),
}


class BinaryArray:
    """An array on its way into a query as one parameter; pass it to psycopg as ``%b``."""

    type_name: str

    def __init__(self, column: np.ndarray[Any, Any]) -> None:
        dtype = _DTYPES[self.type_name]
        elements = np.empty(len(column), dtype=[("length", ">i4"), ("value", dtype)])
        elements["length"] = dtype.itemsize
        elements["value"] = column
        self.payload = _HEADER.pack(1, 0, _ELEMENT_OIDS[self.type_name], len(column), 1) + elements.tobytes()


class TimestamptzArray(BinaryArray):
    """An array of instants."""

    type_name = "timestamptz"

    def __init__(self, instants: Instants) -> None:
        super().__init__(instants_column(instants))


class IntervalArray(BinaryArray):
    """An array of durations."""

    type_name = "interval"

    def __init__(self, durations: Durations) -> None:
        super().__init__(horizons_column(durations))


class Float8Array(BinaryArray):
    """An array of numbers."""

    type_name = "float8"


class Int4Array(BinaryArray):
    """An array of whole numbers."""

    type_name = "int4"


class _BinaryArrayDumper(Dumper):
    format = pq.Format.BINARY

    def dump(self, obj: BinaryArray) -> bytes:
        return obj.payload


def register_dumpers(adapters: AdaptersMap) -> None:
    """Teach psycopg, or one of its connections, to send the array classes of this module."""
    for kind in (TimestamptzArray, IntervalArray, Float8Array, Int4Array):
        dumper = type(f"{kind.__name__}Dumper", (_BinaryArrayDumper,), {"oid": _ARRAY_OIDS[kind.type_name]})
        adapters.register_dumper(kind, dumper)


def instants_column(instants: Instants) -> np.ndarray[Any, Any]:
    """Turn instants into microseconds since PostgreSQL's epoch."""
    return instants.astype("datetime64[us]").astype(np.int64) - _EPOCH_SHIFT


def horizons_column(durations: Durations) -> np.ndarray[Any, Any]:
    """Turn durations into intervals without days and months, whose length would depend on the calendar."""
    column = np.zeros(len(durations), dtype=_INTERVAL)
    column["microseconds"] = durations.astype("timedelta64[us]").astype(np.int64)
    return column


def copy_rows(columns: list[tuple[str, np.ndarray[Any, Any]]]) -> bytes:
    """Write columns as the data of ``COPY ... FROM STDIN (FORMAT BINARY)``.

    Args:
        columns: Element type and values of each column, all of the same length.
    """
    fields: list[tuple[str, Any]] = [("fields", ">i2")]
    for n, (type_name, _) in enumerate(columns):
        fields += [(f"length{n}", ">i4"), (f"value{n}", _DTYPES[type_name])]
    rows = np.empty(len(columns[0][1]), dtype=fields)
    rows["fields"] = len(columns)
    for n, (type_name, column) in enumerate(columns):
        rows[f"length{n}"] = _DTYPES[type_name].itemsize
        rows[f"value{n}"] = column
    return b"PGCOPY\n\xff\r\n\0" + bytes(8) + rows.tobytes() + b"\xff\xff"


def read_array(type_name: str, payload: bytes | memoryview | None) -> np.ndarray[Any, Any]:
    """Read an array that PostgreSQL sent in binary; it must hold no nulls.

    Returns:
        ``datetime64[us]`` in UTC, ``timedelta64[us]``, ``float64`` or ``int32``, in the machine's byte order.
    """
    if payload is None or len(payload) < _HEADER.size:
        raw = np.empty(0, dtype=_DTYPES[type_name])
    else:
        elements = np.dtype([("length", ">i4"), ("value", _DTYPES[type_name])])
        raw = np.frombuffer(payload, dtype=elements, offset=_HEADER.size)["value"]
    if type_name == "timestamptz":
        return (raw.astype(np.int64) + _EPOCH_SHIFT).astype("datetime64[us]")
    if type_name == "interval":
        # An interval that was computed in SQL may carry days; here a day is 24 hours.
        microseconds = raw["microseconds"].astype(np.int64) + raw["days"].astype(np.int64) * 86_400_000_000
        return microseconds.astype("timedelta64[us]")
    return raw.astype(np.float64 if type_name == "float8" else np.int32)
