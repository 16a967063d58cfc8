"""Sites over REST: assets carry what they are a part of and what concerns their connection, with rights on both."""

from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import select

from flexmeasures.data.database import db
from flexmeasures.data.tables import Asset, SensorReference
from flexmeasures.testing import store_values

CONTEXT = {"site-power-capacity": "17 kW", "production-price": "0.08 EUR/kWh"}


def house(cast, **changes):
    """A house as somebody posts it."""
    return {
        "name": "My house",
        "asset_type": "building",
        "unit": "kW",
        "owner": cast.owner_id,
        "market": cast.market,
        "event_resolution": 15,
        "capacity_in_mw": 0.017,
        "latitude": 52,
        "longitude": 5,
        **changes,
    }


def send(caller, method, path, **kwargs):
    """Send a request to the current version."""
    return caller.client.open(f"/api/v2_0/{path}", method=method, headers=caller.headers, **kwargs)


def patch(caller, asset_id, **fields):
    """Change an asset."""
    return send(caller, "PATCH", f"asset/{asset_id}", json=fields)


@pytest.fixture
def site(admin, cast):
    """The id of a house with a connection of 17 kW."""
    answer = send(admin, "POST", "assets", json=house(cast, flex_context=CONTEXT))
    assert answer.status_code == 201, answer.json
    return answer.json["id"]


def test_old_clients_see_no_new_field(owner, cast):
    """An asset that is neither a part nor a site is described with the documented fields alone."""
    seen = send(owner, "GET", f"asset/{cast.assets['battery']}").json
    assert not {"parent_id", "flex_context"} & seen.keys()


def test_a_site_is_made_read_changed_and_taken_apart(admin, owner, cast, site):
    """A new asset may be a site, and another a part of it; both fields are returned and can be taken away."""
    assert send(owner, "GET", f"asset/{site}").json["flex_context"] == CONTEXT
    made = send(
        admin, "POST", "assets", json=house(cast, name="My cellar", asset_type="battery", parent_id=site)
    )
    assert (made.status_code, made.json["parent_id"]) == (201, site)
    battery = cast.assets["battery"]
    assert patch(owner, battery, parent_id=site).json["parent_id"] == site
    listed = {one["id"]: one for one in send(owner, "GET", "assets").json}
    assert listed[battery]["parent_id"] == site
    assert listed[site]["flex_context"] == CONTEXT
    # A change of something else leaves both alone.
    assert patch(owner, battery, latitude=1).json["parent_id"] == site
    assert "parent_id" not in patch(owner, battery, parent_id=None).json
    assert "flex_context" not in patch(owner, site, flex_context=None).json


def test_nothing_becomes_a_part_of_what_is_somebody_elses(owner, cast):
    """A stranger's asset is refused as a whole like one that does not exist, whatever kind of number it is."""
    texts = []
    for number in (cast.foreign_asset, 99_999, 2**40, -1, 0):
        answer = patch(owner, cast.assets["battery"], parent_id=number)
        assert answer.status_code == 422
        texts.append(str(answer.json["message"]["json"]["parent_id"]).replace(str(number), "ID"))
    assert len(set(texts)) == 1
    for number in ("house", True, 1.5):
        answer = patch(owner, cast.assets["battery"], parent_id=number)
        assert answer.json["message"]["json"]["parent_id"] == ["Not a valid integer."]


def test_an_admin_keeps_parts_within_an_account(admin, cast, site):
    """Even an admin cannot make an asset of one account a part of an asset of another."""
    answer = patch(admin, cast.foreign_asset, parent_id=site)
    assert answer.status_code == 422
    assert "account of the whole" in answer.json["message"]["json"]["parent_id"][0]
    for number in (cast.foreign_asset, 2**40):
        assert send(admin, "POST", "assets", json=house(cast, parent_id=number)).status_code == 422


def test_a_loop_is_refused(owner, cast, site):
    """A house in the garage that is a part of the house: refused, by name, and nothing changes."""
    garage = cast.assets["station"]
    assert patch(owner, garage, parent_id=site).status_code == 200
    for whole in (garage, site):
        answer = patch(owner, site, parent_id=whole)
        assert answer.status_code == 422
        assert "the same or a part of it" in answer.json["message"]["json"]["parent_id"][0]
    assert "parent_id" not in send(owner, "GET", f"asset/{site}").json


def test_a_part_stays_with_its_whole(owner, cast, site):
    """A part is not handed to another account while it is one; freed in the same change, it is."""
    battery, stranger_id = cast.assets["battery"], cast.owner_id + 1
    assert patch(owner, battery, parent_id=site).status_code == 200
    assert "owner_id" in patch(owner, battery, owner_id=stranger_id).json["message"]["json"]
    assert patch(owner, battery, owner_id=stranger_id, parent_id=None).status_code == 200


@pytest.mark.parametrize(
    ("context", "told"),
    [
        pytest.param({"site-power-capacity": "17 apples"}, "one like MW", id="no unit of power"),
        pytest.param({"consumption-price": "3 kW"}, "one like EUR/MWh", id="a price in kW"),
        pytest.param(
            {"consumption-surcharge": "3 EUR/MWh", "production-price": "3 KRW/MWh"},
            "EUR and KRW",
            id="two currencies",
        ),
        pytest.param({"teapot": 1}, "not a field", id="no field"),
        pytest.param({"site-power-capacity": {"sensor": True}}, "valid integer", id="true is no sensor"),
        pytest.param({"count-rest": "yes"}, "valid boolean", id="yes is no boolean"),
        pytest.param({"count-rest": True, "count_rest": False}, "twice", id="said twice"),
        pytest.param({"exclusions": [{"first": 2**40, "second": 1}]}, "less than", id="no id"),
        pytest.param({"exclusions": [{"first": 99_998, "second": 99_999}]}, "no such asset", id="no asset"),
    ],
)
def test_a_wrong_flex_context_is_refused(owner, admin, cast, site, context, told):
    """What is wrong is said under flex_context, for a new asset as for a change, and nothing is stored."""
    answers = [
        patch(owner, site, flex_context=context),
        send(admin, "POST", "assets", json=house(cast, name="Another", flex_context=context)),
    ]
    for answer in answers:
        assert answer.status_code == 422
        assert told in answer.json["message"]["json"]["flex_context"][0]
    assert send(owner, "GET", f"asset/{site}").json["flex_context"] == CONTEXT
    answer = patch(owner, site, flex_context="17 kW")
    assert answer.status_code == 422
    assert "flex_context" in answer.json["message"]["json"]


def test_ids_within_a_flex_context_are_checked(app, owner, stranger, cast, site):
    """Sensors and assets of somebody else are refused like ones that do not exist; one's own are noted."""
    with app.app_context():
        for asset in (cast.foreign_asset, cast.assets["building"]):
            store_values(
                db.session, db.session.get(Asset, asset), datetime(2015, 1, 2, tzinfo=UTC), np.ones(4)
            )
        db.session.commit()
    for field in (
        lambda number: {"inflexible-consumption": [{"sensor": number}]},
        lambda number: {"exclusions": [{"first": number, "second": site}]},
    ):
        texts = set()
        for number in (cast.foreign_asset, 99_999):
            answer = patch(owner, site, flex_context=field(number))
            assert answer.status_code == 422
            texts.add(str(answer.json).replace(str(number), "ID"))
        assert len(texts) == 1
    own = {"inflexible-consumption": [{"sensor": cast.assets["building"]}]}
    assert patch(owner, site, flex_context=own).status_code == 200
    with app.app_context():
        assert db.session.scalars(select(SensorReference.sensor_id)).all() == [cast.assets["building"]]
    # Nor is the house handed over with it: the new owner's plans would read what the old owner measured.
    answer = patch(owner, site, owner_id=cast.owner_id + 1)
    assert answer.status_code == 422
    assert "flex_context" in answer.json["message"]["json"]
    assert patch(stranger, site, flex_context={}).status_code == 404
