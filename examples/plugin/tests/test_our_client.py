"""The plugin within the platform: its page, command, endpoint, scheduler and forecaster."""

from datetime import UTC, datetime, timedelta

import numpy as np
from our_client.scheduling import run_in_cheap_hours

from flexmeasures.domain.forecasting import find_model


class Task:
    """The part of a SchedulingTask that the scheduler asks for: a day of hours."""

    start, resolution = datetime(2024, 1, 1, tzinfo=UTC), timedelta(hours=1)
    prices = np.arange(24.0)[::-1]
    capacity_mw = 0.02
    parameters = {"hours": 2}  # noqa: RUF012


def test_the_plugin_is_loaded(app):
    """Installing it is enough."""
    assert app.config["LOADED_PLUGINS"]["our_client"] == "0.1.0"


def test_the_page_greets_whoever_is_logged_in(app, cast):
    """Strangers are sent to the login page; the owner is greeted by name."""
    client = app.test_client()
    assert client.get("/our_client/metrics").status_code == 302
    client.post("/login", data={"email": cast.owner_email, "password": cast.password})
    assert '<p id="greeting">Hello, owner</p>' in client.get("/our_client/metrics").text


def test_the_command_greets(app):
    """The greeting is that of the setting."""
    answer = app.test_cli_runner().invoke(args=["our_client", "greet", "--name", "you"])
    assert answer.output == "Hello, you\n"


def test_the_endpoint_lists_own_assets(app, cast):
    """Without a token nothing is told; with one, the assets of its account."""
    client = app.test_client()
    assert client.get("/api/our_client/assets").status_code == 401
    login = {"email": cast.stranger_email, "password": cast.password}
    token = client.post("/api/requestAuthToken", json=login).json["auth_token"]
    answer = client.get("/api/our_client/assets", headers={"Authorization": token})
    assert answer.json == {"assets": ["Foreign battery"]}


def test_the_scheduler_runs_in_the_cheapest_hours():
    """Prices fall through the day, so that the last two hours are the cheapest."""
    power = run_in_cheap_hours(Task())
    assert list(np.flatnonzero(power)) == [22, 23]
    assert set(power[22:]) == {0.02}


def test_the_forecaster_is_there():
    """It can be named in FLEXMEASURES_FORECASTER."""
    assert find_model("three-days").version == "1"
