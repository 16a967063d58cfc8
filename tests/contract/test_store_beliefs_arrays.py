"""Arrays on their way to PostgreSQL and back, in its binary format."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from flexmeasures.data.database import db
from flexmeasures.data.stores.arrays import (
    Float8Array,
    Int4Array,
    IntervalArray,
    TimestamptzArray,
    copy_rows,
    horizons_column,
    instants_column,
    read_array,
)

quickly = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))

instants = st.datetimes(datetime.fromisoformat("1900-01-01"), datetime.fromisoformat("2201-01-01"))
EDGES = ("1900-01-01", "1999-12-31T23:59:59.999999", "2000-01-01", "2200-12-31T23:59:59.999999")

durations = st.timedeltas(timedelta(days=-40_000), timedelta(days=40_000))


@pytest.fixture
def connection(app):
    """A connection of the driver."""
    with app.app_context(), db.engine.connect() as outer:
        yield outer.connection.driver_connection


def ask(connection, query, *parameters):
    """Ask for one row in binary format."""
    with connection.cursor(binary=True) as cursor:
        cursor.execute(query, parameters)
        return [cursor.pgresult.get_value(0, n) for n in range(cursor.pgresult.nfields)]


def test_instants_round_trip_through_the_database(connection):
    """Instants of 1900 to 2200 come back to the microsecond, and the database understands the same by them."""

    @quickly
    @given(st.lists(instants, max_size=20))
    @example([datetime.fromisoformat(text) for text in EDGES])
    def law(naive):
        column = np.array(naive, dtype="datetime64[us]")
        (payload,) = ask(connection, "select %b::timestamptz[]", TimestamptzArray(column))
        assert read_array("timestamptz", payload).tolist() == naive
        if naive:
            told = connection.execute("select (%b)[1]", (TimestamptzArray(column),)).fetchone()[0]
            assert told == naive[0].replace(tzinfo=UTC)

    law()


def test_durations_round_trip_through_the_database(connection):
    """Durations come back to the microsecond and with their sign, and the database understands the same by them."""

    @quickly
    @given(st.lists(durations, max_size=20))
    @example([timedelta(microseconds=-1), timedelta(0), timedelta(days=-1, microseconds=1)])
    def law(exact):
        column = np.array(exact, dtype="timedelta64[us]")
        (payload,) = ask(connection, "select %b::interval[]", IntervalArray(column))
        assert read_array("interval", payload).tolist() == exact
        if exact:
            assert connection.execute("select (%b)[1]", (IntervalArray(column),)).fetchone()[0] == exact[0]

    law()


def test_numbers_round_trip_through_the_database(connection):
    """Numbers come back to the last bit."""

    @quickly
    @given(st.lists(st.floats(allow_nan=False)), st.lists(st.integers(-(2**31), 2**31 - 1)))
    def law(floats, integers):
        values, ids = np.array(floats, dtype=float), np.array(integers, dtype=np.int32)
        payloads = ask(connection, "select %b, %b", Float8Array(values), Int4Array(ids))
        assert read_array("float8", payloads[0]).tolist() == floats
        assert read_array("int4", payloads[1]).tolist() == integers

    law()


def test_intervals_with_days_are_understood(connection):
    """An interval that PostgreSQL computed may hold days; a day counts 24 hours."""
    (payload,) = ask(connection, "select array[interval '2 days -3 hours', interval '-1 day 1 microsecond']")
    assert read_array("interval", payload).tolist() == [
        timedelta(hours=45),
        timedelta(days=-1, microseconds=1),
    ]


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("timestamptz", "datetime64[us]"),
        ("interval", "timedelta64[us]"),
        ("float8", "float64"),
        ("int4", "int32"),
    ],
)
def test_no_array_is_an_empty_one(connection, kind, dtype):
    """What an aggregate of no rows gives is read as an empty array of the right type."""
    for query in (f"select array_agg(x) from unnest(array[]::{kind}[]) x", f"select array[]::{kind}[]"):
        (payload,) = ask(connection, query)
        array = read_array(kind, payload)
        assert len(array) == 0
        assert array.dtype == np.dtype(dtype)


def test_rows_are_copied_in_binary(connection):
    """Rows written for COPY arrive as they are."""
    at = np.array(["1900-01-01T00:00:00.000001", "2200-06-01T00:00"], dtype="datetime64[us]")
    horizons = np.array([timedelta(days=-400), timedelta(microseconds=1)], dtype="timedelta64[us]")
    payload = copy_rows(
        [
            ("int4", np.array([7, -7])),
            ("timestamptz", instants_column(at)),
            ("interval", horizons_column(horizons)),
            ("float8", np.array([0.1, -1e300])),
        ]
    )
    with connection.transaction(force_rollback=True), connection.cursor() as cursor:
        cursor.execute("create temporary table arrived (a int, b timestamptz, c interval, d float8)")
        with cursor.copy("copy arrived from stdin (format binary)") as copy:
            copy.write(payload)
        assert cursor.execute("select * from arrived").fetchall() == [
            (7, datetime(1900, 1, 1, microsecond=1, tzinfo=UTC), timedelta(days=-400), 0.1),
            (-7, datetime(2200, 6, 1, tzinfo=UTC), timedelta(microseconds=1), -1e300),
        ]
