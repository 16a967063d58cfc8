"""The endpoints of the community's perspective: shapes, headers, ranges, paging, errors, rights."""

from __future__ import annotations

from datetime import date

import pytest

from flexmeasures.api.communities import community_views
from flexmeasures.auth.setup import hash_new_password
from flexmeasures.data.database import db
from flexmeasures.data.tables import Account, AccountRole, Community, CommunityMember, CommunityService
from flexmeasures.services.users import create_user

from .conftest import DAY, GENERATION, Caller, day_of, midnight, store

ROOT = "/api/communities/community"
MAY_1 = {"from_date": "2024-05-01", "to_date": "2024-05-01"}
SERIES = ("energy_production", "energy_selfconsumption", "energy_exported", "energy_consumption")


def paths(service):
    """List the eight paths of the seed."""
    one = f"{ROOT}/community_services/{service}"
    return [
        f"{ROOT}/community_services",
        one,
        f"{ROOT}/community_services/metrics",
        f"{one}/metrics",
        *(f"{one}/metrics/{name}" for name in SERIES),
    ]


def test_services_have_the_shape_of_the_seed(staff, scene):
    """A service tells id, type, name, status, power, inscriptions and address, and what the published API adds."""
    answer = staff.get(paths(scene.service)[0], **MAY_1)
    assert answer.status_code == 200
    service = {
        "id": scene.service,
        "type": "photovoltaic",
        "name": "Roof of the school",
        "status": "active",
        "power": 12.0,
        "inscriptions": 3,
        "address": dict.fromkeys(("street", "street2", "postal_code", "city", "state", "country"), ""),
        "has_monitoring": True,
        "open_inscriptions": False,
        "inscriptions_url_form": "",
    }
    assert answer.json["data"] == [service]
    assert {k: answer.json[k] for k in ("page", "count", "total_results")} == {
        "page": 1,
        "count": 1,
        "total_results": 1,
    }
    single = staff.get(paths(scene.service)[1])
    assert single.json["data"] == service
    assert set(single.json["links"]) == {"self_", "next_page", "previous_page"}


def test_metrics_are_those_of_the_worked_example(staff, scene):
    """Fixed coefficients: 12 kWh produced, 10 used, 6.9 of them self-consumed; the ratios are fractions."""
    answer = staff.get(f"{ROOT}/community_services/{scene.service}/metrics", **MAY_1)
    assert answer.status_code == 200
    data = answer.json["data"]
    expected = {
        "energy_production": (12.0, "kWh"),
        "energy_consumption": (10.0, "kWh"),
        "selfproduction_ratio": (0.575, "percentage"),
        "surplus_ratio": (0.425, "percentage"),
        "gridconsumption_ratio": (0.31, "percentage"),
        "selfconsumption_ratio": (0.69, "percentage"),
        "environment_saves": (12 * 162.0, "grCO2"),
        "power": (12.0, "kW"),
    }
    for name, (value, unit) in expected.items():
        assert data[name] == {"value": value, "unit": unit}, name
    assert (data["id"], data["type"], data["name"]) == (scene.service, "photovoltaic", "Roof of the school")
    assert (data["coverage"], data["provisional"], data["differences"]) == (1.0, False, 0)
    assert data["emission_factor"]["value"] == 162.0
    listed = staff.get(f"{ROOT}/community_services/metrics", **MAY_1)
    assert listed.json["data"] == [data]
    assert listed.json["total_results"] == 1


@pytest.mark.parametrize(("series", "value"), list(zip(SERIES, (12.0, 6.9, 5.1, 10.0), strict=True)))
def test_daily_series(staff, scene, series, value):
    """Each series has one value a local day, in kWh."""
    answer = staff.get(f"{ROOT}/community_services/{scene.service}/metrics/{series}", **MAY_1)
    assert answer.json["data"] == [{"value": value, "date": "2024-05-01"}]
    assert answer.json["total_results"] == 1


def test_both_ends_of_a_range_are_included(staff, scene):
    """The day itself counts as first and as last day; the days around it do not; days without data are left out."""
    path = f"{ROOT}/community_services/{scene.service}/metrics/energy_production"
    for query, found in (
        ({"from_date": "2024-05-01", "to_date": "2024-05-31"}, 1),
        ({"from_date": "2024-04-01", "to_date": "2024-05-01"}, 1),
        ({"from_date": "2024-05-02", "to_date": "2024-05-31"}, 0),
        ({"from_date": "2024-04-01", "to_date": "2024-04-30"}, 0),
        ({}, 1),
    ):
        assert len(staff.get(path, **query).json["data"]) == found, query


def test_a_day_without_data_lowers_the_coverage(staff, scene):
    """Two days of which one has readings are half covered."""
    answer = staff.get(
        f"{ROOT}/community_services/{scene.service}/metrics", from_date="2024-05-01", to_date="2024-05-02"
    )
    assert answer.json["data"]["coverage"] == 0.5


def test_services_without_meter_have_no_metrics(app, staff, scene):
    """A car club is listed, has no metrics and an empty series, and does not count in the list of metrics."""
    with app.app_context():
        db.session.add(
            CommunityService(
                community_id=scene.community, type="car_sharing", name="Cars", status="active", method="fixed"
            )
        )
        db.session.commit()
    services = staff.get(f"{ROOT}/community_services").json["data"]
    cars = services[1]
    assert (cars["type"], cars["power"], cars["has_monitoring"]) == ("car_sharing", None, False)
    assert staff.get(f"{ROOT}/community_services/{cars['id']}/metrics").json["data"] is None
    series = staff.get(f"{ROOT}/community_services/{cars['id']}/metrics/energy_production").json
    assert (series["data"], series["count"], series["total_results"], series["page"]) == ([], 0, 0, 1)
    assert staff.get(f"{ROOT}/community_services/metrics").json["total_results"] == 1


def test_drafts_are_hidden(app, staff, scene):
    """Nobody sees a service that is being prepared, in a list or by its id."""
    with app.app_context():
        db.session.get(CommunityService, scene.service).status = "draft"
        db.session.commit()
    for path in paths(scene.service):
        answer = staff.get(path)
        assert answer.json.get("data") == [] or answer.status_code == 404, path


@pytest.mark.parametrize("name", ["CompanyID", "companyid", "CommunityId", "COMMUNITYID"])
def test_both_names_of_the_header(client, scene, name):
    """The header may be called CompanyID or CommunityId, in any case."""
    staff = Caller(client, "staff@example.org")
    assert staff.get(f"{ROOT}/community_services", {name: str(scene.community)}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({}, "missing"),
        ({"CompanyID": "x"}, "'x'"),
        ({"CompanyID": "-1"}, "'-1'"),
        ({"CompanyID": "1", "CommunityId": "2"}, "differ"),
        ({"CompanyID": ""}, "not the id"),
        ({"CompanyID": "1" * 5000}, "not the id"),
    ],
)
def test_a_wrong_header_is_a_bad_request(client, scene, headers, said):
    """A missing, unreadable or contradictory header is named; the body repeats the status."""
    answer = Caller(client, "staff@example.org").get(f"{ROOT}/community_services", headers)
    assert answer.status_code == 400
    assert answer.json["code"] == 400
    assert answer.json["name"] == "Bad Request"
    assert said in answer.json["description"]
    assert "<" not in answer.json["description"]


@pytest.mark.parametrize(
    "query",
    [
        {"from_date": "yesterday"},
        {"from_date": "2024-02-30"},
        {"from_date": "20240101"},
        {"to_date": "2024-1-1"},
        {"from_date": "2024-05-02", "to_date": "2024-05-01"},
        {"from_date": "9999-01-01"},
        {"page": "0"},
        {"page": "-1"},
        {"page": "1.5"},
        {"page": "9" * 5000},
        {"page_size": "0"},
        {"page_size": "1001"},
        {"page_size": "x"},
        {"page": "\u0661"},
    ],
)
def test_bad_parameters_name_themselves(staff, scene, query):
    """What is not a date or page, or a range the wrong way round, is refused by name."""
    answer = staff.get(f"{ROOT}/community_services/{scene.service}/metrics/energy_production", **query)
    assert answer.status_code == 400
    assert next(iter(query)) in answer.json["description"]
    assert answer.json.keys() == {"code", "name", "description"}


def test_services_accept_dates_and_ignore_them(staff, scene):
    """The seed lists the dates for services too; they make no difference."""
    for path in paths(scene.service)[:2]:
        assert staff.get(path, from_date="2030-01-01", to_date="2020-01-01").status_code == 200


@pytest.mark.parametrize("number", range(8))
def test_without_a_valid_token_nothing_is_told(client, scene, number):
    """No token, a wrong one and one that was changed are all refused with 401."""
    path = paths(scene.service)[number]
    good = Caller(client, "staff@example.org").headers["Authorization"]
    client.get("/logout")
    for authorization in (None, "Bearer x", "Bearer ", good[:-2] + "xx"):
        headers = {"CompanyID": str(scene.community)}
        if authorization is not None:
            headers["Authorization"] = authorization
        answer = client.get(path, headers=headers)
        assert answer.status_code == 401, authorization
        assert (answer.json["code"], answer.json["name"]) == (401, "Unauthorized")


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("who", ["other", "nobody", "provider"])
def test_nobody_reads_another_community(client, scene, number, who):
    """Who has no role in a community that may read gets 403, on any of the eight routes."""
    answer = Caller(client, f"{who}@example.org", scene.community).get(paths(scene.service)[number])
    assert (answer.status_code, answer.json) == (403, {"code": 403, "name": "Forbidden"})


def test_a_community_that_does_not_exist_looks_like_a_foreign_one(staff):
    """Ids cannot be probed: an unknown community is forbidden, too."""
    for number in ("999999", "0", str(2**31), "9999999999"):
        answer = staff.get(f"{ROOT}/community_services", {"CompanyID": number})
        assert (answer.status_code, answer.json) == (403, {"code": 403, "name": "Forbidden"})


@pytest.mark.parametrize("number", [1, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("service", ["foreign", "unknown", "0", "99999999999", "abc", "-1", "1e3"])
def test_foreign_and_unknown_services_are_not_found(staff, scene, number, service):
    """A service of another community, by its real id, is not found on any route, the daily series included."""
    wanted = str(scene.other_service) if service == "foreign" else "4711" if service == "unknown" else service
    answer = staff.get(paths(wanted)[number])
    assert (answer.status_code, answer.json) == (404, {"code": 404, "name": "Not Found"})


@pytest.fixture
def people(app, scene):
    """A matrix of people: who has a role in the community, who has rights on its account, and who has neither."""
    with app.app_context():
        session = db.session
        account = session.get(Community, scene.community).account_id
        consultancy = Account(name="Consultants", roles=[AccountRole(name="Consultancy")])
        session.add(consultancy)
        session.flush()
        session.get(Account, account).consultancy_account_id = consultancy.id
        for name, roles, account_id in (
            ("own", [], account),
            ("consultant", ["consultant"], consultancy.id),
            ("clerk", [], consultancy.id),
            ("reader", ["admin-reader"], None),
            ("anonymous", ["anonymous"], account),
        ):
            user = create_user(
                session,
                email=f"{name}@example.org",
                password_hash=hash_new_password("correct horse"),
                roles=roles,
            )
            if account_id is not None:
                user.account_id = account_id
        session.execute(
            db.update(CommunityMember).where(CommunityMember.name == "B").values(left_on=date(2020, 6, 1))
        )
        session.commit()
    return scene


# Who, on the eight routes, on a member's statements as staff, and on the projects of providers.
RIGHTS = [
    ("staff", 200, 200, 403),
    ("a", 200, 403, 403),
    ("b", 403, 403, 403),  # has left
    ("provider", 403, 403, 200),
    ("other", 403, 403, 403),
    ("nobody", 403, 403, 403),
    ("own", 200, 200, 403),
    ("consultant", 200, 200, 403),
    ("clerk", 403, 403, 403),
    ("reader", 200, 200, 403),
    ("anonymous", 403, 403, 403),
    ("admin", 200, 200, 200),
]


@pytest.mark.parametrize(("who", "figures", "statements", "projects"), RIGHTS)
def test_matrix_of_rights(client, people, who, figures, statements, projects):
    """Each kind of person gets the same answer on all routes of a kind."""
    email = f"{who}{people.service}" if who in "ab" else who
    caller = Caller(client, f"{email}@example.org", people.community)
    for path in (ROOT, *paths(people.service)):
        assert caller.get(path, **MAY_1).status_code == figures, path
    statement = f"{ROOT}/community_services/{people.service}/statements/{people.members['A']}"
    assert caller.get(statement, **MAY_1).status_code == statements
    assert caller.get("/api/energy-selfconsumption/projects").status_code == projects


def test_every_route_of_communities_is_in_the_matrix(app):
    """A new route needs a row: all that there are begin like those whose rights are tested."""
    known = (
        "/api/communities/community",
        "/api/energy-communities/me",
        "/api/energy-selfconsumption/projects",
    )
    rules = {rule.rule for rule in app.url_map.iter_rules() if "communit" in rule.endpoint}
    rules = {rule for rule in rules if rule.startswith("/api/")}  # pages have a matrix of their own
    public = {"/api/opendata/network", "/api/opendata/landing/<community_id>"}
    assert {rule for rule in rules if not rule.startswith(known)} == public
    tested = {path.replace("/1", "/<service_id>") for path in (ROOT, *paths(1))}
    tested.add(f"{ROOT}/community_services/<service_id>/statements/<member_id>")
    assert {rule for rule in rules if rule.startswith(ROOT)} == tested


def test_pages_and_their_links(app, staff, scene):
    """Links repeat the query with another page; where only one of both is given, the other is 1 or 20."""
    with app.app_context():
        for number in range(24):
            db.session.add(
                CommunityService(
                    community_id=scene.community, type="x", name=f"S{number}", status="active", method="fixed"
                )
            )
        db.session.commit()
    path = f"{ROOT}/community_services"
    everything = staff.get(path).json
    assert (everything["count"], everything["total_results"], everything["page"]) == (25, 25, 1)
    assert everything["links"]["next_page"] is None
    first = staff.get(path, page="1", from_date="2024-05-01").json
    assert (first["count"], first["page"], first["total_results"]) == (20, 1, 25)
    assert first["links"]["previous_page"] is None
    assert first["links"]["next_page"].endswith("?from_date=2024-05-01&page=2&page_size=20")
    second = staff.client.get(first["links"]["next_page"], headers=staff.headers).json
    assert (second["count"], second["page"], second["links"]["next_page"]) == (5, 2, None)
    assert second["links"]["previous_page"].endswith("page=1&page_size=20")
    assert second["links"]["self_"].endswith("page=2&page_size=20")
    assert [s["id"] for s in first["data"] + second["data"]] == [s["id"] for s in everything["data"]]
    sized = staff.get(path, page_size="7").json
    assert (sized["page"], sized["count"]) == (1, 7)
    beyond = staff.get(path, page="9").json
    assert (beyond["data"], beyond["count"], beyond["total_results"]) == ([], 0, 25)


def test_links_never_hold_a_token(client, scene, staff):
    """A token that came in the query is not repeated in an answer."""
    token = staff.headers["Authorization"].removeprefix("Bearer ")
    answer = client.get(
        f"{ROOT}/community_services",
        query_string={"auth_token": token, "page": "1"},
        headers={"CompanyID": str(scene.community)},
    )
    assert answer.status_code == 200
    assert token not in answer.text


def test_daily_series_are_cut_into_pages(app, staff, scene):
    """A page of a series has as many days as asked for, and the total tells how many there are."""
    with app.app_context():
        for number in range(1, 5):
            start = midnight(DAY.replace(day=1 + number))
            store(scene.plant_sensor, start, day_of(GENERATION))
            store(scene.sensors["A"], start, day_of([1, 1, 1, 1]))
        db.session.commit()
    path = f"{ROOT}/community_services/{scene.service}/metrics/energy_production"
    page = staff.get(path, page="2", page_size="2").json
    assert [day["date"] for day in page["data"]] == ["2024-05-03", "2024-05-04"]
    assert (page["count"], page["total_results"]) == (2, 5)


def test_a_fault_tells_nothing_about_its_cause(staff, scene, monkeypatch):
    """A bug of ours is 500 in the same words, without a trace."""

    def fail(*_):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(community_views, "list_services", fail)
    answer = staff.get(f"{ROOT}/community_services")
    assert (answer.status_code, answer.json) == (500, {"code": 500, "name": "Internal Server Error"})
    assert "secret" not in answer.text


def test_the_community_itself(staff, scene):
    """The community tells its members, the eight kinds of action and where to find it; with and without a slash."""
    for path in (ROOT, f"{ROOT}/"):
        data = staff.get(path).json["data"]
        assert (data["id"], data["name"], data["members"]) == (scene.community, "Sunny Street", 4)
        assert len(data["services"]) == 8
        assert [kind["type"] for kind in data["services"] if kind["is_active"]] == ["common_generation"]
        assert data["social"]["web"] == "https://sunny.example"
