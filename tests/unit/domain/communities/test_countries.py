"""Rules of countries: profiles as data, dates, premiums, fees, and the Austrian report."""

from __future__ import annotations

import io
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import openpyxl
import pytest

from flexmeasures.domain.communities.countries.austria import (
    check_factor_change,
    check_factors,
    read_energy_report,
)
from flexmeasures.domain.communities.countries.france import write_key_file
from flexmeasures.domain.communities.countries.italy import (
    ExcessSet,
    Plant,
    excess_premium,
    premium_per_mwh,
    tariff_refund,
)
from flexmeasures.domain.communities.countries.profile import (
    Certainty,
    closing_day,
    find_profile,
    is_provisional,
    list_profiles,
    read_profile,
)
from flexmeasures.domain.communities.countries.spain import (
    Modality,
    Proximity,
    activation_day,
    check_change,
    check_double_membership,
    earliest_change,
    is_near,
)
from flexmeasures.domain.communities.countries.switzerland import (
    has_enough_power,
    reduced_usage_tariff,
    tenant_price_limit,
)
from flexmeasures.domain.communities.methods import Method
from flexmeasures.domain.errors import Conflict, InvalidInput, NotFound

DAY = date(2026, 6, 15)


def _local(text: str) -> datetime:
    """Read a local time, which workbooks and key files write without a zone."""
    return datetime.fromisoformat(text)


EXPECTED = {
    "settlement_interval", "allocated_by", "methods", "surplus_belongs_to", "area", "incentive", "retention",
    "operator_file", "corrections", "rounding",
}  # fmt: skip


@pytest.mark.parametrize("profile_id", list_profiles())
def test_every_profile_says_the_same_things(profile_id: str):
    """Each profile has interval, area, keys, incentive, retention, file and corrections, with source and certainty."""
    profile = find_profile(profile_id)
    assert profile.figures.keys() >= EXPECTED
    assert profile.methods(DAY)
    assert profile.settlement_interval(DAY).total_seconds() in (900, 3600)
    for entries in profile.figures.values():
        for one in entries:
            assert one.source
            assert (one.value is None) == (one.certainty is Certainty.UNKNOWN)


def test_all_countries_are_there():
    """Nine countries, some in several legal forms or regions."""
    countries = {find_profile(name).country for name in list_profiles()}
    assert countries == {"ES", "FR", "IT", "AT", "DE", "CH", "BE", "PT", "NL"}
    assert {
        "de-42b",
        "de-42c",
        "ch-leg",
        "ch-zev",
        "ch-vzev",
        "be-flanders",
        "be-wallonia",
        "be-brussels",
    } <= set(list_profiles())


def test_a_country_is_added_with_a_file(tmp_path: Path):
    """A file in a folder of one's own is a profile; the core needs no change."""
    (tmp_path / "xx.yaml").write_text(
        "name: Elsewhere\ncountry: XX\ntimezone: UTC\nstated: 2026-01-01\nfigures:\n"
        "  methods:\n    - {value: [hybrid], source: a law, certainty: official}\n"
    )
    assert find_profile("xx", tmp_path).methods(DAY) == (Method.HYBRID,)
    with pytest.raises(NotFound, match="Choose one of xx"):
        find_profile("yy", tmp_path)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{value: 1, source: s}", "write value, source and certainty"),
        ("{value: 1, source: s, certainty: sure}", "is not one of"),
        ("{value: null, source: s, certainty: official}", "unknown has no value"),
        ("{value: 1, source: s, certainty: unknown}", "unknown has no value"),
    ],
)
def test_a_figure_without_source_or_certainty_is_refused(entry: str, message: str):
    """Nobody can add a figure without saying where it comes from and how sure it is."""
    head = "name: x\ncountry: XX\ntimezone: UTC\nstated: 2026-01-01\nfigures:\n  area:\n    - "
    with pytest.raises(InvalidInput, match=message):
        read_profile("xx", head + entry)


def test_figures_have_dates():
    """Spain's wide distance was 2 km for roofs until 21 March 2026 and is 5 km since."""
    spain = find_profile("es")
    roof = Proximity(1500, technology="photovoltaic", power_kw=100, on_roof_or_industrial_land=True)
    field = Proximity(1500, technology="photovoltaic", power_kw=100)
    assert is_near(roof, spain, date(2026, 3, 21))
    assert not is_near(field, spain, date(2026, 3, 21))
    assert is_near(field, spain, date(2026, 3, 22))


@pytest.mark.parametrize(
    ("proximity", "near"),
    [
        (Proximity(499.9, technology="other"), True),
        (Proximity(500, technology="other"), False),
        (Proximity(4999.9, power_kw=5000), True),
        (Proximity(5000, power_kw=5000), False),
        (Proximity(4999.9, power_kw=5000.1), False),
        (Proximity(4999.9, technology="wind", power_kw=10), True),
        (Proximity(4999.9, technology="hydro", power_kw=10), False),
        (Proximity(9999, same_transformer=True), True),
        (
            Proximity(
                9999, cadastral_plant="1234567AB1234S0001XX", cadastral_consumer="1234567AB1234S0099YY"
            ),
            True,
        ),
        (Proximity(9999, cadastral_plant="1234567", cadastral_consumer="1234567"), False),
    ],
)
def test_spanish_nearness(proximity: Proximity, near: bool):
    """Any of: below 500 m, PV or wind up to 5 MW below 5 km, the same transformer, 14 equal cadastral digits."""
    assert is_near(proximity, find_profile("es"), DAY) is near


def test_spanish_activation_day():
    """Papers by the 10th: first of the next month; from the 11th on a month later, over the year as well."""
    assert activation_day(date(2026, 3, 10)) == date(2026, 4, 1)
    assert activation_day(date(2026, 3, 11)) == date(2026, 5, 1)
    assert activation_day(date(2026, 11, 30)) == date(2027, 1, 1)
    assert activation_day(date(2026, 12, 11)) == date(2027, 2, 1)


def test_spanish_four_month_lock():
    """After a change on 31 October the next one is possible from the last of February on."""
    assert earliest_change(date(2026, 10, 31)) == date(2027, 2, 28)
    with pytest.raises(Conflict, match="from 2027-02-28 on"):
        check_change(date(2026, 10, 31), date(2027, 2, 27))
    check_change(date(2026, 10, 31), date(2027, 2, 28))
    check_change(None, date(2026, 1, 1))


def test_spanish_double_membership():
    """Individual without surplus and one nearby through the network go together; two collective ones do not."""
    alone = Modality(is_collective=False, with_surplus=False, through_grid=False)
    near = Modality(is_collective=True, with_surplus=True, through_grid=True)
    check_double_membership([near])
    check_double_membership([alone, near])
    for wrong in ([near, near], [alone, alone], [alone, near, near]):
        with pytest.raises(Conflict, match=r"4\.5"):
            check_double_membership(wrong)
    with pytest.raises(Conflict, match="always with surplus"):
        check_double_membership([Modality(is_collective=True, with_surplus=False, through_grid=True)])


@pytest.mark.parametrize(
    ("profile_id", "day", "closing"),
    [
        ("at", date(2026, 11, 5), date(2026, 12, 16)),
        ("at", date(2026, 12, 31), date(2027, 1, 16)),
        ("es", date(2026, 1, 31), date(2026, 2, 28)),
        ("be-flanders", date(2026, 11, 5), date(2027, 5, 1)),
    ],
)
def test_when_values_become_final(profile_id: str, day: date, closing: date):
    """Austria closes on the 16th of the next month; elsewhere the setting of the profile says it."""
    rule = find_profile(profile_id).value("corrections", DAY)
    assert closing_day(day, rule) == closing
    assert is_provisional(day, closing, rule)
    assert not is_provisional(day, date.fromordinal(closing.toordinal() + 1), rule)


def test_methods_are_checked_against_the_profile():
    """Sharing after the fact is not legal in Spain; the message lists what is."""
    find_profile("es").check_method(Method.HOURLY, DAY)
    with pytest.raises(InvalidInput, match="Choose one of fixed, hourly"):
        find_profile("es").check_method(Method.DYNAMIC, DAY)


@pytest.mark.parametrize(
    ("price", "premium"), [(180, 70), (250, 70), (165, 85), (140, 110), (0, 110), (-50, 110)]
)
def test_w4_italian_premium_bounds(price: float, premium: float):
    """W4: above 600 kW in Emilia-Romagna the premium lies between 70 and 110 EUR/MWh."""
    assert premium_per_mwh(Plant(800, "Emilia-Romagna"), price, find_profile("it"), DAY) == premium


def test_w5_italian_hour():
    """W5: 9.5 kWh shared at 130 EUR/MWh earn 1.235 EUR; with F = 0.5 and no correction 60 EUR/MWh at 100."""
    italy = find_profile("it")
    shared = min(12, 4 + 3 + 2.5)
    premium = premium_per_mwh(Plant(200, "Veneto"), 130, italy, DAY)
    assert (shared, premium, round(shared * premium / 1000, 4)) == (9.5, 130, 1.235)
    granted = Plant(200, "Sicilia", grant_share=0.4)
    assert premium_per_mwh(granted, 100, italy, DAY) == 60
    assert premium_per_mwh(Plant(200, "Sicilia", grant_share=0.4, grant_counts=False), 100, italy, DAY) == 120
    with pytest.raises(InvalidInput, match="at most 1,000 kW"):
        premium_per_mwh(Plant(1001, "Veneto"), 100, italy, DAY)


def test_w6_italian_excess():
    """W6: 60 % shared is 5 points above 55 %: 50 of 1000 EUR; with a grant 15 points above 45 %: 150 EUR."""
    italy = find_profile("it")
    assert round(excess_premium([ExcessSet(60, 100, 1000)], italy, DAY), 2) == 50
    assert round(excess_premium([ExcessSet(60, 100, 1000, has_grant=True)], italy, DAY), 2) == 150
    assert excess_premium([ExcessSet(50, 100, 1000), ExcessSet(0, 0, 10)], italy, DAY) == 0


def test_italian_refund_of_unknown_years_is_empty():
    """2023 and 2024 are known, later years are not made up."""
    italy = find_profile("it")
    assert tariff_refund(2, italy, date(2023, 7, 1)) == 16.96
    assert tariff_refund(1, italy, date(2024, 7, 1)) == 8.22
    assert tariff_refund(1, italy, date(2026, 7, 1)) is None


def test_w10_swiss_leg_year():
    """W10: 20,000 kWh at a usage tariff of 10 Rp. less 40 % cost 1,200 instead of 2,000 CHF; solar at 15 Rp. 3,000."""
    reduced = reduced_usage_tariff(Decimal(10), False, find_profile("ch-leg"), DAY)
    assert 20_000 * reduced / 100 == Decimal(1200)
    assert 20_000 * (Decimal(10) - reduced) / 100 == Decimal(800)
    assert 20_000 * Decimal(15) / 100 == Decimal(3000)
    assert reduced_usage_tariff(Decimal(10), True, find_profile("ch-leg"), DAY) == Decimal(8)


def test_w10b_swiss_leg_month():
    """W10b: 2.3 Rp. less 40 %, 60 kWh a day, 30 days: 0.92 Rp./kWh, 55.2 Rp. a day, 16.56 CHF saved a month."""
    tariff = Decimal("2.3")
    saved = tariff - reduced_usage_tariff(tariff, False, find_profile("ch-leg"), DAY)
    assert saved == Decimal("0.92")
    assert saved * 60 == Decimal("55.2")
    assert saved * 60 * 30 / 100 == Decimal("16.56")


def test_swiss_sizes_and_tenants():
    """A LEG needs 5 % of the connection power; a tenant pays the cost and at most half of what is saved."""
    assert has_enough_power(5, 100, find_profile("ch-leg"), DAY)
    assert not has_enough_power(9.9, 100, find_profile("ch-zev"), DAY)
    assert tenant_price_limit(Decimal(30), Decimal(20), find_profile("ch-zev"), DAY) == Decimal(25)
    assert tenant_price_limit(Decimal(30), Decimal(35), find_profile("ch-zev"), DAY) == Decimal(30)


def test_french_key_file():
    """Practitioner's form: one file a producer, semicolons, percentages with one decimal and a comma."""
    name, content = write_key_file(
        "30001234567890", ["11", "22"], [_local("2026-05-01T12:00"), _local("2026-05-01T12:15")],
        np.array([[333, 666], [0, 0]]),
    )  # fmt: skip
    assert name == "30001234567890.csv"
    assert content == (b"Horodate;11;22\r\n01/05/2026 12:00;33,3;66,6\r\n01/05/2026 12:15;0,0;0,0\r\n")


def test_austrian_factors():
    """Up to five communities, whole percentages, at most 100 together."""
    check_factors([50, 30, 20])
    for wrong, message in (([60, 50], "110 %"), ([20] * 6, "5 communities")):
        with pytest.raises(Conflict, match=message):
            check_factors(wrong)
    for factor in (0, 101, 12.5):
        with pytest.raises(InvalidInput, match="whole percentage"):
            check_factors([factor])


def test_austrian_factor_changes():
    """Once a day, on weekdays from 09:00 to 17:00; else the operator's code 82."""
    check_factor_change(_local("2026-06-15T09:00"), changed_today=False)
    for when, changed in (
        (_local("2026-06-15T08:59"), False),
        (_local("2026-06-15T17:01"), False),
        (_local("2026-06-14T12:00"), False),
        (_local("2026-06-15T12:00"), True),
    ):
        with pytest.raises(Conflict) as refused:
            check_factor_change(when, changed)
        assert refused.value.details["code"] == 82


def _workbook(rows: list[list[object]], sheet: str = "Energiedaten") -> bytes:
    book = openpyxl.Workbook()
    book.active.title = sheet
    for row in rows:
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


_LABELS = [
    ["Die Daten werden ohne Gewähr übermittelt."],
    ["MeteringpointID", "AT001", "MM", "AT002", "MM"],
    ["Name", "Anna Muster", "", "Solar", ""],
    ["Energy direction", "CONSUMPTION", "", "GENERATION", ""],
    ["Metering Interval", "QH (viertelstündlich)", "", "QH (viertelstündlich)", ""],
    ["Metercode", "Eigendeckung gemeinschaftliche Erzeugung [KWH]", "", "Gesamte Erzeugung [KWH]", ""],
]


def test_austrian_report_is_read_without_names():
    """Quarter-hours, gaps and qualities come over; a person's name does not."""
    report = read_energy_report(
        _workbook(
            [
                *_LABELS,
                [_local("2023-03-14T14:15"), 0.027246, "L1", 0.506, "L2"],
                [_local("2023-03-14T14:30"), None, "", 0.4, "L1"],
                ["Spaltensumme", 1, "", 2, ""],
            ]
        )
    )
    assert report.starts == (_local("2023-03-14T14:15"), _local("2023-03-14T14:30"))
    member, plant = report.columns
    assert (member.metering_point, member.direction) == ("AT001", "CONSUMPTION")
    assert member.values[0] == 0.027246
    assert np.isnan(member.values[1])
    assert member.quality == ("L1", "")
    assert plant.values.tolist() == [0.506, 0.4]
    assert "Muster" not in repr(report)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a workbook", "not an XLSX workbook"),
        (_workbook(_LABELS, "Sheet"), "no sheet 'Energiedaten'"),
        (_workbook(_LABELS), "hold no quarter-hour"),
        (
            _workbook([*_LABELS[:3], *_LABELS[4:], [_local("2023-03-14T00:00"), 1, "L1"]]),
            "no label row 'Energy direction'",
        ),
        (
            _workbook([*_LABELS, [_local("2023-03-14T00:00"), "1,5", "L1"]]),
            "Row 7, column 2: '1,5' is not a number",
        ),
    ],
)
def test_other_workbooks_are_refused(content: bytes, message: str):
    """What is not the energy report is refused with row and column."""
    with pytest.raises(InvalidInput, match=message):
        read_energy_report(content)
