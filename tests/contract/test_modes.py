"""The modes demo and play, point by point as documented; what other files test is listed in docs/reference/modes.md."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from flexmeasures.data.database import db
from flexmeasures.data.tables import Asset
from flexmeasures.settings import SETTINGS
from flexmeasures.testing import CAST_DAY, store_values

BAND = "Band (made up for the demonstration)"


@pytest.fixture
def demo(app):
    """The application as a demonstration, with data of 2015."""
    app.config.update(FLEXMEASURES_TIMEZONE="UTC", FLEXMEASURES_MODE="demo", FLEXMEASURES_DEMO_YEAR=2015)
    return app


@pytest.fixture
def visit(app, cast):
    """Log somebody in with a browser of their own."""

    def log_in(email):
        client = app.test_client()
        client.post("/login", data={"email": email, "password": cast.password})
        return client

    return log_in


@pytest.fixture
def measured(app, cast):
    """A day of the building: 0.4 MW."""
    with app.app_context():
        store_values(db.session, db.session.get(Asset, cast.assets["building"]), CAST_DAY, np.full(96, 0.4))
        db.session.commit()


QUERY = {"resource": "Test building", "start_time": "2015-01-01T00:00", "end_time": "2015-01-02T00:00"}


def test_the_current_year_is_that_of_the_demonstration(demo, cast, visit):
    """Without a chosen window, pages show the same day of the year FLEXMEASURES_DEMO_YEAR; in other modes this year."""
    shown = visit(cast.owner_email).get("/analytics").text
    assert 'value="2015-' in shown
    demo.config["FLEXMEASURES_MODE"] = ""
    assert 'value="2015-' not in visit(cast.owner_email).get("/analytics").text


def test_a_demonstration_shows_groups_of_all_owners(demo, cast, visit):
    """The dashboard shows all groups that are not empty; of others' assets only their number is told."""
    stranger = visit(cast.stranger_email).get("/").text
    assert "Solar" in stranger
    assert "Test roof" not in stranger
    demo.config["FLEXMEASURES_MODE"] = ""
    assert "Solar" not in visit(cast.stranger_email).get("/").text


def test_a_demonstration_makes_up_bands(demo, cast, visit, measured):
    """Power and prices have a band of a tenth around what is known, and it says that it is made up."""
    charts = visit(cast.owner_email).get("/analytics/charts", query_string=QUERY).json["charts"]
    for name, middle in (("power", 0.4), ("prices", 60.0)):
        (chart,) = [one for one in charts if one["name"] == name]
        (band,) = [line for line in chart["lines"] if line["style"] == "band"]
        assert BAND in str(band)
        scale = 1000 if chart["unit"] == "kW" else 1
        assert band["values"][0] == pytest.approx(0.9 * middle * scale)
        assert band["high"][0] == pytest.approx(1.1 * middle * scale)


def test_a_demonstration_makes_up_a_control_action(demo, cast, visit, measured):
    """The portfolio shows numbers of flexibility and a control action, and says that they are made up."""
    text = visit(cast.owner_email).get("/portfolio", query_string=QUERY).text
    assert "Made up for the demonstration: curtailment of 1.3 MWh" in text
    assert "A control action, made up as well" in text


@pytest.mark.parametrize("mode", ["", "play"])
def test_nothing_is_made_up_otherwise(app, cast, visit, measured, mode):
    """Outside of demonstrations only what is known is shown."""
    app.config.update(FLEXMEASURES_TIMEZONE="UTC", FLEXMEASURES_MODE=mode, FLEXMEASURES_DEMO_YEAR=2015)
    owner = visit(cast.owner_email)
    assert "made up" not in owner.get("/analytics/charts", query_string=QUERY).text
    assert "made up" not in owner.get("/portfolio", query_string=QUERY).text.lower()


def test_the_latest_power_of_a_simulation_may_lie_ahead(app, cast, visit):
    """In play mode the dashboard shows simulated power of tomorrow; otherwise the latest one of the past."""
    tomorrow = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
    with app.app_context():
        building = db.session.get(Asset, cast.assets["building"])
        store_values(db.session, building, tomorrow, np.full(1, 0.123))
        db.session.commit()
    assert "123" not in visit(cast.owner_email).get("/").text
    app.config["FLEXMEASURES_MODE"] = "play"
    assert "123" in visit(cast.owner_email).get("/").text


@pytest.mark.parametrize(("told", "mode"), [(" ", ""), (" play ", "play"), ("demo", "demo")])
def test_spaces_around_a_mode_do_not_count(told, mode):
    """The documented default, a space, means that no mode is set, and a mode is known with spaces around it."""
    (setting,) = [one for one in SETTINGS if one.name == "FLEXMEASURES_MODE"]
    assert setting.parse(told) == mode
