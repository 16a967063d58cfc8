"""The pages: who may see which, what they say, and what happens when forms are sent."""

import csv
import gzip
import io
import math
import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import event, text

from flexmeasures.app import create
from flexmeasures.data.database import db, redis_connection
from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import Asset, Market
from flexmeasures.domain.beliefs import Beliefs
from flexmeasures.domain.time import event_grid
from flexmeasures.jobs.queues import get_queue
from flexmeasures.jobs.schedules import planning_of
from flexmeasures.jobs.workers import make_worker
from flexmeasures.services.assets import NewAsset, create_asset
from flexmeasures.services.schedules.reschedule import PortfolioOrder, reschedule
from flexmeasures.services.users import create_user
from flexmeasures.testing import CAST_DAY, store_values

DAY = {"start_time": "2015-01-01T00:00", "end_time": "2015-01-02T00:00"}


@pytest.fixture
def visit(app, cast):
    """Log somebody in with a browser of their own."""

    def log_in(email, application=app):
        client = application.test_client()
        client.post("/login", data={"email": email, "password": cast.password})
        return client

    return log_in


@pytest.fixture
def app(app):
    """The application in the time zone UTC, where the cast's days begin at midnight."""
    app.config["FLEXMEASURES_TIMEZONE"] = "UTC"
    return app


@pytest.fixture
def day_of_power(app, cast):
    """Store a day of the building: 0.4 MW measured, 0.5 MW forecast six hours ahead, with a band of 0.45 to 0.6 MW."""
    with app.app_context():
        asset = db.session.get(Asset, cast.assets["building"])
        store_values(db.session, asset, CAST_DAY, np.full(96, 0.4))
        source = get_or_create_source(db.session, "FlexMeasures", "forecaster")
        beliefs = Beliefs(
            np.tile(event_grid(CAST_DAY, timedelta(minutes=15), 96), 3),
            np.repeat([0.45, 0.5, 0.6], 96),
            np.full(288, np.timedelta64(6, "h")),
            np.full(288, source.id, dtype=np.int32),
            np.repeat([0.1, 0.5, 0.9], 96),
        )
        insert_beliefs(db.session, [SensorBeliefs(asset.sensor.id, beliefs)])
        db.session.commit()


PATHS = {
    "/": (302, 200, 200, 200, 200),
    "/dashboard": (302, 200, 200, 200, 200),
    "/assets/": (302, 200, 200, 200, 200),
    "/assets": (302, 200, 200, 200, 200),
    "/assets/new/": (302, 403, 403, 200, 403),
    "/assets/owned_by/1/": (302, 200, 403, 200, 403),
    "/assets/3/": (302, 200, 404, 200, 404),
    "/assets/3/plan": (302, 200, 404, 200, 404),
    "/assets/3/charts": (302, 200, 404, 200, 404),
    "/assets/delete_with_data/3/": (302, 200, 404, 200, 404),
    "/portfolio": (403, 200, 200, 200, 403),
    "/portfolio/charts": (403, 200, 200, 200, 403),
    "/analytics": (403, 200, 200, 200, 403),
    "/analytics/charts": (403, 200, 200, 200, 403),
    "/analytics_data/metrics/csv": (403, 200, 200, 200, 403),
    "/analytics_data/source/json": (403, 200, 200, 200, 403),
    "/control": (403, 200, 200, 200, 403),
    "/control/offers": (403, 200, 200, 200, 403),
    "/users": (403, 403, 403, 200, 403),
    "/users/1": (403, 403, 403, 200, 403),
    "/users/toggle_active/1": (403, 403, 403, 200, 403),
    "/users/reset_password_for/1": (403, 403, 403, 200, 403),
    "/account": (302, 200, 200, 200, 200),
    "/tasks/": (302, 403, 403, 200, 403),
    "/tasks/schedules": (302, 403, 403, 200, 403),
    "/tasks/forecasting": (302, 403, 403, 200, 403),
    "/rq/": (302, 302, 302, 302, 302),
    "/upload": (302, 200, 200, 200, 200),
    "/audit": (302, 200, 200, 200, 200),
    "/assets/3/calendar.ics": (302, 200, 404, 200, 404),
    "/shared/x": (404, 404, 404, 404, 404),
    "/shared/x/charts": (404, 404, 404, 404, 404),
    "/embed/x": (404, 404, 404, 404, 404),
    "/embed/x/charts": (404, 404, 404, 404, 404),
    "/calendar/x.ics": (404, 404, 404, 404, 404),
    "/alerts": (302, 200, 200, 200, 200),
    "/communities": (302, 200, 200, 200, 200),
    "/communities/1": (302, 403, 403, 403, 403),
    "/communities/1/charts": (302, 403, 403, 403, 403),
    "/communities/1/statements/1": (302, 403, 403, 403, 403),
    "/grid-events": (302, 200, 200, 200, 200),
    "/grid-events/paid": (302, 403, 403, 200, 403),
    "/grid-events/limits/3": (302, 200, 404, 200, 404),
    "/accounts": (302, 200, 200, 200, 200),
    "/accounts/1": (302, 200, 404, 200, 404),
    "/state?id=3": (302, 200, 200, 200, 200),
}


def test_each_page_is_shown_to_those_who_may_see_it(app, cast, visit):
    """Visitor, owner, stranger, admin and somebody without a role get the documented answer from each page."""
    people = [
        app.test_client(),
        *(
            visit(one)
            for one in (cast.owner_email, cast.stranger_email, cast.admin_email, cast.roleless_email)
        ),
    ]
    found = {path: tuple(one.get(path).status_code for one in people) for path in PATHS}
    assert found == PATHS


def test_every_page_is_in_the_table_of_rights(app):
    """A page that nobody has thought about in the table above fails here."""
    rules = {
        rule.rule.replace("<int:asset_id>", "3")
        .replace("<int:owner_id>", "1")
        .replace("<int:user_id>", "1")
        .replace("<int:account_id>", "1")
        .replace("<token>", "x")
        .replace("<int:community_id>", "1")
        .replace("<int:service_id>", "1")
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("flexmeasures_ui.") and "GET" in rule.methods
    }
    known = {path.partition("?")[0] for path in PATHS} | {
        "/logout",
        "/rq/<path:_rest>",
        "/tasks/<queue>",
        "/analytics_data/<content>/<kind>",
    }
    assert rules <= known


def test_texts_that_others_look_for_are_there(cast, visit):
    """The headings of version 0.4 are on their pages."""
    owner, admin = visit(cast.owner_email), visit(cast.admin_email)
    assert "This dashboard shows you" in owner.get("/").text
    assert "Status of my assets" in owner.get("/").text
    assert "Portfolio status" in owner.get("/portfolio").text
    assert "Client analytics" in owner.get("/analytics").text
    assert "Balancing actions" in owner.get("/control").text
    assert "Asset listing" in owner.get("/assets/").text
    assert "Edit asset Test battery" in owner.get("/assets/3/").text
    assert "Creating a new asset" in admin.get("/assets/new/").text
    assert "All active users" in admin.get("/users").text
    assert "All users" in admin.get("/users?include_inactive=on").text
    assert "Account overview for owner" in admin.get(f"/users/{cast.owner_id}").text


def test_a_window_that_ends_before_it_starts_is_refused(cast, visit):
    """Start and end in the wrong order, or no times at all, get a page with the code 400 that names them."""
    owner = visit(cast.owner_email)
    answer = owner.get("/portfolio", query_string={"start_time": "2015-01-02", "end_time": "2015-01-01"})
    assert answer.status_code == 400
    assert "We encountered a bad request." in answer.text
    assert "2015-01-02T00:00:00" in answer.text
    for wrong in ("<script>", "yesterday", "0001-01-01", "9999-12-31"):
        answer = owner.get("/analytics", query_string={"start_time": wrong})
        assert answer.status_code == 400, wrong
        assert "<script>alert" not in answer.text


def test_a_window_is_kept_until_the_session_is_cleared(cast, visit):
    """The next page shows the same window; ?clear-session forgets it and does not log out."""
    owner = visit(cast.owner_email)
    owner.get("/portfolio", query_string=DAY)
    assert 'value="2015-01-01T00:00"' in owner.get("/analytics").text
    cleared = owner.get("/dashboard?clear-session")
    assert cleared.status_code == 200
    assert "Your session was cleared." in cleared.text
    assert 'value="2015-01-01T00:00"' not in owner.get("/analytics").text


def test_metrics_of_the_analytics_are_right(cast, visit, day_of_power):
    """Sums, means and errors are those that a calculation by hand gives.

    0.4 MW for 24 h are 9.6 MWh and 0.5 MW are 12 MWh; each quarter hour is wrong by 0.1 MW · 0.25 h = 0.025 MWh, in
    all 2.4 of 9.6 MWh: 25 %. The prices are a wave around 60 EUR/MWh, so the power costs 9.6 · 60 = 576 EUR.
    """
    owner = visit(cast.owner_email)
    query = {"resource": "Test building", "forecast_horizon": "PT6H", **DAY}
    found = owner.get("/analytics_data/metrics/json", query_string=query).json
    assert found["realised_power"] == pytest.approx(9.6)
    assert found["expected_power"] == pytest.approx(12)
    assert found["mae_power"] == pytest.approx(0.025)
    assert found["wape_power"] == pytest.approx(25)
    assert found["realised_prices"] == pytest.approx(60)
    assert found["realised_revs_costs"] == pytest.approx(576)
    page = owner.get("/analytics", query_string=query).text
    for shown in ("9.600", "12.000", "0.025", "25%", "576.00"):
        assert f'<td class="number">{shown}</td>' in page


def test_charts_and_downloads_hold_the_same_values(cast, visit, day_of_power):
    """The chart's JSON, its CSV and the documented download agree with the database, bands included."""
    owner = visit(cast.owner_email)
    query = {"resource": "Test building", "forecast_horizon": "PT6H", **DAY}
    charts = {c["name"]: c for c in owner.get("/analytics/charts", query_string=query).json["charts"]}
    power = charts["power"]
    lines = {line["style"]: line for line in power["lines"]}
    assert power["unit"] == "kW"
    assert power["times"][0] == int(CAST_DAY.timestamp())
    assert len(power["times"]) == 96
    assert set(lines["measured"]["values"]) == {400}
    assert set(lines["forecast"]["values"]) == {500}
    assert (set(lines["band"]["values"]), set(lines["band"]["high"])) == ({450}, {600})
    as_csv = owner.get("/analytics/charts", query_string={**query, "chart": "power", "format": "csv"})
    rows = list(csv.DictReader(io.StringIO(as_csv.text)))
    assert rows[0]["start"] == "2015-01-01T00:00:00Z"
    assert {float(row["Measured [MW]"]) for row in rows} == {0.4}
    source = owner.get("/analytics_data/source/csv", query_string=query)
    assert "attachment; filename" in source.headers["Content-Disposition"]
    table = list(csv.reader(io.StringIO(source.text)))
    assert table[0][:3] == ["time", "power", "power_forecast"]
    assert table[1][1] == "MW"
    assert [float(row[1]) for row in table[2:]] == [0.4] * 96


def test_the_portfolio_says_what_energy_costs(cast, visit, day_of_power):
    """The energy summary has volumes, costs, revenues and the loss, by asset type."""
    page = visit(cast.owner_email).get("/portfolio", query_string=DAY).text
    row = re.search(r"<tr>(?:(?!</tr>).)*Building.*?</tr>", page, re.DOTALL)[0]
    assert [cell.strip() for cell in re.findall(r'<td class="number">([^<]*)</td>', row)] == [
        "1",
        "–",
        "9.600",
        "576.00",
        "0.00",
        "−576.00",
    ]
    assert "60.00 EUR/MWh" in page


@pytest.mark.parametrize("wrong", ["abc", "", "0", "-1", "99999999999999999999", "1; drop table", "8"])
def test_the_state_of_what_is_not_there_is_a_piece_of_a_page(cast, visit, wrong):
    """Whatever is asked for, the answer is 200 and says that no state is available; strangers' assets included."""
    answer = visit(cast.owner_email).get("/state", query_string={"id": wrong})
    assert answer.status_code == 200
    assert "State not available" in answer.text


def test_the_state_says_what_an_asset_does(cast, visit, day_of_power):
    """Power, its share of the capacity of 1 MW, and when it was measured."""
    page = visit(cast.owner_email).get(f"/state?id={cast.assets['building']}").text
    assert "Consuming <strong>400 kW</strong> (40% capacity)" in page
    assert "Latest state at 02 Jan 2015 00:00" in page


NEW = {
    "display_name": "New roof",
    "asset_type_name": "solar",
    "capacity_in_mw": "0,25",
    "event_resolution": "15",
    "latitude": "52.1",
    "longitude": "4.3",
}


def test_an_asset_is_created_edited_and_deleted(app, cast, visit):
    """An admin makes an asset with the form, its owner changes it, and it is deleted with a form, not by a link."""
    admin, owner = visit(cast.admin_email), visit(cast.owner_email)
    form = {**NEW, "owner_id": cast.owner_id, "market_id": cast.market}
    answer = admin.post("/assets/create/", data=form)
    assert answer.status_code == 302, answer.text
    assert "Creation was successful." in admin.get(answer.location).text
    page = owner.get(answer.location)
    assert 'value="0.25"' in page.text
    saved = owner.post(answer.location, data={"display_name": "New roof", "capacity_in_mw": "0.3"})
    assert saved.status_code == 302
    assert "Editing was successful." in owner.get(answer.location).text
    asset_id = int(answer.location.split("/")[2])
    assert owner.get(f"/assets/delete_with_data/{asset_id}/").status_code == 200
    assert owner.get(answer.location).status_code == 200, "a link must not delete"
    assert visit(cast.stranger_email).post(f"/assets/{asset_id}/delete").status_code == 404
    deleted = owner.post(f"/assets/{asset_id}/delete", follow_redirects=True)
    assert f"Asset {asset_id} and assorted meter readings / forecasts have been deleted." in deleted.text
    assert owner.get(answer.location).status_code == 404


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("owner_id", "", "Pick an existing owner."),
        ("market_id", "x", "Pick an existing market."),
        ("capacity_in_mw", "much", "is not a number"),
        ("capacity_in_mw", "nan", "Give a finite number."),
        ("latitude", "91", "latitude"),
        ("event_resolution", "0", "Give a number of minutes above 0"),
        ("display_name", "", "Give a name."),
        ("display_name", "Test battery", "already exists"),
    ],
)
def test_a_wrong_form_shows_what_was_typed(cast, visit, field, value, words):
    """What is wrong stands beside its field; everything that was typed is still there, and nothing is stored."""
    admin = visit(cast.admin_email)
    form = {**NEW, "owner_id": cast.owner_id, "market_id": cast.market, field: value}
    answer = admin.post("/assets/create/", data=form)
    assert answer.status_code == 400
    assert "Cannot create asset." in answer.text
    assert words.lower() in answer.text.lower()
    assert f'value="{form["longitude"]}"' in answer.text
    assert "New roof" not in admin.get("/assets/").text


def test_two_people_editing_the_same_asset_do_not_overwrite_each_other(cast, visit):
    """Whoever saves a form that was opened before another change is told so, with the page's code 409."""
    owner, admin = visit(cast.owner_email), visit(cast.admin_email)
    version = re.search(r'name="version" value="(\w+)"', owner.get("/assets/3/").text)[1]
    admin.post("/assets/3/", data={"capacity_in_mw": "1.5", "version": version})
    late = owner.post("/assets/3/", data={"capacity_in_mw": "1.7", "version": version})
    assert late.status_code == 409
    assert "Somebody else has changed this asset meanwhile." in late.text
    assert 'value="1.7"' in late.text


def test_nothing_typed_is_lost_when_the_session_is_over(app, cast):
    """A form that comes without a login is shown again on a page that leads to the login."""
    answer = app.test_client().post("/assets/3/", data={"display_name": "<b>Typed</b>", "csrf_token": "x"})
    assert answer.status_code == 401
    assert 'name="display_name" value="&lt;b&gt;Typed&lt;/b&gt;"' in answer.text
    assert 'name="csrf_token"' not in answer.text


def test_forms_of_foreign_pages_are_refused(app, cast, visit):
    """With CSRF protection as in production, a form without the token of its page changes nothing."""
    app.config["WTF_CSRF_ENABLED"] = True
    client = app.test_client()
    page = client.get("/login").text
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)[1]
    client.post("/login", data={"email": cast.owner_email, "password": cast.password, "csrf_token": token})
    answer = client.post("/assets/3/", data={"capacity_in_mw": "1.5"})
    assert answer.status_code == 400
    assert client.post("/assets/3/delete").status_code == 302
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/assets/3/").text)[1]
    assert client.post("/assets/3/", data={"capacity_in_mw": "1.5", "csrf_token": token}).status_code == 302


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "خزان الطاقة", "🔋 emoji", "N" * 80, "a' \" & b"]
)
def test_hostile_names_are_shown_as_they_are(cast, visit, name):
    """Names are text on all pages, never markup."""
    owner = visit(cast.owner_email)
    assert owner.post("/assets/3/", data={"display_name": name}).status_code == 302
    for path in (
        "/",
        "/assets/",
        "/assets/3/",
        "/portfolio",
        "/analytics",
        "/upload",
        "/assets/delete_with_data/3/",
    ):
        page = owner.get(path)
        assert page.status_code == 200
        assert "<script>alert" not in page.text


CSV = "start;kW\n2015-01-03 00:00;3,25\n2015-01-03 00:15;3,75\n"


def upload(client, content, sensor, name="meter.csv"):
    """Send a file to be looked at; give the page and the key under which it waits."""
    data = {"sensor": sensor, "file": (io.BytesIO(content.encode()), name)}
    page = client.post("/upload", data=data)
    key = re.search(r'action="/upload/([\w-]+)"', page.text)
    return page, key and key[1]


def test_a_csv_file_is_looked_at_and_then_stored(app, cast, visit):
    """Decimal commas, local times and kW are read; values are stored in MW, all of them, when the user says so."""
    owner, building = visit(cast.owner_email), cast.assets["building"]
    page, key = upload(owner, CSV, building)
    assert "2 values of Test building: power" in page.text
    form = {
        "time": 0,
        "value": 1,
        "decimal": "comma",
        "unit": "kW",
        "zone": "Europe/Amsterdam",
        "do": "store",
    }
    answer = owner.post(f"/upload/{key}", data=form, follow_redirects=True)
    assert "2 values of Test building: power were stored." in answer.text
    with app.app_context():
        query = text("select event_start, event_value from belief where sensor_id = :id order by 1")
        rows = db.session.execute(query, {"id": building}).all()
    # Midnight in Amsterdam is 23:00 in Greenwich.
    assert [start for start, _ in rows] == [
        datetime(2015, 1, 2, 23, minute, tzinfo=UTC) for minute in (0, 15)
    ]
    assert [value for _, value in rows] == pytest.approx([0.00325, 0.00375])


def test_a_file_with_a_fault_stores_nothing(app, cast, visit):
    """Each wrong line is named, and there is no button that stores; who asks for it all the same is refused."""
    owner, building = visit(cast.owner_email), cast.assets["building"]
    page, key = upload(owner, CSV + "2015-01-03 00:30;much\nsoon;1\n2015-01-03 00:15;1\n", building)
    assert "Line 4: &#39;much&#39; is not a number." in page.text
    assert "Line 5: &#39;soon&#39; is not a time" in page.text
    assert "Line 6: its time is that of line 3" in page.text
    assert 'value="store"' not in page.text
    form = {"time": 0, "value": 1, "decimal": "comma", "unit": "kW", "zone": "UTC", "do": "store"}
    assert owner.post(f"/upload/{key}", data=form).status_code == 400
    with app.app_context():
        assert (
            db.session.execute(
                text("select count(*) from belief where sensor_id = :id"), {"id": building}
            ).scalar()
            == 0
        )


def test_files_go_to_ones_own_sensors_only(cast, visit):
    """Foreign sensors are as good as unknown, and a file that waits belongs to its user."""
    owner, stranger = visit(cast.owner_email), visit(cast.stranger_email)
    page, _ = upload(owner, CSV, cast.foreign_asset)
    assert page.status_code == 400
    assert "You have no sensor with id" in page.text
    _, key = upload(owner, CSV, cast.assets["building"])
    answer = stranger.post(f"/upload/{key}", data={"do": "store"}, follow_redirects=True)
    assert "The file is not kept any more" in answer.text


@pytest.mark.parametrize("content", ["", "start;kW\n", "\0\1\2", "PK\x03\x04 no workbook"])
def test_files_that_are_not_tables_are_refused(cast, visit, content):
    """Empty files, heads alone, and what is neither CSV nor a workbook get a sentence instead of a crash."""
    page, key = upload(visit(cast.owner_email), content, cast.assets["building"])
    assert page.status_code == 400
    assert key is None
    assert 'class="error"' in page.text


def test_users_are_deactivated_by_forms_only(app, cast, visit):
    """A link asks first; the form does it and says so, and the user cannot log in any more."""
    admin = visit(cast.admin_email)
    assert admin.get(f"/users/toggle_active/{cast.owner_id}").status_code == 200
    assert visit(cast.owner_email).get("/").status_code == 200
    done = admin.post(f"/users/toggle_active/{cast.owner_id}", follow_redirects=True)
    assert "User owner&#39;s new activation status is now False." in done.text
    assert visit(cast.owner_email).get("/").status_code == 302
    own = admin.post(f"/users/toggle_active/{cast.admin_id}", follow_redirects=True)
    assert "Nobody may change their own roles" in own.text


def test_a_token_of_the_account_page_works(app, cast, visit):
    """The token that the page shows opens the API; logging out everywhere makes it void, and ends the session."""
    owner = visit(cast.owner_email)
    token = re.search(r'<code id="token">([^<]+)</code>', owner.post("/account/token").text)[1]
    asked = app.test_client().get("/api/v2_0/assets", headers={"Authorization": token})
    assert asked.status_code == 200
    owner.post("/account/log-out-everywhere")
    assert owner.get("/account").status_code == 302
    assert app.test_client().get("/api/v2_0/assets", headers={"Authorization": token}).status_code == 401


def test_the_menu_lists_the_configured_views(app, cast, visit):
    """Views come in the order of the setting, those of plugins by their names; admins also have the tasks."""
    app.config["FLEXMEASURES_LISTED_VIEWS"] = [
        "assets",
        "our_client/metrics",
        "users",
        "dashboard",
        "control",
    ]
    captions = re.compile(r"</svg>([^<]+)</a></li>")
    assert captions.findall(visit(cast.owner_email).get("/account").text) == [
        "Assets",
        "Metrics",
        "Dashboard",
        "Flexibility actions",
    ]
    assert captions.findall(visit(cast.admin_email).get("/account").text)[-1] == "Tasks"


def test_demo_mode_shows_queues_and_credentials(app, cast, visit):
    """At a demonstration anybody who is logged in sees the queues, and the login page says how to log in."""
    app.config["FLEXMEASURES_MODE"] = "demo"
    app.config["FLEXMEASURES_PUBLIC_DEMO_CREDENTIALS"] = ("demo@example.com", "see all")
    assert visit(cast.owner_email).get("/tasks/").status_code == 200
    assert "demo@example.com" in app.test_client().get("/login").text
    app.config["FLEXMEASURES_MODE"] = ""
    assert "demo@example.com" not in app.test_client().get("/login").text


def test_files_for_browsers_are_cached_for_ever_and_compressed(client):
    """A name with the hash of its content is immutable; unknown names are not found, and nothing else is served."""
    page = client.get("/login").text
    address = re.search(r"/ui/static/style\.[0-9a-f]{12}\.css", page)[0]
    with client.get(address, headers={"Accept-Encoding": "gzip"}) as answer:
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.headers["Content-Encoding"] == "gzip"
        plain = gzip.decompress(answer.data)
    with client.get("/ui/static/style.css") as answer:
        assert answer.data == plain
        assert "immutable" not in answer.headers["Cache-Control"]
    for wrong in (
        "nothing.css",
        "../app.py",
        "..%2f..%2fapp.py",
        "vendor/../../views/__init__.py",
        "tokens..css",
    ):
        assert client.get(f"/ui/static/{wrong}").status_code == 404


def test_a_plan_is_told_in_words(app, cast, visit):
    """Dashboard, asset and plan say what the battery does now and next; strangers see nothing of it."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    with app.app_context():
        market = db.session.get(Market, cast.market)
        # Four cheap hours, then dear ones: the battery charges now and gives later.
        store_values(db.session, market, now, np.concatenate([np.full(4, 10.0), np.full(20, 200.0)]))
        battery = db.session.get(Asset, cast.assets["battery"])
        battery.soc_datetime = now
        order = PortfolioOrder((battery.id,), now, timedelta(hours=20), now)
        assert reschedule(db.session, order, planning_of(app.config)).made == 1
        db.session.commit()
    owner = visit(cast.owner_email)
    assert "Now and next" in owner.get("/").text
    assert "1 asset follows its schedule." in owner.get("/").text
    page = owner.get("/assets/3/").text
    assert re.search(r"(Charges|Holds what it has|Discharges)", page)
    plan = owner.get("/assets/3/plan").text
    assert re.search(r'<td data-label="Action">charge</td>', plan)
    assert "the price is better than the mean of the plan" in plan
    charts = {one["name"]: one for one in owner.get("/assets/3/charts").json["charts"]}
    assert [one["style"] for one in charts["power"]["lines"]] == ["schedule"]
    assert charts["soc"]["lines"][0]["state"]
    assert "Now and next" not in visit(cast.stranger_email).get("/").text


def test_an_empty_installation_says_the_next_step(app, cast, visit):
    """Who has no assets reads on each page what comes next."""
    with app.app_context():
        create_user(db.session, email="new@seita.nl", password_hash="x", username="new", roles=["Prosumer"])
        db.session.execute(text("update fm_user set password = (select password from fm_user where id = 1)"))
        db.session.commit()
    client = visit("new@seita.nl")
    for path in ("/", "/portfolio", "/analytics", "/assets/", "/upload"):
        page = client.get(path)
        assert page.status_code == 200
        assert 'class="empty"' in page.text, path


def test_the_number_of_queries_does_not_grow_with_the_assets(app, cast, visit):
    """Dashboard, list, portfolio and their charts ask as much for one asset as for five."""
    from sqlalchemy import event  # noqa: PLC0415

    counted = []

    def count(*_args):
        counted.append(1)

    clients = visit(cast.stranger_email), visit(cast.owner_email)
    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", count)
    try:
        for path in ("/", "/assets/", "/portfolio", "/portfolio/charts"):
            numbers = []
            for client in clients:
                client.get(path)
                counted.clear()
                client.get(path)
                numbers.append(len(counted))
            assert numbers[1] <= numbers[0] + 1, (path, numbers)
    finally:
        event.remove(engine, "before_cursor_execute", count)


def test_a_plugins_template_of_version_0_4_still_fits(app, tmp_path, cast):
    """Blocks of the documented time are filled in, and plots of a plugin make the page load Bokeh."""
    folder = tmp_path / "old_client"
    (folder / "templates").mkdir(parents=True)
    (folder / "__init__.py").write_text(
        "from flask import Blueprint\n"
        "from flexmeasures.ui.utils.view_utils import render_flexmeasures_template\n"
        "old_client_bp = Blueprint('old_client', 'old_client', template_folder='templates')\n"
        "@old_client_bp.route('/old')\n"
        "def old():\n"
        "    return render_flexmeasures_template('old.html', power_plots_div='<p>plot</p>')\n"
    )
    (folder / "templates" / "old.html").write_text(
        "{% extends 'base.html' %}{% set active_page = 'old' %}{% block title %}Old{% endblock %}"
        "{% block divs %}{{ power_plots_div|safe }} {{ start_time|localized_datetime }} "
        "{{ resolution_human }}{% endblock %}"
    )
    settings = {"FLEXMEASURES_INSTANCE_PATH": app.instance_path, "FLEXMEASURES_PLUGIN_PATHS": [str(folder)]}
    page = create("testing", settings=settings).test_client().get("/old").text
    assert "<p>plot</p>" in page
    assert "15 minutes" in page
    assert "/ui/static/bokeh/bokeh.min.js" in page


def test_a_failed_job_says_why_and_is_tried_again(app, cast, visit):
    """An admin reads the reason and places the job again; nobody else may, and a job that waits is not placed twice."""
    connection = redis_connection(app)
    queue = get_queue(connection, "scheduling")
    job = queue.enqueue(math.sqrt, -4, description="count to four")
    make_worker(app, ["scheduling"]).work(burst=True)
    admin, owner = visit(cast.admin_email), visit(cast.owner_email)
    page = admin.get("/tasks/scheduling?state=failed").text
    assert "count to four" in page
    assert "an unexpected error; the worker&#39;s log has more." in page
    assert owner.post("/tasks/retry", data={"job": job.id}).status_code == 403
    assert len(queue) == 0
    assert "was placed again" in admin.post("/tasks/retry", data={"job": job.id}, follow_redirects=True).text
    assert queue.get_job_ids() == [job.id]
    assert admin.post("/tasks/retry", data={"job": job.id}).status_code == 409
    assert admin.post("/tasks/retry", data={"job": "none"}).status_code == 404
    assert len(queue) == 1


@pytest.mark.parametrize(
    "path", ["/dashboard", "/portfolio", "/assets/", "/alerts", "/analytics", "/communities"]
)
def test_a_page_asks_as_many_questions_for_many_assets_as_for_few(app, cast, visit, path):
    """Twenty more assets cost no statement more: what is read of them is read together."""
    browser = visit(cast.owner_email)

    def statements():
        count = [0]

        def note(*_):
            count[0] += 1

        with app.app_context():
            engine = db.engine
        event.listen(engine, "before_cursor_execute", note)
        assert browser.get(path).status_code == 200
        event.remove(engine, "before_cursor_execute", note)
        return count[0]

    statements()
    before = statements()
    with app.app_context():
        for number in range(20):
            new = NewAsset(
                f"More {number}", "building", 1.0, timedelta(minutes=15), owner_id=cast.owner_id,
                market_id=cast.market, latitude=52, longitude=5,
            )  # fmt: skip
            create_asset(db.session, new)
        db.session.commit()
    assert statements() <= before
