"""Books of a community, and files and figures that only some countries have, on the command line."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from flexmeasures.data.database import db
from flexmeasures.services.structure import add_structure

from .conftest import HOUR, add_sensor, store

PDF = b"%PDF-1.7 an invoice"


@pytest.fixture
def made(run):
    """Run a command and read its JSON."""
    return lambda *words: json.loads(run(*words, "--json"))


def test_an_entered_emission_factor_counts_and_names_its_source(scene, run, made):
    """The factor of the zone and year is used in the metrics; entering it again replaces it."""
    words = ("add", "emission-factor", "--zone", "ES", "--year", 2024, "--source", "the yearbook")
    made(*words, "--grams-per-kwh", 200)
    assert made(*words, "--grams-per-kwh", 100)["grams_per_kwh"] == 100
    shown = made(
        *("show", "community-metrics", "--service-id", scene.service),
        *("--from", "2024-05-01", "--until", "2024-05-01"),
    )
    # 12 kWh of production, 100 g each.
    assert shown["environment_saves"]["value"] == 1200
    assert "the yearbook" in run("show", "community-metrics", "--service-id", scene.service)


def test_an_invoice_reaches_its_member(scene, run, made, tmp_path):
    """An invoice with its document is entered once; a second one of its number is refused."""
    file = tmp_path / "invoice.pdf"
    file.write_bytes(PDF)
    words = (
        "add",
        "invoice",
        "--member-id",
        scene.members["A"],
        "--number",
        "2024/7",
        "--date",
        "2024-06-01",
    )
    assert made(*words, "--amount", "12.345", "--pdf", file)["amount_total"] == 12.35
    assert "has an invoice '2024/7' already" in run(*words, "--amount", 1, exit_code=1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "emission-factor", "--grams-per-kwh", "-1", "--year", 2024), "-1.0 g/kWh does not exist"),
        (("add", "emission-factor", "--grams-per-kwh", "1", "--year", 24), "24 is not a year"),
        (("add", "invoice", "--member-id", 999, "--amount", 1), "There is no member 999"),
        (("add", "invoice", "--member-id", 1, "--amount", "nan"), "cannot be invoiced"),
        (
            ("communities", "export-keys", "--service-id", 1, "--month", "2024-05"),
            "has no file of keys by slot",
        ),
        (
            (
                "communities",
                "premium",
                "--service-id",
                1,
                "--price-sensor-id",
                1,
                "--power-kw",
                1,
                "--region",
                "X",
            ),
            "has no premium by zonal price",
        ),
        (("communities", "check-proximity", "--distance-m", "-1"), "does not exist"),
    ],
)
def test_what_is_wrong_is_named(scene, run, words, said):
    """Each refusal names the value or the rule."""
    more = {
        "emission-factor": ("--zone", "ES", "--source", "x"),
        "invoice": ("--number", "n", "--date", "2024-06-01"),
    }.get(words[1], ())
    assert said in run(*words, *more, exit_code=1)


def test_proximity_follows_the_rules_of_the_day(run):
    """A wind plant of 3,000 m away is near since 22 March 2026, and was not before."""
    words = (
        "communities",
        "check-proximity",
        "--distance-m",
        3000,
        "--technology",
        "wind",
        "--power-kw",
        900,
    )
    assert run(*words, "--on", "2026-03-22").startswith("Near")
    assert run(*words, "--on", "2026-03-21").startswith("Not near")


def _community(made, profile, method, readings, zone, step, cil=None):
    """Set up a community of one roof and two members, with readings of each from a local midnight on."""
    start, roof, first, second = readings
    add_structure(db.session)
    sensors = [add_sensor(name, resolution=step, zone=zone) for name in ("roof", "one", "two")]
    for sensor, values in zip(sensors, (roof, first, second), strict=True):
        store(sensor, start, values)
    ids = [sensor.id for sensor in sensors]
    db.session.commit()
    community = made("add", "community", "--name", "Rue", "--profile", profile)["id"]
    service = made(
        "add", "service", "--community-id", community, "--name", "Roof", "--power-kw", 100, "--method", method
    )["id"]
    made(
        *("add", "plant", "--service-id", service, "--name", "roof", "--sensor-id", ids[0]),
        *(("--cil", cil) if cil else ()),
    )
    for number, name in enumerate(("one", "two"), start=1):
        member = made(
            "add", "member", "--community-id", community, "--name", name, "--joined-on", "2020-01-01"
        )
        made(
            *("add", "supply-point", "--service-id", service, "--member-id", member["id"]),
            *("--cups", f"P{number}", "--sensor-id", ids[number], "--from", "2020-01-01"),
        )
    return service


def test_keys_of_a_month_are_written_for_france(app, made, tmp_path):
    """A quarter-hour of 4 kWh, of which members use 1 and 2 kWh: 25.0 and 50.0 %; nights have zeros."""
    midnight = datetime(2025, 11, 1, tzinfo=ZoneInfo("Europe/Paris"))
    count = 30 * 96

    def values(value):
        return [value if n == 48 else 0.0 for n in range(count)]

    with app.app_context():
        service = _community(
            *(made, "fr", "dynamic", (midnight, values(4), values(1), values(2)), "Europe/Paris"),
            *(timedelta(minutes=15), "12345678901234"),
        )
    done = made(
        "communities", "export-keys", "--service-id", service, "--month", "2025-11", "--folder", tmp_path
    )
    lines = (tmp_path / "12345678901234.csv").read_bytes().decode().split("\r\n")
    assert done["file"].endswith("12345678901234.csv")
    assert lines[0] == "Horodate;P1;P2"
    assert len(lines) == 1 + count + 1
    assert lines[1] == "01/11/2025 00:00;0,0;0,0"
    assert lines[49] == "01/11/2025 12:00;25,0;50,0"


def test_the_italian_premium_is_worked_out_by_hour(app, made):
    """Two shared hours of 3 kWh at 100 and 200 EUR/MWh, photovoltaics of 150 kW in Lazio.

    120 + 4 EUR/MWh at 100 (capped), 80 + 4 at 200: 3 kWh x 0.124 + 3 kWh x 0.084 = 0.624 EUR. The refund of tariff
    components of 2024 is 8.22 EUR/MWh: 0.0493 EUR.
    """
    midnight = datetime(2024, 6, 1, tzinfo=ZoneInfo("Europe/Rome"))
    roof = [0.0] * 12 + [5.0, 5.0] + [0.0] * 10
    use = [0.0] * 12 + [1.5, 1.5] + [0.0] * 10
    with app.app_context():
        service = _community(made, "it", "pooled", (midnight, roof, use, use), "Europe/Rome", HOUR)
        price = add_sensor("zonal price", unit="EUR/MWh", zone="Europe/Rome")
        store(price, midnight, [100.0] * 13 + [200.0] * 11)
        sensor = price.id
        db.session.commit()
    done = made(
        *("communities", "premium", "--service-id", service, "--price-sensor-id", sensor, "--power-kw", 150),
        *("--region", "Lazio", "--from", "2024-06-01", "--until", "2024-06-01"),
    )
    assert done["shared_kwh"] == pytest.approx(6)
    assert done["premium_eur"] == pytest.approx(0.624)
    assert done["refund_eur"] == pytest.approx(0.0493, abs=1e-4)
    assert done["unpriced_kwh"] == 0
    assert done["certainty"] == "official"
