"""The commands that add things, with what they say."""

import json
import os
import pty
import re
import select
import shlex
import subprocess
import sys
import time
from datetime import timedelta

import click
import pytest
from click.testing import CliRunner
from sqlalchemy import func
from sqlalchemy import select as sql_select

from flexmeasures import cli
from flexmeasures.auth.setup import password_is_right
from flexmeasures.data.database import db
from flexmeasures.data.tables import (
    Asset,
    AssetType,
    DataSource,
    Market,
    MarketType,
    Sensor,
    User,
    WeatherSensor,
    WeatherSensorType,
)
from flexmeasures.domain.beliefs import DaysAgo, ExAnte

# As the documentation writes them; its lines are broken with a backslash.
QUICKSTART_SENSOR = (
    'add weather-sensor --name "my rooftop thermometer" --weather-sensor-type-name temperature --unit °C'
    " --event-resolution 15 --latitude 33 --longitude 2.4"
)
QUICKSTART_ASSET = (
    'add asset --name "my basement battery pack" --asset-type-name battery --capacity-in-MW 30'
    " --event-resolution 2 --latitude 65 --longitude 123.76 --owner-id 1"
)

USER = ("add", "user", "--username", "me", "--email", "me@example.com")
ASSET = (
    *("add", "asset", "--name", "battery", "--asset-type-name", "battery", "--capacity-in-MW", "1"),
    *("--event-resolution", "15", "--latitude", "52", "--longitude", "4.9", "--owner-id", "1"),
)
MARKET = (
    *(
        "add",
        "market",
        "--name",
        "EPEX DA",
        "--display-name",
        "EPEX day-ahead",
        "--market-type-name",
        "day_ahead",
    ),
    *("--unit", "EUR/MWh", "--event-resolution", "60", "--timezone", "Europe/Paris"),
)
SENSOR = (
    *("add", "weather-sensor", "--name", "thermometer", "--weather-sensor-type-name", "temperature"),
    *("--unit", "°C", "--event-resolution", "15", "--latitude", "33", "--longitude", "2.4"),
)


@pytest.fixture
def flexmeasures(app, monkeypatch):
    """Run a command in this process; nothing but a sentence and an exit code may come of what goes wrong."""
    monkeypatch.setattr(cli, "_create_app", lambda *_: app)

    def run(*words, typed="", exit_code=0):
        done = CliRunner().invoke(cli.cli, words, input=typed)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert done.exit_code == exit_code, done.output
        return done.output

    return run


@pytest.fixture
def furnished(flexmeasures):
    """An instance with structure and a user, number 1."""
    flexmeasures("add", "structure")
    flexmeasures(*USER, "--roles", "Prosumer", typed="secret\n")
    return flexmeasures


def found(app, kind, **names):
    """Look one row up."""
    return db.session.scalars(sql_select(kind).filter_by(**names)).one()


def test_the_quickstart_works_as_it_stands(app, flexmeasures):
    """The documentation's quickstart: an admin, structure, a weather sensor, and an asset that the admin owns."""
    user = flexmeasures(
        *shlex.split("add user --username me --email me@example.com --roles=admin"), typed="secret\nsecret\n"
    )
    assert re.search(r"Successfully created user .*me.* with ID 1$", user.strip())
    structure = flexmeasures("add", "structure")
    for counted in ("13 AssetType(s)", "3 WeatherSensorType(s)", "2 MarketType(s)", "1 Market(s)"):
        assert f"DB now has {counted}" in structure
    sensor = flexmeasures(*shlex.split(QUICKSTART_SENSOR))
    asset = flexmeasures(*shlex.split(QUICKSTART_ASSET))
    assert re.match(r"Successfully created sensor with ID \d+\n$", sensor)
    created, address = asset.splitlines()
    number = re.match(r"Successfully created asset with ID (\d+)$", created)[1]
    assert re.match(
        rf"You can access it at its entity address ea1\.\d{{4}}-\d\d\.localhost:1:{number}$", address
    )
    with app.app_context():
        battery = found(app, Asset, name="my basement battery pack")
        assert battery.owner.email == "me@example.com"
        assert battery.capacity_in_mw == 30
        assert battery.market.name == "dummy-tou"
        assert (battery.sensor.unit, battery.sensor.event_resolution) == ("MW", timedelta(minutes=2))
        thermometer = found(app, WeatherSensor, name="my_rooftop_thermometer")
        assert (thermometer.display_name, thermometer.sensor.unit) == ("my rooftop thermometer", "°C")
    for queue in ("forecasting", "scheduling"):
        assert flexmeasures("clear-queue", "--queue", queue) == (
            f"Cleared 0 jobs from <Queue {queue}>. Queue now contains 0 jobs.\n"
        )


def test_structure_is_added_once(app, flexmeasures):
    """Adding structure again changes nothing, and what is missing is made again."""
    first = flexmeasures("add", "structure")
    with app.app_context():
        db.session.delete(db.session.get(AssetType, "wind"))
        db.session.commit()
    assert flexmeasures("add", "structure") == first
    with app.app_context():
        kinds = {row.name: row for row in db.session.scalars(sql_select(AssetType))}
        numbers = {name: kind.id for name, kind in kinds.items() if kind.id <= 8}
        assert numbers == {
            "solar": 1,
            "wind": 2,
            "one-way_evse": 3,
            "two-way_evse": 4,
            "battery": 5,
            "building": 6,
            "process": 7,
            "heat-storage": 8,
        }
        assert {"market", "weather station", "transmission zone", "energy community"} < set(kinds)
        producers = {name for name, kind in kinds.items() if kind.is_producer and not kind.is_consumer}
        assert producers == {"solar", "wind"}
        assert kinds["wind"].can_curtail
        assert kinds["one-way_evse"].hover_label == "uni-directional Electric Vehicle Supply Equipment"
        weather = set(db.session.scalars(sql_select(WeatherSensorType.name)))
        assert weather == {"temperature", "wind_speed", "radiation"}
        assert set(db.session.scalars(sql_select(MarketType.name))) == {"day_ahead", "tou_tariff"}
        assert found(app, Market, name="dummy-tou").sensor.unit == "EUR/MWh"


def test_users_get_their_roles_and_a_source(app, flexmeasures):
    """Roles are split at commas, and what a user will post has a source from the start."""
    flexmeasures(
        *USER, "--roles", "Prosumer, ESCo,Prosumer", "--timezone", "Asia/Seoul", typed="secret\nsecret\n"
    )
    with app.app_context():
        user = found(app, User, email="me@example.com")
        assert {role.name for role in user.roles} == {"Prosumer", "ESCo"}
        assert (user.timezone, user.active, user.login_count) == ("Asia/Seoul", True, 0)
        assert found(app, DataSource, user_id=user.id).type == "user"
        assert password_is_right("secret", user)
        assert not password_is_right("secret\n", user)
        assert user.password.startswith("$2b$")


@pytest.mark.parametrize(
    ("options", "typed", "told"),
    [
        pytest.param((), "one\nother\n", "Passwords do not match!", id="two passwords"),
        pytest.param((), "", "The password is empty", id="no password"),
        pytest.param(("--password-stdin",), "\n", "The password is empty", id="an empty password"),
        pytest.param(("--email", "nobody"), "secret", "not a valid email address", id="no address"),
        pytest.param(
            ("--timezone", "Europe/Pari"), "secret", "Use a name like Europe/Amsterdam", id="no zone"
        ),
        pytest.param(("--username", "x" * 300), "secret", "1 to 255", id="a name that does not fit"),
        pytest.param(("--roles", "r" * 100), "secret", "1 to 80", id="a role that does not fit"),
    ],
)
def test_users_are_refused(app, flexmeasures, options, typed, told):
    """What is wrong with a new user is said in a sentence, and nothing is stored."""
    assert told in flexmeasures(*USER, *options, typed=typed, exit_code=1)
    with app.app_context():
        assert db.session.scalar(sql_select(func.count()).select_from(User)) == 0
        assert db.session.scalar(sql_select(func.count()).select_from(DataSource)) == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param(("--username", "other"), "email me@example.com already exists", id="the same address"),
        pytest.param(
            ("--username", "other", "--email", "ME@Example.com"), "already exists", id="in capitals"
        ),
        pytest.param(("--email", "other@example.com"), "username me already exists", id="the same name"),
    ],
)
def test_users_are_unique(furnished, options, told):
    """A second user with the same address or name is refused with a message that tells which."""
    assert told in furnished(*USER, *options, typed="secret", exit_code=1)


def read_until(terminal, text, patience=30.0):
    """Read what a terminal shows until it shows a text."""
    shown, deadline = b"", time.monotonic() + patience
    while text.encode() not in shown:
        assert time.monotonic() < deadline, shown
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 1024)
    return shown.decode()


def test_passwords_are_asked_for_at_a_terminal(app):
    """At a terminal the password is asked for twice, and not shown."""
    terminal, ours = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "flexmeasures", *USER],
        stdin=ours,
        stdout=ours,
        stderr=ours,
        env={
            **os.environ,
            "FLEXMEASURES_INSTANCE_PATH": app.instance_path,
            "SECRET_KEY": app.config["SECRET_KEY"],  # the salt of passwords
            "LOGGING_LEVEL": "ERROR",
        },
    )
    os.close(ours)
    shown = read_until(terminal, "Please enter the password:")
    os.write(terminal, b"geheim\n")
    shown += read_until(terminal, "Please repeat the password:")
    os.write(terminal, b"geheim\n")
    shown += read_until(terminal, "with ID 1")
    assert process.wait(30) == 0
    os.close(terminal)
    assert "geheim" not in shown
    with app.app_context():
        assert password_is_right("geheim", found(app, User, username="me"))


def test_assets_have_their_limits(app, furnished):
    """An asset gets its market, zone, unit and limits of state of charge."""
    number = re.search(r"ID (\d+)", furnished(*MARKET))[1]
    furnished(
        *(*ASSET, "--market-id", number, "--timezone", "Europe/Amsterdam", "--unit", "kW"),
        *("--min-soc-in-MWh", "0.5", "--max-soc-in-MWh", "2"),
    )
    with app.app_context():
        asset = found(app, Asset, name="battery")
        assert asset.market.name == "epex_da"
        assert (asset.min_soc_in_mwh, asset.max_soc_in_mwh) == (0.5, 2)
        assert (asset.sensor.timezone, asset.unit, asset.sensor.unit) == ("Europe/Amsterdam", "kW", "kW")
        assert (asset.display_name, asset.sensor.name) == ("Battery", "battery")


def test_all_errors_of_an_asset_are_told_at_once(app, furnished):
    """Every wrong field is named in one go, and nothing is stored."""
    told = furnished(
        *("add", "asset", "--name", "", "--asset-type-name", "teapot", "--capacity-in-MW", "0"),
        *("--event-resolution", "15", "--latitude", "91", "--longitude", "nan", "--owner-id", "77"),
        *("--market-id", "77", "--timezone", "Nowhere", "--min-soc-in-MWh", "2", "--max-soc-in-MWh", "1"),
        *("--unit", "x" * 100),
        exit_code=1,
    )
    assert "Please correct the following errors:" in told
    assert "Use the --help flag to learn more." in told
    fields = re.findall(r"^  (\w+): ", told, re.MULTILINE)
    assert set(fields) == {
        *("name", "asset_type_name", "capacity_in_mw", "latitude", "longitude", "owner_id", "market_id"),
        *("timezone", "max_soc_in_mwh", "unit"),
    }
    with app.app_context():
        assert db.session.scalar(sql_select(func.count()).select_from(Asset)) == 1  # the dummy market
        assert db.session.scalar(sql_select(func.count()).select_from(Sensor)) == 1  # the dummy market's


def test_owners_of_assets_are_prosumers_or_admins(flexmeasures):
    """A user with another role cannot own an asset."""
    flexmeasures("add", "structure")
    flexmeasures(*USER, "--roles", "Supplier", typed="secret")
    assert "owner_id" in flexmeasures(*ASSET, exit_code=1)


def test_assets_need_structure_first(flexmeasures):
    """Without structure there is no asset type and no dummy market: the message says what to do."""
    flexmeasures(*USER, "--roles", "admin", typed="secret")
    told = flexmeasures(*ASSET, exit_code=1)
    assert "Maybe add structure first." in told
    assert "asset_type_name" in told


@pytest.mark.parametrize("words", [ASSET, MARKET, SENSOR], ids=["asset", "market", "weather sensor"])
def test_names_are_unique(furnished, words):
    """The same thing a second time is refused with a message."""
    furnished(*words)
    assert "already exists" in furnished(*words, exit_code=1)


def test_weather_sensors_have_a_place_of_their_own(furnished):
    """Two sensors of one type cannot stand at one place; of two types they can."""
    furnished(*SENSOR)
    told = furnished(*SENSOR, "--name", "another", exit_code=1)
    assert "There is a temperature sensor at this place already." in told
    furnished(*SENSOR, "--name", "another", "--weather-sensor-type-name", "radiation", "--unit", "kW/m²")


def test_markets_know_when_prices_are_known(app, furnished):
    """A market's rule is given by name and JSON; by default prices are known when their hour begins."""
    rule = json.dumps({"x": 1, "y": 12, "z": "Europe/Paris"})
    options = ("--knowledge-horizon", "x_days_ago_at_y_oclock", "--knowledge-horizon-par", rule)
    made = furnished(*MARKET, *options)
    assert re.match(r"Successfully created market with ID \d+\n$", made)
    furnished(*MARKET, "--name", "tariff", "--display-name", "Tariff", "--market-type-name", "tou_tariff")
    with app.app_context():
        market = found(app, Market, name="epex_da")
        assert market.sensor.knowledge_rule == DaysAgo(1, 12, "Europe/Paris")
        assert (market.display_name, market.sensor.timezone) == ("EPEX day-ahead", "Europe/Paris")
        assert market.sensor.event_resolution == timedelta(hours=1)
        assert found(app, Market, name="tariff").sensor.knowledge_rule == ExAnte()


@pytest.mark.parametrize(
    ("options", "exit_code", "told"),
    [
        pytest.param(("--knowledge-horizon-par", "{"), 2, "not JSON", id="broken JSON"),
        pytest.param(("--knowledge-horizon-par", "[1]"), 2, "must be a JSON object", id="a list"),
        pytest.param(
            ("--knowledge-horizon", "ex_nunc"), 1, "no knowledge horizon 'ex_nunc'", id="no such rule"
        ),
        pytest.param(("--knowledge-horizon-par", '{"x": 1}'), 1, "knowledge_horizon", id="a wrong parameter"),
        pytest.param(
            ("--knowledge-horizon", "x_days_ago_at_y_oclock", "--knowledge-horizon-par", '{"x": 1, "y": 12}'),
            1,
            "knowledge_horizon",
            id="a missing parameter",
        ),
        pytest.param(
            (
                *("--knowledge-horizon", "x_days_ago_at_y_oclock"),
                *("--knowledge-horizon-par", '{"x": Infinity, "y": 12, "z": "UTC"}'),
            ),
            1,
            "knowledge_horizon",
            id="an endless parameter",
        ),
        pytest.param(("--name", "a:b"), 1, "Use letters, digits", id="a name for no address"),
        pytest.param(("--name", ""), 1, "Must have 1 to 80 characters", id="no name"),
        pytest.param(("--name", "m" * 200), 1, "Must have 1 to 80 characters", id="a long name"),
        pytest.param(("--display-name", "m" * 200), 1, "display_name", id="a long display name"),
        pytest.param(
            ("--market-type-name", "bazaar"), 1, "Market type bazaar doesn't exist", id="no such type"
        ),
        pytest.param(("--event-resolution", "0"), 2, "--event-resolution", id="no resolution"),
        pytest.param(("--event-resolution", "9" * 18), 2, "--event-resolution", id="an endless resolution"),
        pytest.param(("--event-resolution", "PT1H"), 2, "--event-resolution", id="not in minutes"),
    ],
)
def test_markets_are_refused(furnished, options, exit_code, told):
    """What is wrong with a new market is said, with the way out."""
    assert told in furnished(*MARKET, *options, exit_code=exit_code)


def test_all_errors_of_a_market_are_told_at_once(furnished):
    """Every wrong field is named in one go."""
    told = furnished(
        *MARKET,
        *(
            "--name",
            "1:1",
            "--market-type-name",
            "bazaar",
            "--timezone",
            "Nowhere",
            "--knowledge-horizon",
            "never",
        ),
        exit_code=1,
    )
    for field in ("name", "market_type_name", "timezone", "knowledge_horizon"):
        assert f"  {field}: " in told


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",), ("add", "--help"), ("add", "asset", "-h")])
def test_help_is_given(flexmeasures, words):
    """Groups and commands explain themselves."""
    told = flexmeasures(*words, exit_code=0 if words else 2)
    assert "Usage: " in told


def all_commands(group, *path):
    """The words of all commands and groups."""
    with click.Context(group) as context:
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            yield (*path, name)
            if isinstance(command, click.Group):
                yield from all_commands(command, *path, name)


def test_every_command_has_help(flexmeasures):
    """Each of the commands, those with older names as well, answers to --help with its usage."""
    listed = [*all_commands(cli.cli), ("run-worker",), ("clear-queue",), ("jobs", "run_worker")]
    assert len(listed) > 30
    for words in listed:
        assert "Usage: " in flexmeasures(*words, "--help"), words


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param(("ad",), "No such command 'ad'", id="a command"),
        pytest.param(("add", "battery"), "No such command 'battery'", id="a subcommand"),
        pytest.param(("add", "asset"), "Missing option '--name'", id="a missing option"),
        pytest.param(("jobs", "clear-queue", "--queue", "x"), 'There is no queue "x"', id="a queue"),
        pytest.param(("jobs", "run-worker", "--queue", "x"), 'There is no queue "x"', id="a worker's queue"),
    ],
)
def test_wrong_calls_are_explained(flexmeasures, words, told):
    """A wrong call is answered with what is wrong and exit code 2."""
    assert told in flexmeasures(*words, exit_code=2)


def test_the_version_is_told(flexmeasures):
    """The version can be asked for."""
    assert re.match(r"FlexMeasures, version \d+\.\d+", flexmeasures("--version"))
