"""``add beliefs``, ``dev-add`` and ``show beliefs --to``: files of people, with all that is in them or nothing."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from openpyxl import Workbook
from sqlalchemy import text

from flexmeasures.data.database import db
from flexmeasures.data.tables import DataSource

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2020, 12, 31, 23, tzinfo=UTC)  # midnight in Berlin
YEAR = [START + timedelta(minutes=15 * n) for n in range(365 * 96)]


@pytest.fixture
def sensor(app, cast, command):
    """Make a sensor of the building: its id, by unit and resolution [min]."""
    made = []

    def make(unit: str = "kW", minutes: int = 15, *words: str) -> str:
        made.append(unit)
        said = command(
            *("add", "sensor", "--name", f"sensor {len(made)}", "--asset", str(cast.assets["building"])),
            *("--unit", unit, "--event-resolution", str(minutes), "--timezone", "Europe/Berlin", *words),
        )
        return said.split()[-1]

    return make


def values_of(app, sensor_id):
    """List event starts and values of a sensor, in order."""
    query = "select event_start, event_value from belief where sensor_id = :id order by event_start, belief_horizon"
    with app.app_context():
        rows = db.session.execute(text(query), {"id": int(sensor_id)}).all()
    return [row[0].astimezone(UTC) for row in rows], [row[1] for row in rows]


def write(path, text_, encoding="utf-8"):
    """Write a file and give its name."""
    path.write_bytes(text_.encode(encoding))
    return str(path)


def test_a_year_in_local_time(app, tmp_path, command, sensor):
    """A year of quarter-hours with semicolons, decimal commas and a byte-order mark, over both clock changes.

    Energies of quarter-hours [kWh] become power [kW]: four times as much.
    """
    number = sensor("kW")
    lines = [f"{one.astimezone(BERLIN):%d.%m.%Y %H:%M};{n % 50},25" for n, one in enumerate(YEAR)]
    file = write(tmp_path / "year.csv", "\r\n".join(["Zeit;Verbrauch", *lines, ""]), "utf-8-sig")
    said = command("add", "beliefs", file, "--sensor", number, "--unit", "kWh", "--source", "meter")
    assert "Successfully created 35,040 beliefs" in said
    starts, values = values_of(app, number)
    assert starts == YEAR
    assert values == pytest.approx([4 * (n % 50 + 0.25) for n in range(len(YEAR))])
    again = command("add", "beliefs", file, "--sensor", number, "--unit", "kWh", "--source", "meter")
    assert "Successfully created 0 beliefs" in again
    assert "35,040 more were known" in again


def test_a_workbook_with_dates(app, tmp_path, command, sensor):
    """Dates of Excel are read as they are shown, of the sheet that is named; so are days as numbers."""
    number = sensor("°C")
    book = Workbook()
    book.active.append(["nothing"])
    sheet = book.create_sheet("data")
    sheet.append(["time", "value"])
    sheet.append([datetime(2021, 7, 1, 12, 0), 20.5])  # noqa: DTZ001 - as Excel has it
    sheet.append([44378.5 + 15 / 1440, 21])  # 2021-07-01 12:15 as a number of days
    book.save(tmp_path / "weather.xlsx")
    command("add", "beliefs", str(tmp_path / "weather.xlsx"), "--sensor", number, "--sheet_number", "1")
    noon = datetime(2021, 7, 1, 10, tzinfo=UTC)
    assert values_of(app, number) == ([noon, noon + timedelta(minutes=15)], [20.5, 21.0])


def test_meter_readings_with_a_reset(app, tmp_path, command, sensor):
    """Readings of 100, 103, 2 and 6 kWh: 3 kWh, then 2 from zero, then 4 over two slots; as power four times that."""
    number = sensor("kW")
    rows = ("2021-01-01 00:00,100", "2021-01-01 00:15,103", "2021-01-01 00:30,2", "2021-01-01 01:00,6")
    file = write(tmp_path / "meter.csv", "\n".join(["time,kWh", *rows]))
    said = command("add", "beliefs", file, "--sensor", number, "--unit", "kWh", "--cumulative")
    assert values_of(app, number)[1] == pytest.approx([12.0, 8.0, 8.0, 8.0])
    assert "the meter began anew 1 times" in said
    assert "spread over 2 events" in said


@pytest.mark.parametrize("kind", ["json", "yaml"])
def test_several_columns_to_several_sensors(app, tmp_path, command, sensor, kind):
    """A mapping file says which column is of which sensor, in which unit and with which sign; gaps are their own."""
    load, solar, price = sensor("kW"), sensor("kW"), sensor("EUR/MWh")
    file = write(
        tmp_path / "site.csv",
        "when|used Wh|made kW|price|remark\n2021-01-01 00:00|250|1.5|40|\n2021-01-01 00:15|500|n/a|41|cloudy\n",
    )
    columns = {
        "used Wh": {"sensor": int(load), "unit": "Wh"},
        "made kW": {"sensor": int(solar), "production-positive": True},
        "price": int(price),
    }
    mapping = {"time": "when", "timezone": "UTC", "na-values": ["n/a"], "columns": columns}
    text_ = json.dumps(mapping) if kind == "json" else json.dumps(mapping).replace('"when"', "when")
    said = command("add", "beliefs", file, "--mapping", write(tmp_path / f"mapping.{kind}", text_))
    assert said.count("Successfully created") == 3
    midnight = datetime(2021, 1, 1, tzinfo=UTC)
    both = [midnight, midnight + timedelta(minutes=15)]
    assert values_of(app, load) == (both, [1.0, 2.0])  # 250 Wh in a quarter of an hour are 1 kW
    assert values_of(app, solar) == ([midnight], [-1.5])
    assert values_of(app, price) == (both, [40.0, 41.0])


GOOD = "time,value\n2021-01-01 00:00,1\n2021-01-01 00:15,2\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(GOOD + "2021-01-01 00:30,high\n", "line 4: 'high' is not a number.", id="a text"),
        pytest.param(
            GOOD + "\n2021-01-01 00:15,3\n", "line 5: its time is that of line 3", id="a repeated row"
        ),
        pytest.param(
            GOOD + "2021-03-28 02:30,3\n", "line 4: '2021-03-28 02:30' is not a time: this hour", id="skipped"
        ),
        pytest.param(
            GOOD + "2021-01-01 00:31,3\n", "is not the start of a slot of 0:15:00", id="beside the slots"
        ),
        pytest.param(
            "time;value\n2021-01-01 00:00\n", "line 2: '' is not a number.", id="a column is missing"
        ),
        pytest.param("", "The file is empty", id="empty"),
        pytest.param("time,value\n", "The file has no lines below its head", id="a head alone"),
        pytest.param("a\0b,1\n2,3\n", "is neither CSV nor an Excel workbook", id="binary"),
        pytest.param("PK\x03\x04 no workbook", "cannot be opened", id="a broken workbook"),
        pytest.param(
            "time,value\n2021-01-01 00:00,1e999\n", "line 2: '1e999' is not a number.", id="infinite"
        ),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_stored(app, tmp_path, command, sensor, content, told):
    """What is wrong is said with the number of its line, and nothing of the file is stored."""
    number = sensor()
    said = command("add", "beliefs", write(tmp_path / "file.csv", content), "--sensor", number, exit_code=1)
    assert told in said
    assert values_of(app, number) == ([], [])


@pytest.mark.parametrize(
    ("words", "told", "code"),
    [
        (("--sensor", "99999"), "There is no sensor with id 99999", 1),
        (("--sensor", "N", "--unit", "apples"), "apples", 1),
        (("--sensor", "N", "--unit", "EUR/MWh"), "EUR/MWh", 1),
        (
            ("--sensor", "N", "--valuecol", "power"),
            "There is no column 'power'. The columns are 'time', 'value'",
            1,
        ),
        (("--sensor", "N", "--timezone", "Europe/Pari"), "is not a time zone", 2),
        (("--sensor", "N", "--delimiter", "::"), "is not one sign", 2),
        (("--sensor", "N", "--source", "77"), "Failed to find source 77", 1),
        (("--sensor", "N", "--horizon", "-60000000"), "which is in the future", 1),
        ((), "Give either --sensor or --mapping", 2),
    ],
)
def test_a_wrong_call_is_refused(app, tmp_path, command, sensor, words, told, code):
    """Wrong sensors, units, columns, zones and sources are named, and nothing is stored."""
    number = sensor()
    words = [number if word == "N" else word for word in words]
    assert told in command("add", "beliefs", write(tmp_path / "file.csv", GOOD), *words, exit_code=code)
    assert values_of(app, number) == ([], [])


def test_energies_of_other_slots_are_refused(app, tmp_path, command, sensor):
    """Energies of hours for a sensor of quarter-hours would count four times: they are refused."""
    number = sensor("kW")
    file = write(
        tmp_path / "hours.csv", "t,kWh\n2021-01-01 00:00,1\n2021-01-01 01:00,2\n2021-01-01 02:00,3\n"
    )
    said = command("add", "beliefs", file, "--sensor", number, "--unit", "kWh", exit_code=1)
    assert "The lines are 1:00:00 apart, and events of sensor" in said
    assert values_of(app, number) == ([], [])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "neither JSON nor YAML"),
        ("[1]", "is not a mapping"),
        ('{"columns": {}}', "is not a mapping: columns"),
        ('{"columns": {"value": {"sensor": 1, "colour": "red"}}}', "colour: Extra inputs are not permitted"),
        ('{"columns": {"value": 1}, "timezone": "Mars"}', "'Mars' is not a time zone"),
    ],
)
def test_a_wrong_mapping_is_refused(app, tmp_path, command, content, told):
    """A mapping file is checked as a whole before anything is read."""
    file, mapping = write(tmp_path / "file.csv", GOOD), write(tmp_path / "mapping.json", content)
    assert told in command("add", "beliefs", file, "--mapping", mapping, exit_code=2)


def test_beliefs_that_contradict_are_refused_or_replace(app, tmp_path, command, sensor):
    """Another value with the same source and horizon is refused with a remedy, which then replaces it."""
    number = sensor()
    words = ("--sensor", number, "--horizon", "0", "--source", "meter")
    command("add", "beliefs", write(tmp_path / "one.csv", GOOD), *words)
    other = write(tmp_path / "other.csv", GOOD.replace(",2", ",5"))
    assert "use the --allow-overwrite flag" in command("add", "beliefs", other, *words, exit_code=1)
    assert values_of(app, number)[1] == [1.0, 2.0]
    command("add", "beliefs", other, *words, "--allow-overwrite")
    assert values_of(app, number)[1] == [1.0, 5.0]


def test_the_commands_of_0_4_0_for_developers(app, tmp_path, command):
    """``dev-add sensor`` and ``dev-add beliefs`` work as documented: times are UTC, a new source is of type script."""
    made = command(
        *(
            "dev-add",
            "sensor",
            "--name",
            "lab",
            "--unit",
            "kW",
            "--event-resolution",
            "15",
            "--timezone",
            "Europe/Berlin",
        )
    )
    number = made.split()[-1]
    assert made == f"Successfully created sensor with ID {number}\n"
    words = ("--sensor-id", number, "--source", "lab meter")
    said = command("dev-add", "beliefs", write(tmp_path / "lab.csv", GOOD), *words, "--horizon", "0")
    assert "Successfully created beliefs\n" in said
    midnight = datetime(2021, 1, 1, tzinfo=UTC)
    assert values_of(app, number) == ([midnight, midnight + timedelta(minutes=15)], [1.0, 2.0])
    with app.app_context():
        assert db.session.query(DataSource).filter_by(name="lab meter").one().type == "script"
    clash = write(tmp_path / "clash.csv", GOOD.replace(",2", ",9"))
    refused = command("dev-add", "beliefs", clash, *words, "--horizon", "0", exit_code=1)
    assert "Failed to create beliefs due to the following error" in refused
    assert "As a possible workaround, use the --allow-overwrite flag." in refused
    unknown = command("dev-add", "beliefs", clash, "--sensor-id", "9999", "--source", "x", exit_code=1)
    assert "Failed to create beliefs: no sensor found with id 9999." in unknown


def test_beliefs_are_written_to_files(app, tmp_path, command, sensor):
    """What is believed is written as CSV, which can be read again, or as Parquet with its types."""
    pq = pytest.importorskip("pyarrow.parquet")
    number = sensor()
    command("add", "beliefs", write(tmp_path / "file.csv", GOOD), "--sensor", number, "--timezone", "UTC")
    said = command("show", "beliefs", "--sensor", number, "--to", str(tmp_path / "out.csv"))
    assert "2 rows were written" in said
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert [(row["event_start"], row["event_value"]) for row in rows] == [
        ("2021-01-01T00:00:00Z", "1.0"),
        ("2021-01-01T00:15:00Z", "2.0"),
    ]
    command("show", "beliefs", "--sensor", number, "--all", "--to", str(tmp_path / "out.parquet"))
    table = pq.read_table(tmp_path / "out.parquet")
    assert str(table.schema.field("event_start").type) == "timestamp[us, tz=UTC]"
    assert table.column("event_value").to_pylist() == [1.0, 2.0]
    assert table.column("source").to_pylist() == ["CLI script", "CLI script"]
    twin = sensor()
    command("add", "beliefs", str(tmp_path / "out.csv"), "--sensor", twin)
    assert values_of(app, twin) == values_of(app, number)
    assert "Write to a file ending in .csv or .parquet" in command(
        "show", "beliefs", "--sensor", number, "--to", str(tmp_path / "out.doc"), exit_code=2
    )


@pytest.mark.parametrize("values", [1_000_000])
def test_a_million_readings_are_quick(app, tmp_path, command, sensor, values):
    """A million readings are stored; how long that takes, ``benchmarks/file_of_a_million.py`` says."""
    number = sensor("kW", 1)
    minutes = np.datetime64("2019-01-01T00:00") + np.arange(values) * np.timedelta64(1, "m")
    rows = "\n".join(f"{at},{n % 100}" for n, at in enumerate(minutes.astype(str).tolist()))
    file = write(tmp_path / "million.csv", f"time,value\n{rows}\n")
    said = command("add", "beliefs", file, "--sensor", number, "--timezone", "UTC")
    assert "Successfully created 1,000,000 beliefs" in said
