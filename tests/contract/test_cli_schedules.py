"""The commands about schedules and flex models: what they do, say and refuse."""

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from flexmeasures import cli
from flexmeasures.data.database import db
from flexmeasures.data.tables import Asset, AssetType, PlanRecord
from flexmeasures.jobs.queues import get_queue

WINDOW = ("--start", "2015-01-02T00:00Z", "--horizon", "PT24H")


@pytest.fixture
def run(app, cast, monkeypatch):
    """Run a command as a user types it."""
    monkeypatch.setattr(cli, "_create_app", lambda *_: app)

    def invoke(*words, succeeds=True):
        done = CliRunner().invoke(cli.cli, [str(word) for word in words], env={"COLUMNS": "160"})
        assert (done.exit_code == 0) == succeeds, done.output
        return done.output

    return invoke


@pytest.fixture
def battery(run, cast):
    """The battery of the cast, with its schedule of the second day."""
    run("add", "schedules", "--asset", cast.assets["battery"], *WINDOW)
    return cast.assets["battery"]


def test_a_schedule_is_made_and_shown(run, battery):
    """The plan that was worked out by hand, what it costs beside simple plans, and what it shifts."""
    shown = run("show", "schedule", "--asset", battery)
    assert "01-02 08:00   01-02 10:30" in shown
    assert "-300.00" in shown
    # the bill is 300 EUR lower; 2.5 MWh are gone, at the average price of (16 · 100 + 8 · 90) / 24 EUR/MWh
    assert "Saving beside doing nothing: 58.33 EUR" in shown
    assert "0 MWh, -2.5 MWh beside doing nothing, worth -241.67 EUR at 96.67 EUR/MWh" in shown
    assert "curtailed 0 MWh" in shown
    assert "Outcome: optimal" in shown
    assert "CO₂ [kg]" in shown


def test_a_schedule_is_explained(run, battery):
    """With --explain there are the rules that bound, and what energy is worth."""
    explained = run("show", "schedule", "--asset", battery, "--explain")
    for word in ("Marginal price", "[EUR/MWh]", "maximum consumption", "soc minimum", "90.0"):
        assert word in explained
    assert "maximum consumption" not in run("show", "schedule", "--asset", battery)


def test_a_schedule_as_json(run, battery):
    """Programs get all of it, reasons included, and no numbers that JSON does not know."""
    shown = json.loads(run("show", "schedule", "--asset", battery, "--json"), parse_constant=pytest.fail)
    assert shown["start"] == "2015-01-02T00:00:00Z"
    assert shown["resolution"] == "PT15M"
    assert len(shown["power_mw"]) == 96
    assert len(shown["soc_mwh"]) == len(shown["reasons"]["marginal_price"]) + 1
    assert shown["saving"] == pytest.approx(300 - 2.5 * (16 * 100 + 8 * 90) / 24)
    assert shown["left"]["worth"] == pytest.approx(shown["saving"] - 300)
    # of a battery of which nothing is wanted nothing is charged at once: that is doing nothing
    assert [plan["name"] for plan in shown["plans"]] == ["this schedule", "doing nothing"]


def test_the_schedule_of_an_instant(run, battery):
    """The newest schedule that covers an instant is shown, not a newer one that does not."""
    run("add", "schedules", "--asset", battery, "--start", "2015-01-02T12:00Z", "--horizon", "PT2H")
    at = json.loads(run("show", "schedule", "--asset", battery, "--at", "2015-01-02T11:00Z", "--json"))
    assert at["start"] == "2015-01-02T00:00:00Z"
    newest = json.loads(run("show", "schedule", "--asset", battery, "--json"))
    assert newest["start"] == "2015-01-02T12:00:00Z"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param(("show", "schedule", "--asset", 999), "no asset with id 999", id="no asset"),
        pytest.param(("show", "schedule", "--asset", 4), "add schedules --asset 4", id="no schedule"),
        pytest.param(
            ("show", "schedule", "--asset", 3, "--at", "2015-01-02T11:00"), "time zone", id="no time zone"
        ),
        pytest.param(("add", "schedules"), "one of --asset, --owner and --all", id="no asset chosen"),
        pytest.param(("add", "schedules", "--all", "--owner", 1), "one of --asset", id="too many chosen"),
        pytest.param(("add", "schedules", "--all", "--wait"), "--as-job", id="nothing to wait for"),
        pytest.param(("add", "schedules", "--all", "--horizon", "-PT1H"), "more than none", id="backwards"),
        pytest.param(("add", "schedules", "--all", "--horizon", "P1M"), "use days", id="a month"),
        pytest.param(("add", "schedules", "--owner", 99), "no flexible asset", id="owns nothing"),
        pytest.param(("add", "flex-model", "{}"), "--asset or --asset-type", id="whose"),
        pytest.param(("add", "flex-model", "--asset", 3), "FIELDS or --none", id="nothing to set"),
        pytest.param(("add", "flex-model", "--asset", 3, "[1]"), "neither a JSON object", id="a list"),
        pytest.param(("add", "flex-model", "--asset", 99, "{}"), "no asset with id 99", id="unknown asset"),
        pytest.param(
            ("add", "flex-model", "--asset-type", "x", "{}"), "no asset type 'x'", id="unknown type"
        ),
        pytest.param(
            ("add", "flex-model", "--asset", 3, '{"charge_efficiency": 2}'),
            "charge_efficiency is 2",
            id="wrong",
        ),
    ],
)
def test_what_cannot_be_done_is_said(run, words, told):
    """Each refusal names the value and the remedy."""
    assert told in run(*words, succeeds=False)


def test_all_assets_and_those_that_cannot(run, app, cast):
    """All that can be scheduled is; the others are named, and the command fails after the work is done."""
    said = run("add", "schedules", "--all", *WINDOW, succeeds=False)
    assert "Scheduled 3 of 4 assets" in said
    assert f"{cast.foreign_asset}: The state of charge of Foreign battery" in said
    with app.app_context():
        stored = set(db.session.scalars(select(PlanRecord.asset_id)))
    assert stored == {cast.assets[name] for name in ("battery", "station", "two_way")}


def test_assets_of_an_owner(run, cast):
    """Only flexible assets of the owner are scheduled."""
    assert "Scheduled 3 of 3 assets" in run("add", "schedules", "--owner", cast.owner_id, *WINDOW)


def test_workers_share_the_work(run, app, cast):
    """Jobs of some assets each are waited for while workers do them, and their outcomes add up."""
    said = run("add", "schedules", "--owner", cast.owner_id, *WINDOW, "--as-job")
    assert "1 jobs wait" in said
    assert get_queue(app, "scheduling").empty() == 1
    words = [sys.executable, "-m", "flexmeasures", "jobs", "run-worker", "--queue", "scheduling"]
    environment = {
        **os.environ,
        "FLASK_ENV": "testing",
        "FLEXMEASURES_INSTANCE_PATH": app.instance_path,
    }
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as worker:
        assert "runs the jobs" in worker.stdout.readline()
        said = run("add", "schedules", "--owner", cast.owner_id, *WINDOW, "--as-job", "--wait")
        worker.terminate()
    assert "Scheduled 3 of 3 assets" in said
    assert "EUR" in said


def test_an_asset_type_with_its_flex_model(run, app, cast, tmp_path):
    """A new type is made from options and a file; its assets are flexible."""
    file = tmp_path / "boiler.json"
    file.write_text('{"kind": "heat_buffer", "gain": 3, "capacity_mwh": 0.01}')
    said = run(
        *("add", "asset-type", "--name", "boiler", "--display-name", "heat pump boiler", "--consumer"),
        *("--can-shift", "--flex-model", file),
    )
    assert "Successfully created asset type boiler" in said
    with app.app_context():
        made = db.session.get(AssetType, "boiler")
        assert (made.is_consumer, made.is_producer, made.can_shift, made.can_curtail) == (
            True,
            False,
            True,
            False,
        )
        assert made.flex_model == {"kind": "heat_buffer", "gain": 3, "capacity_mwh": 0.01}
    said = run(
        *("add", "asset", "--name", "our boiler", "--asset-type-name", "boiler", "--capacity-in-MW", 0.003),
        *("--event-resolution", 15, "--latitude", 52, "--longitude", 5, "--owner-id", cast.owner_id),
        *("--flex-model", '{"gain": 4}'),
    )
    with app.app_context():
        asset = db.session.scalars(select(Asset).where(Asset.name == "our boiler")).one()
        assert asset.flex_model == {"gain": 4}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param(("--name", "Big Boiler", "--consumer"), "small letters", id="name"),
        pytest.param(("--name", "battery", "--consumer"), "already exists", id="taken"),
        pytest.param(("--name", "boiler"), "consumes, produces", id="does nothing"),
        pytest.param(
            ("--name", "boiler", "--consumer", "--flex-model", '{"kind": "heat_buffer"}'),
            "gain is missing",
            id="gain",
        ),
    ],
)
def test_a_wrong_asset_type(run, app, words, told):
    """Each wrong field of a type is named, and nothing is stored."""
    assert told in run("add", "asset-type", "--display-name", "boiler", *words, succeeds=False)
    with app.app_context():
        assert db.session.get(AssetType, "boiler") is None


def test_a_flex_model_comes_and_goes(run, app, cast):
    """Fields of an asset or of a type are set, and taken away."""
    asset_id = cast.assets["battery"]
    run("add", "flex-model", "--asset", asset_id, '{"roundtrip_efficiency": 0.9}')
    run("add", "flex-model", "--asset-type", "building", '{"kind": "shiftable_load", "profile_mw": [1]}')
    with app.app_context():
        assert db.session.get(Asset, asset_id).flex_model == {"roundtrip_efficiency": 0.9}
        assert db.session.get(AssetType, "building").flex_model["kind"] == "shiftable_load"
    run("add", "flex-model", "--asset", asset_id, "--none")
    with app.app_context():
        assert db.session.get(Asset, asset_id).flex_model is None


def test_a_type_must_fit_its_assets(run, app, cast):
    """A type cannot become another kind while an asset has fields of the old one."""
    run("add", "flex-model", "--asset", cast.assets["battery"], '{"roundtrip_efficiency": 0.9}')
    said = run("add", "flex-model", "--asset-type", "battery", '{"kind": "curtailable"}', succeeds=False)
    assert "Test battery" in said
    with app.app_context():
        assert db.session.get(AssetType, "battery").flex_model == {"kind": "storage"}


class TestRest:
    """Flex models of assets in the REST API."""

    def test_an_asset_gets_a_flex_model(self, owner, cast):
        """It is set, returned, and taken away; an asset without one is answered as ever."""
        path = f"/api/v2_0/asset/{cast.assets['battery']}"
        client, headers = owner.client, owner.headers
        assert "flex_model" not in client.get(path, headers=headers).json
        changed = client.patch(path, json={"flex_model": {"roundtrip_efficiency": 0.9}}, headers=headers)
        assert changed.status_code == 200, changed.json
        assert client.get(path, headers=headers).json["flex_model"] == {"roundtrip_efficiency": 0.9}
        client.patch(path, json={"flex_model": None}, headers=headers)
        assert "flex_model" not in client.get(path, headers=headers).json

    def test_a_wrong_one_is_refused(self, owner, cast):
        """The field is named, and nothing is changed."""
        path = f"/api/v2_0/asset/{cast.assets['battery']}"
        answer = owner.client.patch(path, json={"flex_model": {"loss_per_hour": 2}}, headers=owner.headers)
        assert answer.status_code == 422
        assert "loss_per_hour is 2" in answer.json["message"]["json"]["flex_model"][0]

    def test_another_type_must_fit(self, owner, cast):
        """An asset cannot become one of a type for which its flex model is wrong."""
        path = f"/api/v2_0/asset/{cast.assets['battery']}"
        owner.client.patch(path, json={"flex_model": {"roundtrip_efficiency": 0.9}}, headers=owner.headers)
        answer = owner.client.patch(path, json={"asset_type_name": "solar"}, headers=owner.headers)
        assert answer.status_code == 422
        assert "kind must be one of" in answer.json["message"]["json"]["flex_model"][0]
