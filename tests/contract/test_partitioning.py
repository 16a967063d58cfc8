"""Beliefs in parts: the table is cut while others write, and nothing is lost, doubled or changed."""

from __future__ import annotations

import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import text

from flexmeasures import cli
from flexmeasures.data.database import db, plain_connection
from flexmeasures.data.partitioning import DISTRIBUTE, partition_beliefs, parts_between
from flexmeasures.data.tables import Asset
from flexmeasures.domain.errors import Conflict
from flexmeasures.testing import store_values

pytestmark = pytest.mark.faults

COLUMNS = "select sensor_id, event_start, belief_horizon, source_id, cumulative_probability, event_value from belief"
NOW = datetime(2024, 6, 1, tzinfo=UTC)


@pytest.fixture
def years(app, cast):
    """Beliefs about the building from 2013 to 2017, and about others in 2015; the table is plain again in the end."""
    with app.app_context():
        for year in range(2013, 2018):
            building = db.session.get(Asset, cast.assets["building"])
            store_values(db.session, building, datetime(year, 12, 31, tzinfo=UTC), np.arange(192.0) + year)
        db.session.commit()
        kept = db.session.scalar(
            text("select pg_get_constraintdef(oid) from pg_constraint where conname = 'belief_pkey'")
        )
        db.session.remove()
    yield app
    with app.app_context(), closing(plain_connection(app)) as connection:
        db.session.remove()
        db.engine.dispose()
        if kind_of(connection) == "p":
            connection.execute("alter table belief rename to cut_belief")
            connection.execute("alter index belief_pkey rename to cut_belief_pkey")
            connection.execute("create table belief (like cut_belief including defaults)")
            connection.execute(f"alter table belief add constraint belief_pkey {kept}")
            connection.execute("drop table cut_belief")


def kind_of(connection):
    """Ask which kind of table that of beliefs is."""
    return connection.execute("select relkind::text from pg_class where oid = 'belief'::regclass").fetchone()[
        0
    ]


def rows_of(connection):
    """Read all beliefs."""
    return set(connection.execute(COLUMNS).fetchall())


def parts_of(connection, sensor_id):
    """Read how many beliefs about a sensor each part holds."""
    query = "select tableoid::regclass::text, count(*) from belief where sensor_id = %s group by 1"
    return dict(connection.execute(query, (sensor_id,)).fetchall())


def test_beliefs_are_cut_by_year(years, cast):
    """All beliefs are there afterwards, each in the part of its year, with the key and nothing left over."""
    with closing(plain_connection(years)) as connection:
        before = rows_of(connection)
        assert partition_beliefs(connection, "year", NOW, pause=lambda _: None) == len(before)
        assert rows_of(connection) == before
        # An asset and its sensor of power have one number.
        held = parts_of(connection, cast.assets["building"])
        assert {f"belief_{year}" for year in range(2013, 2019)} == set(held)
        # The last day of each year, and the first of the next one.
        assert (held["belief_2013"], held["belief_2014"], held["belief_2018"]) == (96, 192, 96)
        left = connection.execute(
            "select relname from pg_class where relname in ('plain_belief', 'belief_in_parts', 'belief_change')"
        ).fetchall()
        assert left == []
        assert connection.execute(
            "select count(*) from pg_proc where proname = 'belief_noted'"
        ).fetchone() == (0,)
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("insert into belief select belief.* from belief limit 1")
        with pytest.raises(Conflict, match="in parts already"):
            partition_beliefs(connection, "year", NOW)


def test_others_write_meanwhile(years, cast, owner):
    """What others store, replace and delete while the table is cut is there afterwards, and nothing else."""
    with years.app_context():
        sensor_id = db.session.get(Asset, cast.assets["solar"]).sensor.id
        source_id = db.session.scalar(text("select min(id) from data_source"))
        db.session.remove()
    stop, expected, failed = threading.Event(), {}, []
    uri = years.config["SQLALCHEMY_DATABASE_URI"].replace("+psycopg", "")
    key = "sensor_id = %s and event_start = %s and source_id = %s"

    def write():
        number = 0
        with psycopg.connect(uri, autocommit=True) as other:
            while not stop.is_set():
                number += 1
                start = datetime(2010 + number % 15, 1, 1, tzinfo=UTC) + timedelta(hours=number % 50)
                try:
                    if start not in expected:
                        other.execute(
                            "insert into belief (sensor_id, event_start, belief_horizon, source_id, event_value)"
                            " values (%s, %s, '0', %s, %s)",
                            (sensor_id, start, source_id, number),
                        )
                        expected[start] = number
                    elif number % 3:
                        other.execute(
                            f"update belief set event_value = %s where {key}",
                            (number, sensor_id, start, source_id),
                        )
                        expected[start] = number
                    else:
                        other.execute(f"delete from belief where {key}", (sensor_id, start, source_id))
                        del expected[start]
                except psycopg.Error as error:
                    failed.append(error)

    with closing(plain_connection(years)) as connection:
        before = rows_of(connection)
        writer = threading.Thread(target=write)
        writer.start()
        try:
            # A rest after each sensor, so that much is written meanwhile.
            partition_beliefs(connection, "month", NOW, pause=lambda _: stop.wait(0.05))
            stop.wait(0.2)
        finally:
            stop.set()
            writer.join()
        assert failed == []
        assert kind_of(connection) == "p"
        found = rows_of(connection)
    assert {row for row in found if row[0] != sensor_id} == before
    assert {row[1]: row[5] for row in found if row[0] == sensor_id} == expected
    assert len(expected) > 100
    post = {
        "type": "PostMeterDataRequest",
        "connection": cast.address("building"),
        "values": [0.5],
        "start": "2019-01-01T00:00:00Z",
        "duration": "PT15M",
        "unit": "MW",
    }
    assert owner.post("postMeterData", post).status_code == 200


def test_a_broken_attempt_leaves_the_table_as_it_was(years):
    """An error in the middle leaves a plain table without triggers, and the next attempt works."""

    def fail(_seconds):
        raise KeyboardInterrupt

    with closing(plain_connection(years)) as connection:
        before = rows_of(connection)
        with pytest.raises(KeyboardInterrupt):
            partition_beliefs(connection, "year", NOW, pause=fail)
        assert (kind_of(connection), rows_of(connection)) == ("r", before)
        triggers = "select tgname from pg_trigger where tgrelid = 'belief'::regclass"
        assert connection.execute(triggers).fetchall() == []
        assert partition_beliefs(connection, "year", NOW, pause=lambda _: None) == len(before)


def test_two_do_not_cut_at_once(years):
    """While somebody cuts the table, a second one is told to wait."""
    refused = []

    def try_too(_done, _total):
        with (
            closing(plain_connection(years)) as other,
            pytest.raises(Conflict, match="Somebody else") as error,
        ):
            partition_beliefs(other, "year", NOW)
        refused.append(error)

    with closing(plain_connection(years)) as connection:
        partition_beliefs(connection, "year", NOW, on_step=try_too, pause=lambda _: None)
    assert refused


def test_parts_follow_each_other_without_holes():
    """Each part begins where the one before it ends; the first and the last are open."""
    for period in ("year", "month"):
        parts = parts_between(datetime(2023, 11, 5, tzinfo=UTC), datetime(2024, 2, 29, tzinfo=UTC), period)
        assert (parts[0].since, parts[-1].until) == (None, None)
        assert [part.until for part in parts[:-1]] == [part.since for part in parts[1:]]
        assert len({part.name for part in parts}) == len(parts)
    assert [part.name for part in parts[1:5]] == [
        "belief_2023_11",
        "belief_2023_12",
        "belief_2024_01",
        "belief_2024_02",
    ]


def test_the_commands_say_what_they_do(years, monkeypatch):
    """`db-ops partition` tells how many beliefs there are; `distribute --dry-run` prints statements."""
    monkeypatch.setattr(cli, "_create_app", lambda *_: years)
    done = CliRunner().invoke(cli.cli, ["db-ops", "partition"])
    assert done.exit_code == 0, done.output
    assert "in parts by year now" in done.stdout
    again = CliRunner().invoke(cli.cli, ["db-ops", "partition"])
    assert (again.exit_code, "in parts already" in again.output) == (1, True)
    printed = CliRunner().invoke(cli.cli, ["db-ops", "distribute", "--dry-run"])
    assert printed.output.splitlines() == [f"{statement};" for statement in DISTRIBUTE]
    assert "create_distributed_table('belief', 'sensor_id'" in printed.output
    assert CliRunner().invoke(cli.cli, ["db-ops", "distribute"]).exit_code == 2
