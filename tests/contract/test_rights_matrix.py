"""Every route × every role × own, colleague's, client's, stranger's and public things.

What somebody may not do is answered like a question about what does not exist. A route without a row fails.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flexmeasures.auth.setup import hash_new_password
from flexmeasures.data.database import db
from flexmeasures.data.tables import Account, Asset, User
from flexmeasures.services.accounts import get_or_create_account_role
from flexmeasures.services.assets import NewAsset, create_asset
from flexmeasures.services.users import create_user

PASSWORD = "correct horse"
VERSIONS = ("v1", "v1_1", "v1_2", "v1_3", "v2_0")
MISSING = 9999

ROLES = {
    "no role": (),
    "Prosumer": ("Prosumer",),
    "Supplier": ("Supplier",),
    "account-admin": ("Prosumer", "account-admin"),
    "consultant": ("Prosumer", "consultant"),
    "admin-reader": ("Prosumer", "admin-reader"),
    "task-runner": ("task-runner",),
    "anonymous": ("anonymous", "Prosumer"),
    "admin": ("admin",),
}
USEF = ("Prosumer", "Supplier", "account-admin", "consultant", "admin-reader", "admin")
PROSUMERS = ("Prosumer", "account-admin", "consultant", "admin-reader", "admin")
THINGS = ("own", "colleague's", "client's", "stranger's", "public")


@dataclass(frozen=True)
class Row:
    """A route with a thing in it.

    Attributes:
        ask: Gives method, path and the fields of a request about a thing, by its id and a number that is always new.
        action: What it does: read, write or administer.
        roles: With which of them it may be used at all.
        about: Whether its things are connections, users or sensors.
    """

    ask: Callable[[int, int], tuple[str, str, dict[str, Any]]]
    action: str
    roles: tuple[str, ...] = tuple(ROLES)
    about: str = "connection"


def address(number: int, event: str = "") -> str:
    """Write the address of a connection or an event of it."""
    return f"ea1.2021-01.io.flexmeasures:1:{number}{event}"


def at(number: int) -> str:
    """Give an hour that no other request is about."""
    return (datetime(2015, 1, 1, tzinfo=UTC) + number * timedelta(hours=1)).isoformat()


def service(version: str, name: str, method: str = "GET") -> Callable[[int, int], Any]:
    """Write requests of a message service."""
    kind = f"{name[0].upper()}{name[1:]}Request"

    def ask(thing: int, number: int) -> tuple[str, str, dict[str, Any]]:
        fields: dict[str, Any] = {"type": kind}
        if name == "getDeviceMessage":
            fields |= {"event": address(thing, ":77:soc")}
        elif name == "postUdiEvent":
            fields |= {
                "event": address(thing, f":{number}:soc"),
                "value": 1,
                "unit": "MWh",
                "datetime": at(number),
            }
        else:
            fields |= {"connection": address(thing), "start": at(number), "duration": "PT1H", "unit": "MW"}
        if name.startswith("post") and name != "postUdiEvent":
            fields |= {"values": [0.0]} | ({"horizon": "R/PT0H"} if version not in ("v2_0",) else {})
        if name == "postPrognosis" and version == "v2_0":
            fields |= {"horizon": "PT0H"}
        return method, f"/api/{version}/{name}", fields

    return ask


def path(method: str, pattern: str, **fields: Any) -> Callable[[int, int], Any]:
    """Write requests about a thing whose id stands in the path."""
    return lambda thing, number: (method, pattern.format(thing), fields)


ROWS: dict[str, Row] = {}
for _version in VERSIONS:
    _prefix = f"/api/{_version}"
    ROWS[f"GET {_prefix}/getMeterData"] = Row(service(_version, "getMeterData"), "read", USEF)
    ROWS[f"POST {_prefix}/postMeterData"] = Row(service(_version, "postMeterData", "POST"), "write", USEF)
    if _version != "v1":
        ROWS[f"GET {_prefix}/getPrognosis"] = Row(service(_version, "getPrognosis"), "read", USEF)
        ROWS[f"POST {_prefix}/postPrognosis"] = Row(service(_version, "postPrognosis", "POST"), "write", USEF)
    if _version in ("v1_2", "v1_3", "v2_0"):
        ROWS[f"POST {_prefix}/postUdiEvent"] = Row(
            service(_version, "postUdiEvent", "POST"), "write", PROSUMERS
        )
        ROWS[f"GET {_prefix}/getDeviceMessage"] = Row(
            service(_version, "getDeviceMessage"), "read", PROSUMERS
        )
ROWS |= {
    "POST /api/v1/getMeterData": Row(service("v1", "getMeterData", "POST"), "read", USEF),
    "GET /api/v2_0/asset/<path:asset_id>": Row(path("GET", "/api/v2_0/asset/{}"), "read"),
    "PATCH /api/v2_0/asset/<path:asset_id>": Row(path("PATCH", "/api/v2_0/asset/{}", latitude=1), "write"),
    "GET /api/v2_0/charts/power": Row(
        lambda thing, number: (
            "GET",
            "/api/v2_0/charts/power",
            {
                "resource": f"Battery {thing}",
                "start_time": "2015-01-01T00:00:00Z",
                "end_time": "2015-01-02T00:00:00Z",
                "resolution": "PT1H",
            },
        ),
        "read",
        PROSUMERS,
    ),
    "GET /api/dev/sensor/<int:sensor_id>/": Row(
        path("GET", "/api/dev/sensor/{}/"), "read", ("admin",), "sensor"
    ),
    "GET /api/dev/sensor/<int:sensor_id>/chart/": Row(
        path("GET", "/api/dev/sensor/{}/chart/"), "read", ("admin",), "sensor"
    ),
    "GET /api/dev/sensor/<int:sensor_id>/chart_data/": Row(
        path("GET", "/api/dev/sensor/{}/chart_data/"), "read", ("admin",), "sensor"
    ),
    "GET /api/v2_0/user/<path:user_id>": Row(path("GET", "/api/v2_0/user/{}"), "read", about="user"),
    "PATCH /api/v2_0/user/<path:user_id>": Row(
        path("PATCH", "/api/v2_0/user/{}", timezone="Europe/Madrid"), "write", about="user"
    ),
    # What ends something comes last.
    "DELETE /api/v2_0/asset/<path:asset_id>": Row(path("DELETE", "/api/v2_0/asset/{}"), "write"),
    "PATCH /api/v2_0/user/<user_id>/password-reset": Row(
        path("PATCH", "/api/v2_0/user/{}/password-reset"), "write", about="user"
    ),
}

WITHOUT_A_THING = {
    *(f"GET /api/{version}/getService" for version in VERSIONS),
    *(f"GET /api/{version}/getConnection" for version in VERSIONS if version != "v1"),
    # Prices and weather are public: everybody with a role of the field may post them.
    *(f"POST /api/{version}/post{what}Data" for version in VERSIONS[1:] for what in ("Price", "Weather")),
    *(f"PUT /api/{version}/restoreData" for version in VERSIONS),
    "PUT /api/restoreData",
    *("GET /api/v2_0/assets", "POST /api/v2_0/assets", "GET /api/v2_0/users"),
    *("GET /", "GET /api/", "GET /api/openapi.json", "GET /docs", "GET /login", "POST /login"),
    *(
        "GET /logout",
        "POST /logout",
        "GET /reset",
        "POST /reset",
        "GET /reset/<token>",
        "POST /reset/<token>",
    ),
    *("GET /docs/handbook/", "GET /docs/handbook/<path:name>"),
    *("GET /verify", "POST /verify", "POST /api/requestAuthToken"),
    *(
        "GET /api/ops/ping",
        "GET /api/ops/ready",
        *("GET /health", "GET /health/live", "GET /health/ready"),
        "GET /api/ops/getLatestTaskRun",
        "POST /api/ops/postLatestTaskRun",
    ),
    *(
        "GET /fs-static/<path:filename>",
        "GET /ui/static/<path:filename>",
        "GET /ui/static/bokeh/<name>.min.js",
    ),
    "GET /ui/static/swagger/<name>",
}
"""Routes in which no thing is named: what they list and who may use them is tested with each of them."""

ELSEWHERE = (
    *("/api/communities", "/api/energy-communities", "/api/energy-selfconsumption", "/api/opendata"),
    *("/openadr3", "/energy-coordination", "/connect"),
)
"""Communities have roles of their own, partners and OpenADR 3 scopes: tested route by route in their own folders."""

PAGES = "flexmeasures.ui"
"""Views of pages are asked with a login of a browser."""


def page(method: str, pattern: str, **form: Any) -> Callable[[int, int], Any]:
    """Write requests of a page about a thing whose id stands in the path, with what its form sends."""
    return path(method, pattern, **form)


PAGE_ROWS: dict[str, Row] = {
    "GET /assets/<int:asset_id>/": Row(page("GET", "/assets/{}/"), "read"),
    "GET /assets/<int:asset_id>/plan": Row(page("GET", "/assets/{}/plan"), "read"),
    "GET /assets/<int:asset_id>/charts": Row(page("GET", "/assets/{}/charts"), "read"),
    "GET /assets/<int:asset_id>/calendar.ics": Row(page("GET", "/assets/{}/calendar.ics"), "read"),
    "GET /grid-events/limits/<int:asset_id>": Row(page("GET", "/grid-events/limits/{}"), "read"),
    "GET /assets/delete_with_data/<int:asset_id>/": Row(page("GET", "/assets/delete_with_data/{}/"), "write"),
    "POST /assets/<int:asset_id>/": Row(page("POST", "/assets/{}/", latitude="2"), "write"),
    "POST /assets/<int:asset_id>/plan": Row(page("POST", "/assets/{}/plan"), "write"),
    "POST /assets/<int:asset_id>/watch": Row(page("POST", "/assets/{}/watch", highest="1"), "write"),
    "POST /assets/<int:asset_id>/links": Row(page("POST", "/assets/{}/links", kind="page"), "write"),
    "POST /assets/<int:asset_id>/links/revoke": Row(
        page("POST", "/assets/{}/links/revoke", link="1"), "write"
    ),
    "GET /users/<int:user_id>": Row(page("GET", "/users/{}"), "read", ("admin",), "user"),
    "GET /users/toggle_active/<int:user_id>": Row(
        page("GET", "/users/toggle_active/{}"), "write", ("admin",), "user"
    ),
    "GET /users/reset_password_for/<int:user_id>": Row(
        page("GET", "/users/reset_password_for/{}"), "write", ("admin",), "user"
    ),
    "POST /users/roles/<int:user_id>": Row(page("POST", "/users/roles/{}"), "write", ("admin",), "user"),
    "POST /users/toggle_active/<int:user_id>": Row(
        page("POST", "/users/toggle_active/{}"), "write", ("admin",), "user"
    ),
    "POST /users/reset_password_for/<int:user_id>": Row(
        page("POST", "/users/reset_password_for/{}"), "write", ("admin",), "user"
    ),
    # What ends something comes last.
    "POST /assets/<int:asset_id>/delete": Row(page("POST", "/assets/{}/delete"), "write"),
}

PAGES_WITHOUT_A_THING = {
    *("GET /", "GET /dashboard", "GET /state", "GET /favicon.ico", "GET /logout"),
    *("GET /portfolio", "POST /portfolio", "GET /portfolio/charts", "GET /analytics", "POST /analytics"),
    *("GET /analytics/charts", "GET /analytics_data/<content>/<kind>"),
    *("GET /assets/", "GET /assets/new/", "POST /assets/create/", "GET /assets/owned_by/<int:owner_id>/"),
    *("GET /users", "GET /audit", "GET /accounts", "GET /alerts", "POST /alerts/acknowledge"),
    *("GET /account", "POST /account", "POST /account/token", "POST /account/log-out-everywhere"),
    *("POST /account/reset-password", "GET /upload", "POST /upload", "POST /upload/<key>"),
    *("GET /tasks/", "GET /tasks/<queue>", "POST /tasks/retry", "GET /rq/", "GET /rq/<path:_rest>"),
    *("GET /control", "POST /control", "GET /control/offers", "POST /control/order", "POST /control/cancel"),
    *("GET /grid-events", "GET /grid-events/paid", "GET /communities"),
    # By account and by role in a community: tested with each of them.
    *("GET /accounts/<int:account_id>", "GET /communities/<int:community_id>"),
    "GET /communities/<int:community_id>/charts",
    "GET /communities/<int:community_id>/statements/<int:service_id>",
    # By secret links.
    *("GET /shared/<token>", "GET /shared/<token>/charts", "GET /embed/<token>", "GET /embed/<token>/charts"),
    "GET /calendar/<token>.ics",
}
"""Pages that name no connection and no user."""


def allowed(role: str, whose: str, row: Row) -> bool:
    """Say what the tables of rights say: in API v2_0 things belong to users, admins may all, their readers read all."""
    if role not in row.roles or role == "anonymous":
        return False
    if row.about == "sensor":
        return True
    if whose == "public":
        return False  # a market is not a connection, and no user
    if role == "admin" or (role == "admin-reader" and row.action == "read"):
        return True
    return whose == "own"


def test_each_route_has_a_row(app):
    """A new route says who may what with its things, or that it has none."""
    rules = [rule for rule in app.url_map.iter_rules() if not rule.rule.startswith(ELSEWHERE)]
    routes = {
        f"{method} {rule.rule}": app.view_functions[rule.endpoint].__module__
        for rule in rules
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    known = ROWS.keys() | WITHOUT_A_THING
    pages = PAGE_ROWS.keys() | PAGES_WITHOUT_A_THING
    assert {route for route, module in routes.items() if not module.startswith(PAGES)} <= known
    assert {route for route, module in routes.items() if module.startswith(PAGES)} <= known | pages
    assert known | pages <= routes.keys()


@pytest.fixture
def things(app, cast):
    """Whose things there are: ids of users and of their batteries, by relation to the user who asks."""
    with app.app_context():
        session = db.session
        password_hash = hash_new_password(PASSWORD)
        mine = Account(name="ours", roles=[get_or_create_account_role(session, "Consultancy")])
        session.add(mine)
        session.flush()
        client = Account(name="client", consultancy_account_id=mine.id)
        session.add(client)
        session.flush()
        accounts = {"own": mine.id, "colleague's": mine.id, "client's": client.id, "stranger's": None}
        found = {"user": {"public": cast.market}, "connection": {"public": cast.market}}
        for number, (whose, account_id) in enumerate(accounts.items()):
            user = create_user(
                session,
                email=f"user{number}@seita.nl",
                password_hash=password_hash,
                roles=("Prosumer",),
                account_id=account_id,
            )
            battery = NewAsset(
                "x",
                "battery",
                1,
                timedelta(minutes=15),
                latitude=1,
                longitude=1,
                owner_id=user.id,
                market_id=cast.market,
                max_soc_in_mwh=2,
            )
            asset = create_asset(session, battery)
            asset.name = f"Battery {asset.id}"
            asset.display_name = f"Shown battery {asset.id}"
            session.flush()
            found["user"][whose], found["connection"][whose] = user.id, asset.id
        # Numbers of users are small, and that of the market may be one of them.
        found["user"]["public"] = MISSING + 1
        found["sensor"] = found["connection"]
        session.commit()
    return found


def log_in(app, client, things, role):
    """Give the user the roles, and a token."""
    from flexmeasures.data.stores.users import get_or_create_role  # noqa: PLC0415

    with app.app_context():
        user = db.session.get(User, things["user"]["own"])
        user.roles = [get_or_create_role(db.session, name) for name in ROLES[role]]
        email = user.email
        db.session.commit()
    answer = client.post("/api/requestAuthToken", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.json
    client.delete_cookie("session")
    return {"Authorization": answer.json["auth_token"]}


@pytest.mark.parametrize("role", ROLES)
def test_the_matrix(app, client, things, role):
    """Each role may do with each thing exactly what the tables of rights say."""
    token = log_in(app, client, things, role)
    fresh = itertools.count(1)
    wrong = []
    # One's own password last: it ends the token.
    order = [*THINGS[1:], THINGS[0]]
    for route, row in ROWS.items():
        missing = outcome(client, row, MISSING, next(fresh), token)
        for whose in order:
            thing = things[row.about][whose]
            answer = outcome(client, row, thing, next(fresh), token)
            if (answer != missing) != allowed(role, whose, row):
                wrong.append((route, whose, answer, missing))
    assert not wrong


@pytest.mark.parametrize("role", ROLES)
def test_the_matrix_of_pages(app, things, role):
    """In a browser each role may do with each thing what the tables of rights say, and no more than by the API."""
    browser = app.test_client()
    log_in(app, app.test_client(), things, role)
    answer = browser.post("/login", data={"email": "user0@seita.nl", "password": PASSWORD})
    assert answer.status_code == 302
    wrong = []
    for route, row in PAGE_ROWS.items():
        missing = page_outcome(browser, row, MISSING)
        for whose in (*THINGS[1:], THINGS[0]):
            answer = page_outcome(browser, row, things[row.about][whose])
            if (answer != missing) != allowed(role, whose, row):
                wrong.append((route, whose, answer, missing))
    assert not wrong


def page_outcome(browser, row, thing):
    """Ask a page, and give the status of the answer."""
    method, where, fields = row.ask(thing, 0)
    answer = browser.open(
        where, method=method, buffered=True, **({"data": fields} if method == "POST" else {})
    )
    assert answer.status_code < 500 or answer.status_code == 503, (where, answer.text)
    return answer.status_code


def test_pages_without_a_login(app, things):
    """Nobody sees anything of a page about a thing, and learns nothing of it: a login is asked for, or it is denied."""
    for route, row in PAGE_ROWS.items():
        answers = {
            page_outcome(app.test_client(), row, thing) for thing in (*things[row.about].values(), MISSING)
        }
        assert len(answers) == 1, route
        assert answers <= {302, 401, 403}, route


def outcome(client, row, thing, number, token):
    """Ask, and give the status of HTTP and that of the answer."""
    method, where, fields = row.ask(thing, number)
    given = {"query_string": fields} if method == "GET" else {"json": fields}
    answer = client.open(where, method=method, headers=token, buffered=True, **given)
    # There is no mail server here: who may reset a password is told that the mail could not be sent.
    assert answer.status_code < 500 or answer.status_code == 503, (where, answer.data)
    body = answer.json if answer.is_json else None
    return answer.status_code, body.get("status") if isinstance(body, dict) else None


def test_without_a_token(client, things):
    """Nobody may anything about anything, and learns nothing of it."""
    for route, row in ROWS.items():
        answers = {outcome(client, row, thing, 1, {})[0] for thing in (*things[row.about].values(), MISSING)}
        assert answers <= {401, 302}, route


def test_a_battery_of_a_colleague_is_still_there(app, client, things):
    """What was refused changed nothing."""
    token = log_in(app, client, things, "account-admin")
    for whose in ("colleague's", "client's", "stranger's"):
        answer = client.delete(f"/api/v2_0/asset/{things['connection'][whose]}", headers=token)
        assert answer.status_code == 404
        with app.app_context():
            assert db.session.get(Asset, things["connection"][whose]) is not None
