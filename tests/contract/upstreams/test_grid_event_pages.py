"""The page of grid events: what came, what we promised, what was kept and delivered, and what it pays."""

import re
from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import event as sql

from flexmeasures.data.database import db
from flexmeasures.data.tables import Asset
from flexmeasures.testing import store_values

HOUR = timedelta(hours=1)


def visitor(operator, email):
    """Log somebody in with a browser of their own."""
    browser = operator.app.test_client()
    browser.post("/login", data={"email": email, "password": operator.cast.password})
    return browser


def words(page):
    """Give the text of a page without its markup."""
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_owners_see_what_the_grid_asks_and_whether_plans_keep_it(operator):
    """A limit of 500 kW appears with its source and that plans keep it; a stranger sees that nothing is asked."""
    operator.event("IMPORT_CAPACITY_LIMIT", [500.0], datetime.now(UTC), "PT2H")
    operator.follow()
    page = words(visitor(operator, operator.cast.owner_email).get("/grid-events").text)
    assert "1 event of the grid is about your assets" in page
    assert "take at most 500 kW" in page
    assert "grid operator" in page
    assert "in the plans since" in page
    assert "that we keep it" in page
    assert "Our own events" not in page
    stranger = visitor(operator, operator.cast.stranger_email)
    assert "The grid asks nothing of your assets" in stranger.get("/grid-events").text
    battery = operator.cast.assets["battery"]
    assert stranger.get(f"/grid-events/limits/{battery}").status_code == 404
    assert stranger.get("/grid-events/paid").status_code == 403


def test_kept_minutes_are_counted_as_the_report_lists_them(operator):
    """Of an hour with a limit of 500 kW half was measured at 400 and half at 600 kW: 30 minutes kept it."""
    past = operator.hour - 3 * HOUR
    operator.event("IMPORT_CAPACITY_LIMIT", [500.0], past, "PT8H")
    operator.follow()
    with operator.app.app_context():
        battery = db.session.get(Asset, operator.cast.assets["battery"])
        db.session.execute(db.text("update grid_signal set starts_at = :past"), {"past": past})
        store_values(db.session, battery, past, np.repeat([0.4, 0.6], 2))
        db.session.commit()
    owner = visitor(operator, operator.cast.owner_email)
    query = f"start_time={(past).isoformat()}&end_time={(past + HOUR).isoformat()}".replace("+", "%2B")
    page = words(owner.get(f"/grid-events?{query}").text)
    assert "50.0 % of the measured minutes with a limit kept it" in page
    assert "Test battery 60 60 30" in page
    rows = owner.get(f"/grid-events/limits/{operator.cast.assets['battery']}?{query}").text.splitlines()[1:]
    assert [row.split(",")[3] for row in rows] == ["yes"] * 30 + ["no"] * 30


def test_who_looks_after_the_platform_sees_events_with_what_came_of_them(operator):
    """An admin sees the followed server and the event of its own sandbox with its report."""
    event = operator.event("IMPORT_CAPACITY_LIMIT", [500.0], datetime.now(UTC), "PT2H")
    operator.follow()
    admin = visitor(operator, operator.cast.admin_email)
    page = admin.get("/grid-events?environment=sandbox").text
    assert event["id"] in page
    assert "answers" in page
    assert "There are none in this window" in admin.get("/grid-events").text
    assert admin.get("/grid-events?environment=moon").status_code == 404
    assert "Nothing yet" in admin.get("/grid-events/paid?environment=sandbox").text


def test_the_page_asks_the_same_number_of_questions_for_one_event_and_for_many(operator):
    """Twenty events of a limited asset are read in as many statements as one."""

    def statements():
        count = [0]

        def note(*_):
            count[0] += 1

        with operator.app.app_context():
            engine = db.engine
        sql.listen(engine, "before_cursor_execute", note)
        assert owner.get("/grid-events").status_code == 200
        sql.remove(engine, "before_cursor_execute", note)
        return count[0]

    operator.event("IMPORT_CAPACITY_LIMIT", [500.0], datetime.now(UTC), "PT2H")
    number = operator.follow()
    owner = visitor(operator, operator.cast.owner_email)
    before = statements()
    for later in range(20):
        operator.event(
            "IMPORT_CAPACITY_LIMIT",
            [400.0 + later],
            operator.now + later * HOUR,
            "PT1H",
            targets=["feeder-7"],
        )
    operator.ask(number)
    assert statements() == before
