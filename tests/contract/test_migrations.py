"""Migrations: each one up and down, and no difference between them and the tables."""

import flask_migrate
import pytest
from alembic.script import ScriptDirectory
from click.testing import CliRunner
from sqlalchemy import inspect, text

from flexmeasures import cli
from flexmeasures.app import create
from flexmeasures.data.database import HEAD, MIGRATIONS, db

SCRIPTS = ScriptDirectory(str(MIGRATIONS))
REVISIONS = [script.revision for script in reversed(list(SCRIPTS.walk_revisions()))]


@pytest.fixture(scope="module")
def empty_app(shared_app):
    """An application on a database of its own, in which there is nothing yet."""
    with shared_app.app_context():
        uri = db.engine.url
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("drop database if exists migrated with (force)"))
            connection.execute(text("create database migrated"))
    address = uri.set(database="migrated").render_as_string(hide_password=False)
    settings = {"FLEXMEASURES_INSTANCE_PATH": shared_app.instance_path, "SQLALCHEMY_DATABASE_URI": address}
    made = create("testing", settings=settings)
    with made.app_context():
        yield made
        db.session.remove()
        db.engine.dispose()


def look():
    """What there is in the database: tables with their columns and indexes, triggers and functions."""
    with db.engine.connect() as connection:
        queries = (
            """select table_name, column_name, data_type, is_nullable, column_default
            from information_schema.columns where table_schema = 'public'""",
            "select tablename, indexdef from pg_indexes where schemaname = 'public'",
            """select conrelid::regclass::text, pg_get_constraintdef(oid) from pg_constraint
            where connamespace = 'public'::regnamespace""",
            "select tgname, tgrelid::regclass::text from pg_trigger where not tgisinternal",
            "select proname, prosrc from pg_proc where pronamespace = 'public'::regnamespace",
        )
        return [sorted(map(str, connection.execute(text(query)))) for query in queries]


def test_migrations_follow_each_other():
    """There is one line of revisions, from an empty database to the newest one, which the code knows by name."""
    assert SCRIPTS.get_heads() == [HEAD] == REVISIONS[-1:]
    assert SCRIPTS.get_bases() == REVISIONS[:1]


@pytest.mark.parametrize("revision", REVISIONS)
def test_each_migration_goes_up_and_down(empty_app, revision):
    """Going up, down and up again gives the same database, and down leaves what was there before."""
    before = look()
    flask_migrate.upgrade(revision=revision)
    after = look()
    assert after != before
    flask_migrate.downgrade(revision="-1")
    leftover = look()
    if revision != REVISIONS[0]:
        assert leftover == before
    else:
        assert all("alembic_version" in line for lines in leftover for line in lines)
    flask_migrate.upgrade(revision=revision)
    assert look() == after


def test_migrations_make_the_tables_of_the_code(empty_app):
    """What the migrations make is what the tables say: there is nothing for another migration to do."""
    flask_migrate.upgrade()
    flask_migrate.check()
    made = set(inspect(db.engine).get_table_names()) - {"alembic_version"}
    assert made == {table.name for table in db.metadata.tables.values()}


def test_the_newest_database_is_left_alone(empty_app):
    """Upgrading what is up to date changes nothing."""
    flask_migrate.upgrade()
    before = look()
    flask_migrate.upgrade()
    assert look() == before


def test_a_database_without_tables_is_explained(empty_app, monkeypatch):
    """Who forgot to make the tables in a database of their own is told the command."""
    flask_migrate.downgrade(revision="base")
    monkeypatch.setattr(cli, "_create_app", lambda *_: empty_app)
    done = CliRunner().invoke(cli.cli, ["add", "structure"])
    assert done.exit_code == 1
    assert "flexmeasures db upgrade" in done.output
    runner = CliRunner()
    for word in ("upgrade", "current", "history", "check"):
        done = runner.invoke(cli.cli, ["db", word])
        assert done.exit_code == 0, done.output
    assert runner.invoke(cli.cli, ["add", "structure"]).exit_code == 0


@pytest.mark.parametrize("words", [("upgrade",), ("downgrade",), ("current",)])
def test_a_database_of_a_newer_version_is_left_alone(empty_app, monkeypatch, words):
    """Who has gone back to an older version is told so, and what to do; nothing is changed."""
    flask_migrate.upgrade()
    monkeypatch.setattr(cli, "_create_app", lambda *_: empty_app)
    with db.engine.begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    before = look()
    done = CliRunner().invoke(cli.cli, ["db", *words])
    with db.engine.begin() as connection:
        connection.execute(text(f"update alembic_version set version_num = '{HEAD}'"))
    assert done.exit_code == 1
    assert "revision 9999" in done.output
    assert f"up to {HEAD}" in done.output
    assert "Traceback" not in done.output
    assert look() == before
