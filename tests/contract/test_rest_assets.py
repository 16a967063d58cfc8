"""Assets over REST: who may see and change what, and what is said of wrong fields."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event, func, select

from flexmeasures.data.database import db
from flexmeasures.data.tables import Asset, Sensor, belief
from flexmeasures.testing import store_values


def documented(cast: Any, **changes: Any) -> dict[str, Any]:
    """Write the documentation's example of a new asset, with ids filled in."""
    return {
        "name": "New battery",
        "asset_type": "battery",
        "unit": "kW",
        "owner": cast.owner_id,
        "market": cast.market,
        "event_resolution": 5,
        "capacity_in_mw": 4.2,
        "latitude": 40,
        "longitude": 170.3,
        "max_soc_in_mwh": 5,
        "min_soc_in_mwh": 0,
        **changes,
    }


def in_practice(cast: Any, **changes: Any) -> dict[str, Any]:
    """Write the same with the names that clients use in practice."""
    names = {"asset_type": "asset_type_name", "owner": "owner_id", "market": "market_id"}
    return {names.get(name, name): value for name, value in documented(cast, **changes).items()}


def send(caller: Any, method: str, path: str, **kwargs: Any) -> Any:
    """Send a request to the current version."""
    return caller.client.open(f"/api/v2_0/{path}", method=method, headers=caller.headers, **kwargs)


@pytest.mark.parametrize("shape", [documented, in_practice])
def test_admin_posts_the_documented_asset(admin, cast, shape):
    """An asset is made from the documented names of fields and from those in use, and returned with both."""
    answer = send(admin, "POST", "assets", json=shape(cast))
    assert answer.status_code == 201, answer.json
    made = answer.json
    assert made["status"] == 201
    assert made["asset_type"] == made["asset_type_name"] == "battery"
    assert made["owner"] == made["owner_id"] == cast.owner_id
    assert made["market"] == made["market_id"] == cast.market
    assert made["display_name"] == "New battery"
    assert made["timezone"] == "UTC"
    assert made["event_resolution"] == 5
    assert made["capacity_in_mw"] == 4.2
    assert made["soc_datetime"] is None
    assert send(admin, "GET", f"asset/{made['id']}").json == {**made, "status": 200}


def test_capacity_may_be_posted_under_its_name_in_an_example(admin, cast):
    """The field that an example of the documentation calls capacity_in_mwh is the capacity in MW."""
    message = documented(cast, capacity_in_mwh=2.0)
    del message["capacity_in_mw"]
    assert send(admin, "POST", "assets", json=message).json["capacity_in_mw"] == 2.0


def test_two_names_of_a_field_must_agree(admin, cast):
    """Who sends a field under both of its names, with different values, is told so."""
    answer = send(admin, "POST", "assets", json=documented(cast, owner_id=cast.owner_id + 1))
    assert answer.status_code == 422
    assert "otherwise" in answer.json["message"]["json"]["owner_id"][0]


def test_state_of_charge_can_be_posted(admin, cast):
    """The state of a battery is kept with its instant; one without a time zone is in UTC."""
    message = documented(cast, soc_in_mwh=2.5, soc_datetime="2015-01-01T00:00:00", soc_udi_event_id=203)
    made = send(admin, "POST", "assets", json=message).json
    assert (made["soc_in_mwh"], made["soc_datetime"]) == (2.5, "2015-01-01T00:00:00+00:00")
    assert made["soc_udi_event_id"] == 203


def test_unit_in_the_name_is_dropped_and_minutes_are_whole(admin, cast):
    """A trailing "(MW)" is not a part of a name, and a fraction of a minute is cut off."""
    made = send(admin, "POST", "assets", json=documented(cast, name="Roof 7 (MW)", event_resolution=7.5)).json
    assert (made["name"], made["event_resolution"]) == ("Roof 7", 7)


def test_all_wrong_fields_are_told_at_once(admin, cast, app):
    """A form with several mistakes is refused with a text for each, and nothing is stored."""
    message = documented(cast, longitude=300.9, capacity_in_mw=-100, min_soc_in_mwh=10, colour="red")
    del message["latitude"]
    answer = send(admin, "POST", "assets", json=message)
    assert answer.status_code == 422
    assert answer.json["status"] == "UNPROCESSABLE_ENTITY"
    assert answer.json["result"] == "Rejected"
    assert answer.json["message"]["json"] == {
        "longitude": ["Must be greater than or equal to -180 and less than or equal to 180."],
        "capacity_in_mw": ["Must be greater than or equal to 0.0001."],
        "latitude": ["Missing data for required field."],
        "max_soc_in_mwh": "This value must be equal or higher than the minimum soc.",
        "colour": ["Unknown field."],
    }
    with app.app_context():
        assert db.session.scalar(select(Asset).where(Asset.name == "New battery")) is None


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("name", "Test battery", "An asset with the name Test battery already exists."),
        ("name", "", "Shorter than minimum length 1."),
        ("name", "x" * 81, "Longer than maximum length 80."),
        ("display_name", "abc", "Shorter than minimum length 4."),
        ("asset_type", "submarine", "doesn't exist"),
        ("asset_type", None, "Field may not be null."),
        ("owner", 999, "No owner found with id 999"),
        ("owner", -1, "No owner found with id -1"),
        ("owner", 10**12, "No owner found"),
        ("market", 999, "No market found with id 999."),
        ("market", None, "Field may not be null."),
        ("latitude", -90.01, "Must be greater than or equal to -90 and less than or equal to 90."),
        ("event_resolution", "quarter", "Not a valid integer."),
        ("event_resolution", 0.5, "Must be greater than or equal to 1."),
        ("capacity_in_mw", "much", "Not a valid number."),
        ("capacity_in_mw", "NaN", "Not a valid number."),
        ("soc_in_mwh", -1, "Must be greater than or equal to 0."),
        ("soc_datetime", "yesterday", "Not a valid datetime."),
        ("soc_datetime", "0001-01-01T00:00:00+14:00", "Not a valid datetime."),
        ("name", "a\0b", "Null characters are not allowed."),
        ("timezone", "Mars/Olympus", "unknown"),
        ("id", 7, "Unknown field."),
    ],
)
def test_wrong_field_is_named(admin, cast, field, value, text):
    """A wrong value is refused under the name of its field in practice."""
    answer = send(admin, "POST", "assets", json=documented(cast, **{field: value}))
    assert answer.status_code == 422, answer.json
    names = {"asset_type": "asset_type_name", "owner": "owner_id", "market": "market_id"}
    (said,) = answer.json["message"]["json"][names.get(field, field)]
    assert text in said


def test_owner_must_be_a_prosumer(admin, cast, app):
    """Somebody without the role Prosumer cannot own an asset."""
    users = {u["username"]: u["id"] for u in send(admin, "GET", "users").json}
    answer = send(admin, "POST", "assets", json=documented(cast, owner=users["supplier"]))
    assert "Prosumer" in answer.json["message"]["json"]["owner_id"][0]


def test_taken_display_name_is_a_clash(admin, cast):
    """A shown name that another asset has is refused with a message and its reason."""
    answer = send(admin, "POST", "assets", json=documented(cast, display_name="Test battery"))
    assert answer.status_code == 400
    assert answer.json["status"] == 400
    assert "Test battery" in answer.json["detail"]


def test_body_must_be_one_object(admin, cast):
    """A list, and a text that is not JSON, are refused, each in the documented way."""
    answer = send(admin, "POST", "assets", json=[documented(cast)])
    assert answer.status_code == 422
    assert answer.json["message"] == {"json": {"_schema": ["Invalid input type."]}}
    answer = send(admin, "POST", "assets", data="{", content_type="application/json")
    assert answer.status_code == 400
    assert answer.json == {"description": "Not a JSON.", "status": 400}


def test_lists_are_newest_first_and_hold_what_one_may_see(admin, owner, stranger, cast):
    """Owners see their own assets, admins all of them or those of one owner."""
    mine = send(owner, "GET", "assets").json
    assert [a["id"] for a in mine] == sorted(cast.assets.values(), reverse=True)
    assert [a["id"] for a in send(owner, "GET", f"assets?owner_id={cast.owner_id}").json] == [
        a["id"] for a in mine
    ]
    assert [a["id"] for a in send(stranger, "GET", "assets").json] == [cast.foreign_asset]
    assert len(send(admin, "GET", "assets").json) == len(cast.assets) + 1
    assert [a["owner_id"] for a in send(admin, "GET", f"assets?owner_id={cast.owner_id}").json] == [
        cast.owner_id
    ] * len(cast.assets)
    assert send(admin, "GET", "assets?owner_id=99999999999").json == []


def test_foreign_owner_and_wrong_queries(stranger, cast, client):
    """Another's list is forbidden, a wrong query is explained, and without a token there is no list."""
    answer = send(stranger, "GET", f"assets?owner_id={cast.owner_id}")
    assert (answer.status_code, answer.json["status"]) == (403, "FORBIDDEN")
    answer = send(stranger, "GET", "assets?owner_id=me&colour=red")
    assert answer.status_code == 422
    assert answer.json["message"] == {
        "query": {"owner_id": ["Not a valid integer."], "colour": ["Unknown field."]}
    }
    answer = client.get("/api/v2_0/assets")
    assert (answer.status_code, answer.json["status"]) == (401, "UNAUTHORIZED")


def test_list_takes_the_same_number_of_queries_for_any_number_of_assets(admin, stranger, cast, app):
    """Six assets are listed with as many queries as one."""
    counts = {}
    with app.app_context():
        engine = db.engine
    for name, caller in (("one", stranger), ("all", admin)):
        statements: list[str] = []
        listen = lambda *args, log=statements: log.append(args[2])  # noqa: E731 - a listener
        event.listen(engine, "before_cursor_execute", listen)
        assert send(caller, "GET", "assets").status_code == 200
        event.remove(engine, "before_cursor_execute", listen)
        counts[name] = len(statements)
    assert counts["one"] == counts["all"]


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_foreign_asset_looks_like_a_missing_one(stranger, cast, method, app):
    """Nobody learns whether a foreign asset exists: the answer is that of an asset that does not."""
    foreign, missing = cast.assets["battery"], 99_999
    one = send(stranger, method, f"asset/{foreign}", json={"name": "Mine", "colour": 1})
    other = send(stranger, method, f"asset/{missing}", json={"name": "Mine", "colour": 1})
    assert one.status_code == other.status_code == 404
    assert one.json == {"message": f"Asset {foreign} not found", "status": 404}
    assert other.json == {"message": f"Asset {missing} not found", "status": 404}
    with app.app_context():
        assert db.session.get(Asset, foreign).name == "Test battery"


@pytest.mark.parametrize("asset_id", ["one", "1.5", "99999999999999999999", "-1", "0"])
def test_odd_ids(owner, asset_id):
    """An id that is not a whole number is asked for; one that no asset can have is not found."""
    answer = send(owner, "GET", f"asset/{asset_id}")
    if asset_id in ("one", "1.5"):
        assert (answer.status_code, answer.json["status"]) == (400, "REQUIRED_INFO_MISSING")
    else:
        assert answer.status_code == 404


@pytest.mark.parametrize("path", ["asset/1/2", "asset/1/power", "user/1/2"])
def test_nothing_follows_an_id(owner, path):
    """A path that goes on after the id of an asset or a user is not a path of ours."""
    answer = send(owner, "GET", path)
    assert (answer.status_code, answer.json["status"]) == (400, "UNEXPECTED_PARAMS")


def test_only_admins_make_assets(owner, cast):
    """A Prosumer cannot make an asset, not even their own."""
    answer = send(owner, "POST", "assets", json=documented(cast))
    assert (answer.status_code, answer.json["status"]) == (403, "FORBIDDEN")


def test_owner_changes_an_asset(owner, cast):
    """Any subset of fields can be changed, under either name; the id is ignored, and the whole asset comes back."""
    path = f"asset/{cast.assets['battery']}"
    before = send(owner, "GET", path).json
    changes = {
        "latitude": 11.1,
        "longitude": 99.9,
        "id": 888,
        "asset_type": "two-way_evse",
        "timezone": "Asia/Seoul",
    }
    answer = send(owner, "PATCH", path, json=changes)
    assert answer.status_code == 200, answer.json
    after = {**before, "latitude": 11.1, "longitude": 99.9, "timezone": "Asia/Seoul"}
    after.update(asset_type="two-way_evse", asset_type_name="two-way_evse")
    assert answer.json == after
    assert send(owner, "GET", path).json == after


def test_empty_change_and_own_name_are_fine(owner, cast):
    """A change of nothing, and the name that the asset already has, are accepted."""
    path = f"asset/{cast.assets['battery']}"
    assert send(owner, "PATCH", path).status_code == 200
    assert send(owner, "PATCH", path, json={"name": "Test battery"}).status_code == 200
    answer = send(owner, "PATCH", path, json={"name": "Test roof"})
    assert "already exists" in answer.json["message"]["json"]["name"][0]


def test_change_is_checked_beside_what_stays(owner, cast):
    """The order of the smallest and largest state of charge holds also if only one of them is sent."""
    path = f"asset/{cast.assets['battery']}"
    answer = send(owner, "PATCH", path, json={"min_soc_in_mwh": 6})
    assert answer.status_code == 422
    assert answer.json["message"]["json"].keys() == {"max_soc_in_mwh"}
    assert send(owner, "PATCH", path, json={"min_soc_in_mwh": 6, "max_soc_in_mwh": 7}).status_code == 200
    assert send(owner, "PATCH", path, json={"max_soc_in_mwh": None}).json["max_soc_in_mwh"] is None
    assert send(owner, "PATCH", path, json={"capacity_in_mw": None}).status_code == 422


def test_resolution_stays_once_there_are_data(owner, cast, app):
    """The event resolution can change as long as no belief is about an event of the old length."""
    path = f"asset/{cast.assets['battery']}"
    assert send(owner, "PATCH", path, json={"event_resolution": 5}).json["event_resolution"] == 5
    with app.app_context():
        store_values(
            db.session,
            db.session.get(Asset, cast.assets["battery"]),
            datetime(2015, 1, 1, tzinfo=UTC),
            np.ones(2),
        )
        db.session.commit()
    answer = send(owner, "PATCH", path, json={"event_resolution": 15})
    assert answer.json["message"]["json"].keys() == {"event_resolution"}
    assert send(owner, "PATCH", path, json={"event_resolution": 5}).status_code == 200


def test_owner_removes_an_asset_with_all_that_belongs_to_it(owner, cast, app):
    """With an asset go its sensor and its data, and nothing else."""
    asset_id = cast.assets["solar"]
    with app.app_context():
        store_values(
            db.session, db.session.get(Asset, asset_id), datetime(2015, 1, 1, tzinfo=UTC), np.ones(4)
        )
        db.session.commit()
        others = db.session.scalar(select(func.count()).select_from(belief)) - 4
    answer = send(owner, "DELETE", f"asset/{asset_id}")
    assert (answer.status_code, answer.data) == (204, b"")
    with app.app_context():
        assert db.session.get(Asset, asset_id) is None
        assert db.session.get(Sensor, asset_id) is None
        assert db.session.scalar(select(func.count()).select_from(belief)) == others
    assert send(owner, "DELETE", f"asset/{asset_id}").status_code == 404
