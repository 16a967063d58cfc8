"""Commands about accounts, sensors and the tree of assets, and those that show what there is."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from click.testing import CliRunner
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from flexmeasures import cli
from flexmeasures.data.database import db
from flexmeasures.data.tables import Account, Asset, Sensor, User
from flexmeasures.domain.errors import Conflict
from flexmeasures.services.edit_assets import AssetChanges, delete_asset, edit_asset
from flexmeasures.services.flex_models import set_flex_model_of_asset
from flexmeasures.services.plain_assets import move_asset
from flexmeasures.services.sensors import SIGN, delete_sensor, set_attributes_of_sensor
from flexmeasures.services.users import has_role
from flexmeasures.testing import CAST_DAY, make_sensor, store_values


@pytest.fixture
def run(app, cast, monkeypatch):
    """Run a command as a user types it."""
    monkeypatch.setattr(cli, "_create_app", lambda *_: app)

    def run(*words, code=0, typed=None):
        done = CliRunner().invoke(cli.cli, [str(word) for word in words], input=typed, env={"COLUMNS": "250"})
        assert done.exit_code == code, done.output
        return done.output

    return run


def shown(run, *words):
    """Read what a command shows as JSON."""
    return json.loads(run("show", *words, "--json"))


def add_asset(run, name, *words, kind="building"):
    """Add a plain asset; give its id."""
    return int(run("add", "asset", "--name", name, "--asset-type-name", kind, *words).split()[-1])


def test_an_account_with_users(app, run):
    """An account has roles, which its users have as well, but never those of the platform."""
    run("add", "account-role", "--name", "Supplier", "--description", "sells energy")
    told = run("add", "account", "--name", "Green Co", "--roles", "Supplier, admin")
    number = int(told.split()[-1])
    user = ("add", "user", "--username", "sue", "--email", "sue@green.example", "--password-stdin")
    run(*user, "--account", "Green Co", typed="secret words\n")
    with app.app_context():
        sue = db.session.query(User).filter_by(username="sue").one()
        assert sue.account_id == number
        assert has_role(sue, "Supplier")
        assert not has_role(sue, "admin")
    (row,) = [one for one in shown(run, "accounts") if one["name"] == "Green Co"]
    assert (row["roles"], row["users"], row["assets"]) == (["Supplier", "admin"], 1, 0)
    (row,) = shown(run, "users", "--account", number)
    assert (row["username"], row["account_id"], row["active"]) == ("sue", number, True)
    assert "password" not in row


def test_users_without_an_account_get_their_own(app, run):
    """A user is added as before, and gets an account of the same name, or of a like one if that is taken."""
    run("add", "account", "--name", "max")
    user = ("add", "user", "--username", "max", "--email", "max@home.example", "--password-stdin")
    run(*user, typed="secret words\n")
    with app.app_context():
        assert db.session.query(User).filter_by(username="max").one().account.name == "max (2)"
        assert db.session.query(User).filter_by(username="owner").one().account.name == "owner"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("account", "--name", "owner"), "already exists"),
        (("account", "--name", " "), "name"),
        (("account", "--name", "x", "--consultancy", "nobody"), "There is no account 'nobody'"),
        (("user", "--username", "x", "--email", "x@x.nl", "--account", "9999"), "There is no account '9999'"),
        (("account-role", "--name", "a" * 100), "1 to 80 characters"),
        (
            ("sensor", "--name", "x", "--asset", "999", "--unit", "kW", "--event-resolution", "15"),
            "no asset with id 999",
        ),
        (
            ("sensor", "--name", "x", "--asset", "3", "--unit", "furlong-ish", "--event-resolution", "15"),
            "is unknown. Use one like MW",
        ),
        (
            ("sensor", "--name", "Test battery", "--asset", "3", "--unit", "kW", "--event-resolution", "15"),
            "has a sensor with the name Test battery already",
        ),
        (
            (
                *("sensor", "--name", "x", "--asset", "3", "--unit", "kW", "--event-resolution", "15"),
                *("--knowledge-horizon", "never"),
            ),
            "There is no knowledge horizon",
        ),
    ],
)
def test_bad_input_is_told(run, words, told):
    """What cannot be made is refused in words, with what to do."""
    assert told in run("add", *words, code=1, typed="secret words\n")


def test_a_tree_of_assets(app, run, cast):
    """A site of an account with parts of its own, and of its users; a part belongs to the account of the whole."""
    site = add_asset(run, "Harbour", "--account", "owner", "--latitude", 51.9, "--longitude", 4.1)
    part = add_asset(run, "Crane", "--parent", site, kind="process")
    told = run(
        *(
            "add",
            "asset",
            "--name",
            "Quay battery",
            "--asset-type-name",
            "battery",
            "--owner-id",
            cast.owner_id,
        ),
        *("--capacity-in-MW", 1, "--latitude", 51.9, "--longitude", 4.1, "--event-resolution", 15),
        *("--parent", site, "--max-soc-in-MWh", 2, "--account", "owner"),
    )
    assert "entity address" in told
    rows = {row["name"]: row for row in shown(run, "assets", "--account", "owner")}
    owner_account = rows["Harbour"]["account_id"]
    assert rows["Crane"]["parent_id"] == rows["Quay battery"]["parent_id"] == site
    assert rows["Crane"]["account_id"] == rows["Quay battery"]["account_id"] == owner_account
    assert (rows["Crane"]["owner_id"], rows["Quay battery"]["owner_id"]) == (None, cast.owner_id)
    level = ("--name", "water level", "--asset", part, "--unit", "m", "--event-resolution", 0)
    number = int(run("add", "sensor", *level, "--attributes", '{"floor": 2}').split()[-1])
    (row,) = shown(run, "sensors", "--asset", part)
    assert (row["id"], row["unit"], row["event_resolution"], row["attributes"]) == (
        number,
        "m",
        "P0D",
        {"floor": 2},
    )
    public = add_asset(run, "Zone", "--public", kind="transmission zone")
    (row,) = [one for one in shown(run, "assets") if one["id"] == public]
    assert row["account_id"] is None


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ((), 2, "Missing option '--owner-id'"),
        (("--owner-id", 1), 2, "Missing option '--capacity-in-MW'"),
        (("--public", "--account", "owner"), 2, "Missing option '--owner-id'"),
        (("--account", "nobody"), 1, "There is no account 'nobody'"),
        (("--parent", 9999), 1, "There is no asset with id 9999"),
        (("--parent", 3, "--account", "stranger"), 1, "belongs to another account"),
        (("--account", "owner", "--latitude", 3), 1, "Give both, or none"),
        (("--account", "owner", "--capacity-in-MW", -1), 1, "Must be positive"),
        (("--account", "owner", "--min-soc-in-MWh", 1), 2, "only for an asset with --owner-id"),
        (
            (
                *("--owner-id", 1, "--account", "stranger", "--capacity-in-MW", 1, "--latitude", 1),
                *("--longitude", 1, "--event-resolution", 15),
            ),
            2,
            "User 1 belongs to account",
        ),
        (
            (
                *("--owner-id", 1, "--parent", 8, "--capacity-in-MW", 1, "--latitude", 1),
                *("--longitude", 1, "--event-resolution", 15),
            ),
            1,
            "a part belongs to the account of the whole",
        ),
    ],
)
def test_a_bad_place_in_the_tree_is_told(run, words, code, told):
    """What is missing, or of another account, is told; nothing is stored."""
    asked = ("add", "asset", "--name", "House", "--asset-type-name", "building", *words)
    assert told in run(*asked, code=code)
    assert "House" not in [row["name"] for row in shown(run, "assets")]


def test_names_are_unique_among_siblings_only(run):
    """Two houses may both have a roof; one may not have two."""
    houses = [add_asset(run, name, "--account", "owner") for name in ("First house", "Second house")]
    for house in houses:
        add_asset(run, "Roof", "--parent", house)
    asked = ("add", "asset", "--name", "Roof", "--asset-type-name", "building", "--parent", houses[0])
    assert "already exists beside it" in run(*asked, code=1)
    add_asset(run, "First house", "--account", "stranger")
    asked = ("add", "asset", "--name", "First house", "--asset-type-name", "building", "--account", "owner")
    assert "already exists beside it" in run(*asked, code=1)


class TestTrees:
    """Moves, accounts and deletions in a tree."""

    @pytest.fixture
    def tree(self, app, run):
        """A house with a floor with a room; their ids."""
        house = add_asset(run, "House", "--account", "owner")
        floor = add_asset(run, "Floor", "--parent", house)
        room = add_asset(run, "Room", "--parent", floor)
        with app.app_context():
            yield house, floor, room
            db.session.rollback()

    def test_loops_are_refused(self, tree):
        """Nothing becomes a part of itself, by the service in words, and by the database in any case."""
        house, floor, room = tree
        for part in (house, floor, room):
            with pytest.raises(Conflict, match="the same or a part of it"):
                move_asset(db.session, db.session.get(Asset, house), part)
        db.session.execute(
            text("update asset set parent_id = :room where id = :house"), {"room": room, "house": house}
        )
        with pytest.raises(IntegrityError, match="part of itself"):
            db.session.commit()

    def test_two_moves_at_once_make_no_loop(self, app, run, tree):
        """Two moves that would make a loop only together cannot both succeed."""
        other = add_asset(run, "Shed", "--account", "owner")
        house = tree[0]
        move = text("update asset set parent_id = :whole where id = :part")
        with db.engine.connect() as first, db.engine.connect() as second, ThreadPoolExecutor(1) as pool:
            first.execute(move, {"whole": other, "part": house})
            # It waits for the first one, whose row it needs.
            later = pool.submit(second.execute, move, {"whole": house, "part": other})
            first.commit()
            later.result(timeout=30)
            with pytest.raises(IntegrityError, match="part of itself"):
                second.commit()

    def test_a_part_stays_in_the_account(self, tree, cast):
        """A part cannot belong to others than the whole, by the service in words, and by the database in any case."""
        house, floor, _ = tree
        with pytest.raises(Conflict, match="belongs to the account of the whole"):
            move_asset(db.session, db.session.get(Asset, floor), cast.foreign_asset)
        other = db.session.query(Account).filter_by(name="stranger").one().id
        change = text("update asset set account_id = :other where id = :id")
        for part in (house, floor):
            db.session.execute(change, {"other": other, "id": part})
            with pytest.raises(IntegrityError, match="two accounts"):
                db.session.commit()
            db.session.rollback()

    def test_moves(self, tree):
        """A part moves with all its parts."""
        house, floor, room = tree
        move_asset(db.session, db.session.get(Asset, room), house)
        move_asset(db.session, db.session.get(Asset, floor), room)
        db.session.commit()
        assert db.session.get(Asset, floor).parent_id == room

    def test_a_new_owner_gets_the_parts(self, app, tree, cast):
        """Handing over a connection hands over its parts; a part alone stays."""
        battery, building = (db.session.get(Asset, cast.assets[name]) for name in ("battery", "building"))
        move_asset(db.session, battery, building.id)
        db.session.commit()
        stranger = db.session.get(Asset, cast.foreign_asset).owner
        with pytest.raises(Exception, match="is a part of asset"):
            edit_asset(db.session, battery, AssetChanges(owner_id=stranger.id))
        db.session.rollback()
        building = db.session.get(Asset, cast.assets["building"])
        edit_asset(db.session, building, AssetChanges(owner_id=stranger.id))
        db.session.commit()
        for name in ("battery", "building"):
            asset = db.session.get(Asset, cast.assets[name])
            assert (asset.owner_id, asset.account_id) == (stranger.id, stranger.account_id)

    def test_a_deletion_takes_the_subtree(self, app, tree, cast):
        """Parts, their sensors and beliefs go with the whole; nothing else does."""
        building = db.session.get(Asset, cast.assets["building"])
        battery = db.session.get(Asset, cast.assets["battery"])
        move_asset(db.session, battery, building.id)
        store_values(db.session, battery, CAST_DAY, np.arange(10.0))
        number = battery.sensor.id
        db.session.commit()
        before = db.session.query(Asset).count()
        delete_asset(db.session, building)
        db.session.commit()
        assert db.session.query(Asset).count() == before - 2
        assert db.session.get(Sensor, number) is None
        about = text("select count(*) from belief where sensor_id = :id")
        assert db.session.scalar(about, {"id": number}) == 0


class TestReferences:
    """Sensors that a flex model names."""

    @pytest.fixture
    def named(self, app, cast):
        """A public sensor that the battery's flex model names."""
        with app.app_context():
            sensor = make_sensor(db.session, "grid mix", "kg/MWh")
            set_flex_model_of_asset(db.session, {"co2_sensor_id": sensor.id}, cast.assets["battery"])
            db.session.commit()
            yield sensor
            db.session.rollback()

    def test_a_named_sensor_stays(self, named, cast):
        """It can be deleted neither alone nor with its asset, until nothing names it any more."""
        where = f"flex_model.co2_sensor_id of asset {cast.assets['battery']}"
        with pytest.raises(Conflict, match=where):
            delete_sensor(db.session, named)
        with pytest.raises(Conflict, match=where):
            delete_asset(db.session, db.session.get(Asset, named.asset_id))
        db.session.rollback()
        db.session.execute(text("delete from sensor where id = :id"), {"id": named.id})
        with pytest.raises(IntegrityError):
            db.session.commit()
        db.session.rollback()
        set_flex_model_of_asset(db.session, None, cast.assets["battery"])
        delete_sensor(db.session, db.session.get(Sensor, named.id))
        db.session.commit()

    def test_who_names_it_may_go(self, named, cast):
        """An asset goes with what it names and with what names it, if all of it goes."""
        delete_asset(db.session, db.session.get(Asset, cast.assets["battery"]))
        db.session.commit()
        delete_sensor(db.session, named)
        db.session.commit()

    def test_a_power_sensor_stays_with_its_asset(self, named, cast):
        """The power sensor of a connection goes with the asset only."""
        with pytest.raises(Conflict, match="Delete the asset instead"):
            delete_sensor(db.session, db.session.get(Asset, cast.assets["battery"]).sensor)

    def test_the_sign_stays_once_there_are_values(self, named):
        """Other attributes change; the sign convention does as long as there are no values."""
        set_attributes_of_sensor(db.session, named, {SIGN: True, "colour": "green"})
        db.session.commit()
        values = np.arange(3.0)
        store_values(db.session, FakeThing(named), CAST_DAY, values)
        set_attributes_of_sensor(db.session, named, {SIGN: True, "colour": "blue"})
        with pytest.raises(Conflict, match="Make a new sensor"):
            set_attributes_of_sensor(db.session, named, {"colour": "blue"})


class FakeThing:
    """What has a sensor."""

    def __init__(self, sensor):
        self.sensor = sensor


def test_what_there_is(run, cast):
    """Markets, sources and beliefs are shown as tables for people and as JSON for programs."""
    assert "epex_da" in run("show", "markets")
    rows = shown(run, "markets")
    assert [row["name"] for row in rows] == ["dummy-tou", "epex_da"]
    assert rows[1] | {"unit": "EUR/MWh", "event_resolution": "PT1H", "timezone": "Europe/Paris"} == rows[1]
    assert {row["type"] for row in shown(run, "sources")} >= {"user", "demo", "script"}
    window = ("--start", "2015-01-02T07:00Z", "--end", "2015-01-02T10:00Z")
    beliefs = shown(run, "beliefs", "--sensor", cast.market, *window)
    assert [(row["event_start"], row["event_value"]) for row in beliefs] == [
        ("2015-01-02T07:00:00Z", 100),
        ("2015-01-02T08:00:00Z", 90),
        ("2015-01-02T09:00:00Z", 90),
    ]
    # Prices of the second day are known at noon of the first.
    early, late = ("--as-of", "2015-01-01T10:59Z"), ("--as-of", "2015-01-01T11:00Z")
    assert shown(run, "beliefs", "--sensor", cast.market, *window, *early) == []
    assert len(shown(run, "beliefs", "--sensor", cast.market, *window, *late)) == 3
    (row, *_) = shown(run, "beliefs", "--sensor", cast.market, *window, "--all")
    assert (row["belief_time"], row["cumulative_probability"]) == ("2015-01-01T11:00:00Z", 0.5)
    assert len(shown(run, "beliefs", "--sensor", cast.market, "--limit", 2)) == 2
    assert "no sensor with id 999" in run("show", "beliefs", "--sensor", 999, code=1)
    for words in (("accounts",), ("users",), ("assets",), ("sensors",), ("sources",)):
        assert len(run("show", *words).splitlines()) > 3
    assert "Nothing is known" in run("show", "beliefs", "--sensor", cast.assets["solar"])
