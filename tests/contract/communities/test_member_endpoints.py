"""The endpoints of members, providers and the public: each sees what is theirs."""

from __future__ import annotations

import base64
from datetime import date, timedelta

import pytest

from flexmeasures.data.database import db
from flexmeasures.data.tables import CommunityInvoice, CommunityService, Inscription
from flexmeasures.services.communities.taking_part import NewSupplyPoint, create_supply_point, end_inscription

from .conftest import CAU, CONSUMPTION, DAY, GENERATION, POINTS, Caller, day_of, midnight, store

ME = "/api/energy-communities/me"
PROJECTS = "/api/energy-selfconsumption/projects"
MAY_1 = {"from_date": "2024-05-01", "to_date": "2024-05-01"}


def test_a_member_sees_own_metrics_only(member_a, scene):
    """Member A was offered 6 kWh, used 3.6 of 4.5, and has half of the 12 kW."""
    data = member_a.get(f"{ME}/community_services/{scene.service}/metrics", **MAY_1).json["data"]
    expected = {
        "energy_production": 6.0,
        "energy_consumption": 4.5,
        "selfproduction_ratio": 0.6,
        "surplus_ratio": 0.4,
        "gridconsumption_ratio": 0.2,
        "selfconsumption_ratio": 0.8,
        "environment_saves": 6 * 162.0,
        "shares": 0.5,
        "energy_shares": 6.0,
    }
    assert {name: data[name]["value"] for name in expected} == expected
    assert member_a.get(f"{ME}/community_services/metrics", **MAY_1).json["data"] == [data]


@pytest.mark.parametrize(
    ("word", "value"),
    [("production", 6.0), ("selfconsumption", 3.6), ("energy_exported", 2.4), ("energy_consumed", 4.5)],
)
def test_own_daily_series(member_a, scene, word, value):
    """Each series of one's own has one value a day."""
    answer = member_a.get(f"{ME}/community_services/{scene.service}/{word}", **MAY_1)
    assert answer.json["data"] == [{"value": value, "date": "2024-05-01"}]


def test_own_services_and_communities(member_a, scene):
    """A member sees the services with own share and date, the communities, and who one is."""
    services = member_a.get(f"{ME}/community_services").json["data"]
    assert [(s["id"], s["shares"], s["inscription_date"]) for s in services] == [
        (scene.service, 0.5, "2024-05-01")
    ]
    assert member_a.get(f"{ME}/community_services/{scene.service}").json["data"] == services[0]
    communities = member_a.get(f"{ME}/communities").json["data"]
    assert communities == [{"id": scene.community, "name": "Sunny Street", "image": None}]
    assert member_a.get(ME).json["data"]["name"] == "A"


@pytest.mark.parametrize(
    "tail", ["", "/metrics", "/production", "/selfconsumption", "/energy_exported", "/energy_consumed"]
)
def test_services_of_others_are_not_found(client, member_a, scene, tail):
    """A service in which one takes no part is not found, by its real id, on any route; for staff as well."""
    for caller, service in (
        (member_a, scene.other_service),
        (member_a, 4711),
        (Caller(client, "staff@example.org"), scene.service),
    ):
        answer = caller.get(f"{ME}/community_services/{service}{tail}")
        assert (answer.status_code, answer.json) == (404, {"code": 404, "name": "Not Found"})


def test_a_supply_point_that_changed_hands(app, client, scene):
    """Who took a flat over sees nothing of the days before, and who moved out nothing of those after."""
    second = DAY + timedelta(days=1)
    with app.app_context():
        store(scene.plant_sensor, midnight(second), day_of(GENERATION))
        store(scene.sensors["A"], midnight(second), day_of(CONSUMPTION["A"]))
        end_inscription(db.session, scene.inscriptions["A"], DAY)
        create_supply_point(
            db.session,
            NewSupplyPoint(scene.service, scene.members["B"], POINTS["A"], starts_on=second),
            DAY,
        )
        end_inscription(db.session, scene.inscriptions["B"], DAY)
        db.session.commit()
    seen = {
        letter: Caller(client, f"{letter.lower()}{scene.service}@example.org")
        .get(f"{ME}/community_services/{scene.service}/energy_consumed")
        .json["data"]
        for letter in "AB"
    }
    assert seen["A"] == [{"value": 4.5, "date": "2024-05-01"}]
    assert seen["B"] == [{"value": 1.9, "date": "2024-05-01"}, {"value": 4.5, "date": "2024-05-02"}]


def test_invoices_are_ones_own(app, client, member_a, scene):
    """A member lists and downloads own invoices; somebody else's are not found."""
    with app.app_context():
        for number, letter in enumerate("AB"):
            db.session.add(
                CommunityInvoice(
                    community_id=scene.community,
                    member_id=scene.members[letter],
                    number=f"2024/{number}",
                    service_type="photovoltaic",
                    state="paid",
                    amount_total=12.5,
                    issued_on=date(2024, 6, 1),
                    pdf=b"%PDF-1.4",
                )
            )
        db.session.commit()
    invoices = member_a.get(f"{ME}/invoices").json
    assert invoices["total_results"] == 1
    mine = invoices["data"][0]
    assert (mine["number"], mine["amount_total"], mine["date"]) == ("2024/0", 12.5, "2024-06-01")
    assert member_a.get(f"{ME}/invoices/{mine['id']}").json["data"] == mine
    pdf = member_a.client.get(mine["pdf_url"], headers=member_a.headers).json["data"]
    assert base64.b64decode(pdf["content"]) == b"%PDF-1.4"
    for tail in ("", "/download"):
        assert member_a.get(f"{ME}/invoices/{mine['id'] + 1}{tail}").status_code == 404


def test_providers_see_the_projects_of_their_communities(client, scene):
    """A monitoring company sees codes, coefficients and owners of the communities it works for, and of no other."""
    provider = Caller(client, "provider@example.org")
    projects = provider.get(PROJECTS).json["data"]
    assert projects == [
        {
            "project_code": CAU,
            "project_name": "Roof of the school",
            "community_id": scene.community,
            "community_name": "Sunny Street",
            "power": 12.0,
        }
    ]
    assert provider.get(f"{PROJECTS}/{CAU}").json["data"] == projects[0]
    members = provider.get(f"{PROJECTS}/{CAU}/members").json["data"]
    assert [(m["supply_point_code"], m["distribution_coefficient"]) for m in members] == [
        (POINTS["A"], 0.5),
        (POINTS["B"], 0.3),
        (POINTS["C"], 0.2),
    ]
    with client.application.app_context():
        other = db.session.get(CommunityService, scene.other_service).cau
    for tail in ("", "/members"):
        assert provider.get(f"{PROJECTS}/{other}{tail}").status_code == 404
    for path in (PROJECTS, f"{PROJECTS}/{CAU}", f"{PROJECTS}/{CAU}/members"):
        for who in ("staff", "nobody", f"a{scene.service}"):
            assert Caller(client, f"{who}@example.org").get(path).status_code == 403


def test_open_data_need_no_token(app, client, scene):
    """Anybody may read the figures of the network and the public face of a community; nothing about members."""
    data = client.get("/api/opendata/network").json["data"]
    assert data == {"members": 8, "active": 2, "goal": 0, "total": 2, "in_activation": 0}
    landing = client.get(f"/api/opendata/landing/{scene.community}").json["data"]
    assert landing == {
        "id": scene.community,
        "name": "Sunny Street",
        "members": 4,
        "image": None,
        "landing_photo": None,
    }
    for number in ("4711", "x", "9" * 30):
        assert client.get(f"/api/opendata/landing/{number}").status_code == 404


@pytest.mark.parametrize(
    "path", [ME, f"{ME}/communities", f"{ME}/community_services", f"{ME}/invoices", PROJECTS]
)
def test_members_and_providers_need_a_token(client, scene, path):
    """Without a token nothing is told."""
    answer = client.get(path)
    assert (answer.status_code, answer.json["name"]) == (401, "Unauthorized")


def test_deleting_a_user_keeps_the_communitys_figures(app, staff, scene):
    """A member whose user is deleted stays in the community's books."""
    with app.app_context():
        inscription = db.session.get(Inscription, scene.inscriptions["A"])
        user_id = inscription.member.user_id
        db.session.execute(db.text("delete from fm_user where id = :id"), {"id": user_id})
        db.session.commit()
    data = staff.get(f"/api/communities/community/community_services/{scene.service}/metrics", **MAY_1).json[
        "data"
    ]
    assert data["energy_consumption"]["value"] == 10.0
