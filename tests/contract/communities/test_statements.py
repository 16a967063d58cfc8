"""Statements of members: figures, forms, and who may see whose."""

from __future__ import annotations

import csv
import io

import pytest

from flexmeasures.data.database import db
from flexmeasures.data.tables import CommunityMember, CommunityService

from .conftest import DAY, POINTS, Caller, add_sensor, midnight, store

MAY_1 = {"from_date": "2024-05-01", "to_date": "2024-05-01"}


def staff_path(scene, member="C", service=None):
    """Name the staff's way to a member's statements."""
    number = scene.members[member] if isinstance(member, str) else member
    return f"/api/communities/community/community_services/{service or scene.service}/statements/{number}"


def own_path(scene):
    """Name the member's own way."""
    return f"/api/energy-communities/me/community_services/{scene.service}/statements"


@pytest.fixture
def priced(app, scene):
    """Energy costs 20 cents, surplus is worth 6, shared energy costs 5."""
    with app.app_context():
        service = db.session.get(CommunityService, scene.service)
        service.prices = {"energy": 0.20, "surplus": 0.06, "shared": 0.05}
        db.session.commit()
    return scene


def test_figures_of_a_statement(staff, priced):
    """Member C: 3.6 kWh used, 1.7 shared, 0.7 surplus, 1.9 from the grid; 1.7 · 0.15 saved; 0.38 - 0.042 to pay."""
    answer = staff.get(staff_path(priced), **MAY_1)
    assert answer.status_code == 200
    assert answer.json["data"] == [
        {
            "service": "Roof of the school",
            "supply_point": POINTS["C"],
            "first_day": "2024-05-01",
            "last_day": "2024-05-01",
            "consumption": 3.6,
            "allocated": 2.4,
            "self_consumption": 1.7,
            "surplus": 0.7,
            "from_grid": 1.9,
            "shared_of_consumption": 0.4722,
            "saved": 0.26,
            "paid_to_community": 0.09,
            "energy_cost": 0.38,
            "credit": 0.04,
            "credit_used": 0.04,
            "credit_lost": 0.0,
            "to_pay": 0.34,
            "currency": "EUR",
            "coverage": 1.0,
            "provisional": False,
        }
    ]


def test_credit_beyond_the_cost_is_shown_as_lost(app, staff, scene):
    """Member B: 2 kWh of surplus at 50 cents are worth 1.00, energy of 0.3 kWh costs 0.06: 0.94 are lost."""
    with app.app_context():
        db.session.get(CommunityService, scene.service).prices = {"energy": 0.20, "surplus": 0.50}
        db.session.commit()
    one = staff.get(staff_path(scene, "B"), **MAY_1).json["data"][0]
    assert (one["credit"], one["credit_used"], one["credit_lost"], one["to_pay"]) == (1.0, 0.06, 0.94, 0.0)


def test_hourly_prices_of_sensors(app, staff, scene):
    """Surplus of C at 13 and 15 h (0.3 and 0.4 kWh) at 100 and 50 EUR/MWh is worth 5 cents."""
    with app.app_context():
        sensor = add_sensor("surplus price", "EUR/MWh")
        store(sensor, midnight(DAY), [0] * 13 + [100, 10, 50] + [0] * 8)
        db.session.get(CommunityService, scene.service).prices = {
            "energy": 1.0,
            "surplus_sensor": sensor.id,
        }
        db.session.commit()
    one = staff.get(staff_path(scene), **MAY_1).json["data"][0]
    assert one["credit"] == 0.05


def test_a_missing_price_is_told(app, staff, scene):
    """Nobody gets a bill with a price made up: 409 names the sensor and the hour."""
    with app.app_context():
        sensor = add_sensor("price", "EUR/MWh")
        store(sensor, midnight(DAY), [100] * 5)
        db.session.get(CommunityService, scene.service).prices = {"energy_sensor": sensor.id}
        db.session.commit()
    answer = staff.get(staff_path(scene), **MAY_1)
    assert answer.status_code == 409
    assert "2024-05-01 03:00 UTC" in answer.json["description"]


def test_a_statement_for_each_month(staff, priced):
    """Credit is not carried over, so that each calendar month has a statement of its own."""
    months = staff.get(staff_path(priced), from_date="2024-05-01", to_date="2024-06-30").json["data"]
    assert [(m["first_day"], m["last_day"]) for m in months] == [
        ("2024-05-01", "2024-05-31"),
        ("2024-06-01", "2024-06-30"),
    ]
    assert months[0]["coverage"] == round(24 / (31 * 24), 4)


def test_own_statements_are_the_same(client, priced, staff):
    """What a member reads is what the staff reads of that member."""
    member = Caller(client, f"c{priced.service}@example.org")
    assert (
        member.get(own_path(priced), **MAY_1).json["data"]
        == staff.get(staff_path(priced), **MAY_1).json["data"]
    )


def test_csv_and_html(app, staff, priced):
    """CSV has the same figures in a row; the page names formulas, prints without scripts, and escapes names."""
    with app.app_context():
        db.session.get(CommunityMember, priced.members["C"]).name = "<script>alert(1)</script>"
        db.session.commit()
    answer = staff.get(staff_path(priced), **MAY_1, format="csv")
    assert answer.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["supply_point"], row["saved"], row["to_pay"]) for row in rows] == [
        (POINTS["C"], "0.26", "0.34")
    ]
    page = staff.get(staff_path(priced), **MAY_1, format="html")
    assert page.mimetype == "text/html"
    assert "<script" not in page.text
    assert "0.34 EUR" in page.text
    assert "it is not carried over" in page.text
    assert "100.0 % of the readings" in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "What is not certain" in page.text
    assert staff.get(staff_path(priced), format="pdf").status_code == 400


def test_nobody_reads_anothers_statement(client, staff, priced):
    """Members read no other member's, staff no other community's, whatever the ids."""
    member = Caller(client, f"a{priced.service}@example.org", priced.community)
    for letter in "ABC":
        assert member.get(staff_path(priced, letter)).status_code == 403
    other = Caller(client, "other@example.org", priced.other_community)
    assert other.get(staff_path(priced)).status_code == 404
    assert other.get(staff_path(priced, service=priced.other_service)).status_code == 404
    assert staff.get(staff_path(priced, 4711)).status_code == 404
    assert Caller(client, "nobody@example.org").get(own_path(priced)).status_code == 404
