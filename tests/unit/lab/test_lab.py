"""The Python door for studies: values from files and pandas, plans and years that are computed by hand."""

import re
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flexmeasures import lab
from flexmeasures.domain.errors import BadFlexModel, BadValues, InvalidTime, NotEnoughData

HOUR = timedelta(hours=1)
NOON = datetime(2024, 6, 3, 11, tzinfo=UTC)
"""13:00 in Berlin."""
ROOT = Path(__file__).parents[3]


def series(values, unit="kW", start=NOON):
    """A series of hours."""
    return lab.Series(start, HOUR, np.asarray(values, dtype=float), unit)


def prices(values, start=NOON):
    """Prices of hours."""
    return series(values, "EUR/MWh", start)


def test_names_that_stay():
    """The names of the package are those that its page lists."""
    listed = re.findall(r"^\| `lab\.(\w+)", (ROOT / "docs/reference/lab.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(lab.__all__)
    assert all(hasattr(lab, name) for name in lab.__all__)


@pytest.mark.parametrize(
    ("unit", "factor", "kept"),
    [
        ("W", 0.001, "kW"),
        ("MW", 1000, "kW"),
        ("kWh", 2, "kW"),
        ("EUR/kWh", 1000, "EUR/MWh"),
        ("EUR/MWh", 1, "EUR/MWh"),
    ],
)
def test_units_become_those_people_use(tmp_path, unit, factor, kept):
    """Half-hourly values become mean kW or currency/MWh: 3 kWh in half an hour are 6 kW."""
    file = tmp_path / "values.csv"
    file.write_text(
        "time_utc,x\n2024-06-03T11:00:00Z,3\n2024-06-03T13:30:00+02:00,\n2024-06-03T12:00:00Z,-1\n"
    )
    read = lab.read_series(file, "x", unit=unit)
    assert (read.start, read.resolution, read.unit) == (NOON, HOUR / 2, kept)
    assert read.values[[0, 2]] == pytest.approx([3 * factor, -factor])
    assert np.isnan(read.values[1])
    assert read.filled().values[1] == pytest.approx(factor)


def test_pandas_goes_in_and_out():
    """A pandas Series in local time over the day of 23 hours comes back hour by hour, in UTC."""
    index = pd.date_range("2024-03-31", "2024-04-01", freq="h", tz="Europe/Berlin", inclusive="left")
    read = lab.read_series(pd.Series(np.arange(23.0), index), unit="kW")
    assert read.end - read.start == 23 * HOUR
    frame = read.to_frame("load")
    assert frame["load"].tolist() == list(range(23))
    assert frame.index[2] == pd.Timestamp("2024-03-31T01:00Z")
    with pytest.raises(InvalidTime, match="no time zone"):
        lab.read_series(pd.Series([1.0, 2.0], pd.date_range("2024-01-01", periods=2, freq="h")), unit="kW")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(
            "time_utc,y\n2024-06-03T11:00Z,1\n", "no column x: choose one of time_utc, y", id="no column"
        ),
        pytest.param("time_utc,x\n2024-06-03T11:00Z,1\n2024-06-03T12:00Z,one\n", "Line 3 of", id="no number"),
        pytest.param("time_utc,x\n2024-06-03T11:00,1\n2024-06-03T12:00,1\n", "time_utc", id="no zone"),
        pytest.param("time_utc,x\n2024-06-03T11:00Z,1\n", "two steps or more", id="one step"),
        pytest.param(
            "time_utc,x\n2024-06-03T11:00Z,1\n2024-06-03T12:00Z,1\n2024-06-03T14:00Z,1\n",
            "though steps last",
            id="uneven",
        ),
    ],
)
def test_wrong_files_are_named(tmp_path, text, told):
    """What is wrong in a file is told with its place and the remedy."""
    (tmp_path / "wrong.csv").write_text(text)
    with pytest.raises((BadValues, InvalidTime), match=re.escape(told)):
        lab.read_series(tmp_path / "wrong.csv", "x", unit="kW")


def test_steps_become_longer_and_shorter():
    """Means of longer steps, the same values in shorter ones, and nothing between."""
    read = series([1, 3, 5, 7])
    assert read.resampled(2 * HOUR).values.tolist() == [2, 6]
    assert read.resampled(HOUR / 2).values.tolist() == [1, 1, 3, 3, 5, 5, 7, 7]
    with pytest.raises(InvalidTime, match="multiple"):
        read.resampled(timedelta(minutes=45))


def test_a_day_is_planned_at_the_lowest_cost():
    """A lossless battery of 1 kW and 2 kWh buys at 20 and 10 and sells at 50 and 80: 0.10 EUR earned."""
    home = lab.Home(prices([20, 50, 10, 80]), battery=lab.Battery(1, 2, 1.0))
    plan = lab.plan_day(home, NOON, hours=4)
    assert plan.powers_kw["battery"] == pytest.approx([1, -1, 1, -1])
    assert plan.battery_kwh == pytest.approx([0, 1, 0, 1, 0])
    assert plan.cost == pytest.approx(-(50 - 20 + 80 - 10) / 1000)
    assert plan.simple["doing nothing"] == 0
    frame = plan.to_frame()
    assert frame["battery [kW]"].tolist() == pytest.approx([1, -1, 1, -1])
    assert frame["battery [kWh]"].tolist() == pytest.approx([0, 1, 0, 1])
    shown = plan._repr_html_()
    assert shown.count("<svg") == 1
    assert "-0.10 EUR" in shown


def test_a_fee_and_a_tariff_make_own_use_pay():
    """Sun of 2 kW at noon and a load of 1 kW later: what is stored saves 0.28 a kWh and could be sold at 0.08.

    Sold at once it earns 0.16. Stored, 1 kWh less is sold in the first hour and 1 kWh less is bought in the second.
    """
    connection = lab.Connection(surcharge_per_kwh=0.18, feed_in_per_kwh=0.08)
    home = lab.Home(
        prices([100, 100]), series([0, 1]), series([2, 0]), lab.Battery(1, 2, 1.0), connection=connection
    )
    assert lab.plan_day(home, NOON, hours=2).cost == pytest.approx(-0.08)
    bare = lab.Home(home.prices, home.load, home.solar, connection=connection)
    assert lab.plan_day(bare, NOON, hours=2).cost == pytest.approx(-0.16 + 0.28)


def test_what_the_connection_does_not_take_is_not_produced():
    """A roof of 2 kW behind an export limit of 0.5 kW sells 0.5 kW; a house of 2 kW behind 1 kW is told."""
    home = lab.Home(prices([100, 100]), None, series([2, 0]), connection=lab.Connection(export_limit_kw=0.5))
    assert lab.plan_day(home, NOON, hours=2).connection_kw == pytest.approx([-0.5, 0])
    home = lab.Home(prices([100, 100]), series([2, 0]), connection=lab.Connection(import_limit_kw=1))
    assert "import limit" in " ".join(lab.plan_day(home, NOON, hours=2).notes)


def test_a_car_charges_in_the_cheapest_hours_of_its_stay():
    """From 18:00 to 7:00, 8 kWh at up to 4 kW: two hours at 10; at a least power it never takes less than that."""
    cheap = np.full(24, 50.0)
    cheap[[0, 9, 10, 22]] = 10  # 13:00 and 11:00 lie outside the stay
    home = lab.Home(prices(cheap), car=lab.Car(4, 8, least_kw=3))
    plan = lab.plan_day(home, NOON)
    assert np.flatnonzero(plan.powers_kw["car"]).tolist() == [9, 10]
    home = lab.Home(prices(cheap), car=lab.Car(4, 9, least_kw=3))
    power = lab.plan_day(home, NOON).powers_kw["car"]
    assert power.sum() == pytest.approx(9)
    assert sorted(power[power > 0]) == pytest.approx([3, 3, 3])


def test_a_rule_by_the_clock_over_both_clock_changes():
    """On days of 23 and 25 hours too, the cheapest hour of each local day charges and the dearest one discharges."""
    for day, hours in (
        (datetime(2024, 3, 30, 23, tzinfo=UTC), 23),
        (datetime(2024, 10, 26, 22, tzinfo=UTC), 25),
    ):
        values = np.concatenate([np.r_[0, np.full(hours - 2, 50), 100], np.r_[0, np.full(22, 50), 100]])
        home = lab.Home(prices(values, day), battery=lab.Battery(1, 1, 1.0))
        run = lab.roll(home, day, day + (hours + 24) * HOUR, "by the clock")
        assert np.flatnonzero(run.powers_kw["battery"] > 0).tolist() == [0, hours]
        assert np.flatnonzero(run.powers_kw["battery"] < 0).tolist() == [hours - 1, hours + 23]
        assert run.cost == pytest.approx(-0.2)


@pytest.mark.parametrize("day", ["2024-03-30", "2024-10-26"])
def test_a_year_rolls_over_both_clock_changes(day):
    """Each car that comes on a day with a clock change leaves with what it needs, whatever runs it; nothing is lost."""
    start = datetime.fromisoformat(f"{day}T13:00:00").astimezone(UTC).replace(hour=12 if "03" in day else 11)
    rng = np.random.default_rng(7)
    home = lab.Home(
        prices(rng.uniform(0, 100, 120), start - 24 * HOUR),
        series(rng.uniform(0, 1, 120), start=start - 24 * HOUR),
        battery=lab.Battery(1, 2),
        car=lab.Car(4, 8, arrival=time(18), departure=time(7)),
    )
    end = start + 72 * HOUR
    compared = lab.compare(home, start, end)
    for run in compared.runs:
        assert run.powers_kw["car"].sum() == pytest.approx(3 * 8), run.name
        assert run.battery_kwh.min() >= 0
        assert run.battery_kwh.max() <= 2 + 1e-9
    assert compared["perfect"].cost <= min(one.cost for one in compared.runs) + 1e-6
    assert compared.to_frame()["saving"]["perfect"] == pytest.approx(compared.saving("perfect"))
    assert "<svg" in compared._repr_html_()


def test_forecasts_see_nothing_of_what_comes():
    """A forecast by the last day does the same whatever load comes after the last plan was made."""
    rng = np.random.default_rng(3)
    load = rng.uniform(0, 2, 96)
    other = np.r_[load[:71], rng.uniform(0, 2, 25)]
    connection = lab.Connection(surcharge_per_kwh=0.2, feed_in_per_kwh=0.05)
    held = []
    for values in (load, other):
        home = lab.Home(
            prices(np.tile([20.0, 90.0], 48)),
            series(values),
            battery=lab.Battery(1, 2),
            connection=connection,
        )
        held.append(lab.roll(home, NOON + 24 * HOUR, NOON + 72 * HOUR, "naive").battery_kwh[:47])
    assert held[0] == pytest.approx(held[1])


@pytest.mark.parametrize(
    ("make", "told"),
    [
        pytest.param(lambda: lab.Battery(0, 1), "above 0", id="no power"),
        pytest.param(lambda: lab.Battery(1, 1, start_kwh=2), "within its capacity", id="fuller than full"),
        pytest.param(
            lambda: lab.Car(4, 8, departure=time(15)), "leaves by 12:00", id="leaves in the afternoon"
        ),
        pytest.param(lambda: lab.Home(series([1, 2])), "such as EUR/MWh", id="prices in kW"),
        pytest.param(lambda: lab.Home(prices([1, 2]), prices([1, 2])), "must be in kW", id="load in EUR/MWh"),
        pytest.param(
            lambda: lab.roll(lab.Home(prices([1])), NOON, NOON + HOUR, "magic"),
            "choose one of",
            id="magic",
        ),
        pytest.param(lambda: lab.plan_day(lab.Home(prices([1, 2])), NOON), "lacks some of", id="too short"),
        pytest.param(
            lambda: lab.plan_day(lab.Home(prices([1, np.nan])), NOON, 2), "fill them first", id="gaps"
        ),
        pytest.param(lambda: prices([1], datetime(2024, 1, 1)), "no time zone", id="naive"),  # noqa: DTZ001
        pytest.param(lambda: lab.read_series(5, unit="kW"), "path of a CSV file", id="a number"),
    ],
)
def test_wrong_input_is_named(make, told):
    """What is wrong is said with the remedy."""
    with pytest.raises((BadFlexModel, BadValues, NotEnoughData, InvalidTime), match=re.escape(told)):
        make()


def test_the_tutorial_runs():
    """Each snippet of the tutorial runs, and prints what the page shows."""
    page = (ROOT / "docs/tutorials/what-would-a-battery-save.md").read_text()
    names = {"DATA": str(ROOT / "docs/tutorials/data/home-2020.csv.gz")}
    for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(code.replace('"docs/tutorials/data/home-2020.csv.gz"', "DATA"), names)
    compared = names["compared"]
    rows = re.findall(r"^\| (.+?) \| +(-?[\d.]+) \| +(-?[\d.]+) \|", page, re.MULTILINE)
    assert len(rows) == len(compared.runs)
    for name, cost, saving in rows:
        assert (float(cost), float(saving)) == pytest.approx(
            (compared[name].cost, compared.saving(name)), abs=0.6
        )
