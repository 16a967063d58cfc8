"""The table of beliefs can be distributed by sensor or cut into parts: what the table and all statements must keep.

The rules are those of the decision about beliefs that can be distributed; they were tried on a cluster of servers.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sqlalchemy import text

import flexmeasures
from flexmeasures import cli
from flexmeasures.data.database import db
from flexmeasures.data.tables import Asset
from flexmeasures.testing import CAST_DAY, store_values

SOURCES = [
    path
    for path in sorted(Path(flexmeasures.__file__).parent.rglob("*.py"))
    # Migrations before the rules were made are history.
    if not re.match(r"000[1-5]_", path.name)
]
ABOUT_BELIEFS = re.compile(
    r"\b(from|into|join|update|copy|table|truncate)\s+(only\s+)?belief\b", re.IGNORECASE
)
VERB = re.compile(r"\b(select|insert into|copy|delete from|update|truncate)\b")
SCHEMA_CHANGE = re.compile(
    r"\b(create|drop) trigger \w+ .*on belief|\block table belief", re.IGNORECASE | re.DOTALL
)


def texts_of(path: Path) -> list[tuple[int, str]]:
    """List the texts of a module, parts of one text put together, and what is filled in as {}."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    # What a migration goes back to is history as well.
    former = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).startswith("FORMER")
    ]
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    parts |= {id(part) for node in former for part in ast.walk(node)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            found.append((node.lineno, "".join(map(written, node.values))))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            found.append((node.lineno, node.value))
    return found


def written(piece: ast.expr) -> str:
    """Write a piece of a text as it stands in the code."""
    if isinstance(piece, ast.FormattedValue):
        return f"{{{ast.unparse(piece.value)}}}"
    assert isinstance(piece, ast.Constant)
    return str(piece.value)


def statements() -> list[tuple[str, str]]:
    """List the statements of the code about beliefs, with their places; of functions in SQL each statement."""
    found = []
    # How much of what there is: a question about the whole table, which all servers answer. And what cuts the table
    # into parts refuses one that is distributed.
    left_out = ("stores/storage.py", "data/partitioning.py")
    for path in (one for one in SOURCES if not str(one).endswith(left_out)):
        for line, words in texts_of(path):
            for one in re.split(r";\s", words):
                if ABOUT_BELIEFS.search(one) and VERB.search(one) and not SCHEMA_CHANGE.search(one):
                    found.append((f"{path.name}:{line}", one))
    return found


def test_the_statements_are_found():
    """The search finds those that there must be: storing, replacing, reading, listing, deleting."""
    places = {place.partition(":")[0] for place, _ in statements()}
    assert {"reading.py", "writing.py", "portfolio.py", "0006_accounts_tree_plans.py"} <= places
    assert len(statements()) > 10


@pytest.mark.parametrize(("place", "statement"), statements(), ids=lambda value: str(value)[:40])
def test_each_statement_names_the_sensors(place, statement):
    """Without the distribution column a statement would go to all servers, or fail."""
    names = ("sensor_id", "_COLUMNS", "{KEY}", "{condition}")
    assert any(name in statement for name in names), (place, statement)
    ordered = re.search(r"(distinct on|order by) \(?([\w.{}]+)", statement)
    if ordered:
        constant = re.search(r"sensor_id = (%\(\w+\)s)", statement)
        assert constant or ordered[2] in ("sensor_id", "belief.sensor_id", "{KEY}"), (place, statement)
    assert "new_beliefs" not in statement
    assert "old_" not in statement


def test_the_table_has_no_triggers_and_no_foreign_keys(app):
    """Both would keep it from being distributed; each unique key holds the sensor."""
    with app.app_context():
        triggers = "select tgname from pg_trigger where tgrelid = 'belief'::regclass"
        keys = (
            "select conname from pg_constraint where contype = 'f'"
            " and 'belief'::regclass in (conrelid, confrelid)"
        )
        for query in (triggers, keys):
            assert db.session.execute(text(query)).all() == []
        unique = text(
            "select indexdef from pg_indexes join pg_class on relname = indexname"
            " join pg_index on indexrelid = pg_class.oid where tablename = 'belief' and indisunique"
        )
        definitions = db.session.scalars(unique).all()
        assert len(definitions) == 1
        assert all("(sensor_id," in definition for definition in definitions)


@pytest.fixture
def in_parts(app):
    """The table of beliefs cut into parts by time; put together again in the end."""
    with app.app_context():
        with db.engine.begin() as connection:
            for command in (
                "alter table belief rename to plain_belief",
                "create table belief (like plain_belief including defaults) partition by range (event_start)",
                "create table belief_old partition of belief for values from (minvalue) to ('2020-01-01Z')",
                "create table belief_new partition of belief for values from ('2020-01-01Z') to (maxvalue)",
                """alter table belief add primary key
                    (sensor_id, event_start, belief_horizon, source_id, cumulative_probability)""",
            ):
                connection.execute(text(command))
        yield app
        db.session.remove()
        with db.engine.begin() as connection:
            connection.execute(text("drop table belief"))
            connection.execute(text("alter table plain_belief rename to belief"))


def test_a_table_in_parts_stays_one(in_parts, tmp_path, monkeypatch):
    """Storing, saving, emptying and loading work with a table in parts, and leave it in parts."""
    from flexmeasures.testing import make_cast  # noqa: PLC0415 - after the table was changed

    monkeypatch.setattr(cli, "_create_app", lambda *_: in_parts)

    def run(*words):
        done = CliRunner().invoke(cli.cli, [*words], input="y\n")
        assert done.exit_code == 0, done.output

    cast = make_cast(db.session)
    battery = db.session.get(Asset, cast.assets["battery"])
    store_values(db.session, battery, CAST_DAY, np.arange(2000.0))
    db.session.commit()
    count = db.session.scalar(text("select count(*) from belief"))
    db.session.remove()
    run("db-ops", "save", "--name", "all", "--data", "--dir", str(tmp_path))
    run("db-ops", "reset")
    assert db.session.scalar(text("select count(*) from fm_user")) == 0
    assert db.session.scalar(text("select count(*) from belief")) == 0
    db.session.remove()
    run("db-ops", "load", "--name", "all", "--data", "--dir", str(tmp_path))
    assert db.session.scalar(text("select count(*) from belief")) == count
    parts = "select relkind from pg_class where oid = 'belief'::regclass"
    assert db.session.scalar(text(parts)) in ("p", b"p")


def test_beliefs_go_with_sensors_of_a_distributed_kind(in_parts):
    """What triggers of other tables do about beliefs holds for a table in parts as well."""
    from flexmeasures.testing import make_cast  # noqa: PLC0415 - after the table was changed

    cast = make_cast(db.session)
    battery = db.session.get(Asset, cast.assets["battery"])
    store_values(db.session, battery, CAST_DAY, np.arange(10.0))
    db.session.commit()
    number = battery.sensor.id
    db.session.execute(text("delete from asset where id = :id"), {"id": battery.id})
    db.session.commit()
    assert db.session.scalar(text("select count(*) from belief where sensor_id = :id"), {"id": number}) == 0
