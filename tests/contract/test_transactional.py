"""Work bundled in a transaction, for scripts and plugins."""

import pytest
from sqlalchemy import select

from flexmeasures.data.database import db
from flexmeasures.data.tables import LatestTaskRun, Role
from flexmeasures.data.transactional import (
    PartialTaskCompletionException,
    as_transaction,
    task_with_status_report,
)


@pytest.fixture(autouse=True)
def _within(app):
    with app.app_context():
        yield


def roles():
    """Names of the roles that another transaction sees."""
    db.session.rollback()
    return list(db.session.scalars(select(Role.name).order_by(Role.name)))


def test_a_transaction_is_stored_as_a_whole():
    """What a function does is committed when it ends, and its outcome is handed on."""

    @as_transaction
    def add(*names, suffix):
        """Add roles."""
        for name in names:
            db.session.add(Role(name=name + suffix))
        return len(names)

    assert add("a", "b", suffix="!") == 2
    assert roles() == ["a!", "b!"]
    assert (add.__name__, add.__doc__) == ("add", "Add roles.")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_transaction_that_fails_leaves_nothing(error):
    """Whatever ends a function early, nothing of it is stored, and the error goes on."""

    @as_transaction
    def stumble():
        db.session.add(Role(name="half"))
        db.session.flush()
        raise error

    with pytest.raises(error):
        stumble()
    assert roles() == []


def last_run(name):
    """Whether the last run of a task went well; None if it never ran."""
    run = db.session.get(LatestTaskRun, name, populate_existing=True)
    return None if run is None else run.status


def test_tasks_report_that_they_ran(capsys):
    """A task that ends well is noted as such, with the time, under its name."""

    @task_with_status_report
    def import_prices(count):
        """Import prices."""
        db.session.add(Role(name="made"))
        return count

    assert import_prices(3) == 3
    assert last_run("import_prices") is True
    assert db.session.get(LatestTaskRun, "import_prices").datetime.tzinfo is not None
    assert roles() == ["made"]
    assert "Task import_prices done: 3" in capsys.readouterr().out


def test_tasks_report_that_they_failed():
    """A task that fails is noted as such, leaves nothing behind, and its error goes on."""
    fails = [False, True, False]

    @task_with_status_report
    def import_weather():
        if fails.pop(0):
            db.session.add(Role(name="half"))
            db.session.flush()
            raise ValueError("no weather today")

    import_weather()
    assert last_run("import_weather") is True
    with pytest.raises(ValueError, match="no weather"):
        import_weather()
    assert last_run("import_weather") is False
    assert roles() == []
    import_weather()
    assert last_run("import_weather") is True


def test_tasks_may_do_part_of_their_work(capsys):
    """A task that says so keeps what it has done, but is noted as failed."""

    @task_with_status_report
    def import_half():
        db.session.add(Role(name="half"))
        raise PartialTaskCompletionException("two of four files")

    assert import_half() is None
    assert roles() == ["half"]
    assert last_run("import_half") is False
    assert "two of four files" in capsys.readouterr().out
