"""``flexmeasures delete``: users, accounts, assets, sensors, all structure; beliefs of all kinds."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click
from flask import current_app
from flask.cli import AppGroup
from sqlalchemy.engine import make_url

from flexmeasures.cli.aliases import Aliased
from flexmeasures.cli.confirming import confirm, yes_option
from flexmeasures.cli.parameters import Instant
from flexmeasures.data.database import db, redis_connection
from flexmeasures.data.transactional import as_transaction
from flexmeasures.services import deletions
from flexmeasures.services.accounts import find_account
from flexmeasures.services.annotations import delete_annotation, find_annotation
from flexmeasures.services.deletions import KINDS_OF_SENSORS, BeliefSelection, sensors_by_kind
from flexmeasures.services.edit_assets import delete_asset
from flexmeasures.services.find import find_asset_row, find_sensor_row, find_user_row
from flexmeasures.services.sensors import delete_sensor

__all__ = ["delete"]


class _Group(Aliased, AppGroup):
    """The group with the names of older and newer documentation."""

    aliases = {"forecasts": "prognoses", "schedules": "prognoses"}  # noqa: RUF012


delete = _Group("delete", help="Delete users, accounts, assets, sensors, all structure, or beliefs.")

_NAMES = {"Market": "Price", "Asset": "Power", "WeatherSensor": "Weather"}
_TABLES = {"Market": "price", "Asset": "power", "WeatherSensor": "weather"}
_STRUCTURE = (
    *("role", "fm_user", "roles_users", "sensor", "market_type", "market", "asset_type", "asset"),
    *("weather_sensor_type", "weather_sensor", "data_source"),
)
_ALONE = "If you specify --asset-id, please also specify --asset-type, so we can look it up."


@delete.command("structure")
@yes_option
def delete_structure(yes: bool) -> None:
    """Delete all structural (non time-series) data: types, assets, markets, weather sensors and users.

    What is believed about them goes with them.
    """
    tables = f"{', '.join(_STRUCTURE[:-1])} and {_STRUCTURE[-1]}"
    confirm(f"This deletes all data in the tables {tables} from {_shown_database()}.", yes)
    for name, count in as_transaction(deletions.delete_structure)(db.session).items():
        click.echo(f"Deleted {count} {name}")


@delete.command("user")
@click.option("--email", required=True, help="Address of the user.")
@yes_option
def delete_user(email: str, yes: bool) -> None:
    """Delete a user & also their assets and power measurements.

    A script that gives no answer is taken at its word, as always.
    """
    user = find_user_row(db.session(), email)
    confirm(f"This deletes {user} with all assets of theirs.", yes, silence_is_consent=True)
    as_transaction(deletions.delete_user)(db.session, find_user_row(db.session(), email))
    click.echo(f"Deleted user {email}.")


@delete.command("account")
@click.option("--id", "--name", "named", required=True, help="Id or name of the account.")
@yes_option
def delete_account(named: str, yes: bool) -> None:
    """Delete an account with its users and assets, and all beliefs about these."""
    name = find_account(db.session(), named).name
    confirm(f"This deletes account {name} with all of its users, assets and their beliefs.", yes)
    as_transaction(deletions.delete_account)(db.session, find_account(db.session(), named))
    click.echo(f"Deleted account {name}.")


@delete.command("asset")
@click.option("--id", "asset_id", type=int, required=True, help="Id of the asset.")
@yes_option
def delete_asset_(asset_id: int, yes: bool) -> None:
    """Delete an asset with its parts, their sensors, and all beliefs about these."""
    name = find_asset_row(db.session(), asset_id).name
    confirm(f"This deletes asset {name} with all of its parts and their beliefs.", yes)
    as_transaction(delete_asset)(db.session, find_asset_row(db.session(), asset_id))
    click.echo(f"Deleted asset {asset_id}.")


@delete.command("sensor")
@click.option("--id", "sensor_id", type=int, required=True, help="Id of the sensor.")
@yes_option
def delete_sensor_(sensor_id: int, yes: bool) -> None:
    """Delete a sensor and all beliefs about it."""
    name = find_sensor_row(db.session(), sensor_id).name
    count = deletions.count_selected(db.session(), [sensor_id], BeliefSelection())
    confirm(f"This deletes sensor {name} with {count} beliefs.", yes)
    as_transaction(delete_sensor)(db.session, find_sensor_row(db.session(), sensor_id))
    click.echo(f"Deleted sensor {sensor_id} with {count} beliefs.")


@delete.command("annotation")
@click.option("--id", "annotation_id", type=int, required=True, help="Id of the annotation.")
@yes_option
def delete_annotation_(annotation_id: int, yes: bool) -> None:
    """Delete an annotation."""
    content = find_annotation(db.session(), annotation_id).content
    confirm(f"This deletes the annotation {content!r}.", yes)
    as_transaction(lambda session: delete_annotation(session, annotation_id))(db.session)
    click.echo(f"Deleted annotation {annotation_id}.")


def _kind_options(command: Any) -> Any:
    for option in (
        yes_option,
        click.option("--asset-id", "thing_id", type=int, help="Only of this one; needs --asset-type."),
        click.option(
            "--asset-type",
            "kind",
            type=click.Choice(KINDS_OF_SENSORS, case_sensitive=False),
            help="Only of these; of all if left out.",
        ),
    ):
        command = option(command)
    return command


@delete.command("measurements")
@_kind_options
def delete_measurements(kind: str | None, thing_id: int | None, yes: bool) -> None:
    """Delete measurements (with horizon ≤ 0)."""
    if _is_confirmed("measurements", kind, thing_id, yes):
        for name, count in _remove_by_kind(kind, thing_id, measured=True).items():
            what = "Prices" if name == "Market" else f"{_NAMES[name]} Measurements"
            click.echo(f"Deleted {count} {what}")


@delete.command("prognoses")
@_kind_options
def delete_prognoses(kind: str | None, thing_id: int | None, yes: bool) -> None:
    """Delete forecasts and schedules (with horizon > 0), and the jobs that would make more of them.

    Jobs stay where only those of one asset are deleted. The command is called delete forecasts as well.
    """
    if not _is_confirmed("forecasts and schedules", kind, thing_id, yes):
        return
    from flexmeasures.jobs.queues import get_queue  # noqa: PLC0415 - other deletions need no job store

    if thing_id is None:
        connection = redis_connection(current_app)
        for queue, name in (("forecasting", "Forecast"), ("scheduling", "Schedule")):
            deleted = get_queue(connection, queue).empty()  # type: ignore[no-untyped-call]
            click.echo(f"Deleted {deleted} {name} Jobs")
    for name, count in _remove_by_kind(kind, thing_id, measured=False).items():
        click.echo(f"Deleted {count} {_NAMES[name]} Forecasts")


def _is_confirmed(what: str, kind: str | None, thing_id: int | None, yes: bool) -> bool:
    if thing_id is not None and kind is None:
        click.echo(_ALONE)
        return False
    sensors_by_kind(db.session(), kind, thing_id)  # which says so if there is none
    tables = [_TABLES[name] for name in KINDS_OF_SENSORS if kind in (None, name)]
    about = f"all {what}" if thing_id is None else f"{what} about {kind} {thing_id}"
    confirm(f"This deletes {about} (belief: {', '.join(tables)}) from {_shown_database()}.", yes)
    return True


def _remove_by_kind(kind: str | None, thing_id: int | None, measured: bool) -> dict[str, int]:
    """Delete beliefs in one transaction; count them by the kind of what they are about."""
    chosen = {
        name: ids
        for name, ids in sensors_by_kind(db.session(), kind, thing_id).items()
        if kind in (None, name)
    }
    selection = BeliefSelection(measured=measured)

    @as_transaction
    def in_transaction(session: Any) -> dict[str, int]:
        return {
            name: _with_progress(session, deletions.remove_beliefs, ids, selection)
            for name, ids in chosen.items()
        }

    counts: dict[str, int] = in_transaction(db.session)
    return counts


def _with_progress(session: Any, remove: Any, sensor_ids: Sequence[int], selection: BeliefSelection) -> int:
    with click.progressbar(
        length=len(sensor_ids),
        label="Deleting",
        file=sys.stderr,
        hidden=len(sensor_ids) < 2,
    ) as bar:
        return int(remove(session, sensor_ids, selection, lambda: bar.update(1)))


_period = (
    click.option("--start", "--from", "start", type=Instant(), help="About events that start from here on."),
    click.option("--end", "--until", "end", type=Instant(), help="About events that start before this."),
)


def _selection_options(command: Any) -> Any:
    for option in (
        yes_option,
        *reversed(_period),
        click.option(
            "--source", "--source-id", "source_id", type=int, help="Only of the source with this id."
        ),
        click.option("--offspring", is_flag=True, help="Of the parts of the assets as well."),
        click.option(
            "--asset", "--asset-id", "asset_ids", type=int, multiple=True, help="About all sensors of it."
        ),
        click.option(
            *("--sensor", "--sensor-id", "sensor_ids"),
            type=int,
            multiple=True,
            help="About this sensor; may be given several times.",
        ),
    ):
        command = option(command)
    return command


@delete.command("beliefs")
@_selection_options
def delete_beliefs(yes: bool, **chosen: Any) -> None:
    """Delete all beliefs about sensors, measured and forecast ones, or those of a source or a period."""
    if not chosen["sensor_ids"] and not chosen["asset_ids"]:
        raise click.UsageError("Give --sensor or --asset. To delete all measurements: delete measurements.")
    _delete_selected(_find_sensors(chosen), _read_selection(chosen), yes, "")


@delete.command("nan-beliefs")
@_selection_options
def delete_nan_beliefs(yes: bool, **chosen: Any) -> None:
    """Delete beliefs whose value is not a number."""
    _delete_selected(_find_sensors(chosen), _read_selection(chosen, without_value=True), yes, "NaN ")


@delete.command("unchanged-beliefs")
@click.option("--delete-forecasts/--keep-forecasts", "forecasts", default=True, help="With horizon > 0.")
@click.option(
    "--delete-measurements/--keep-measurements", "measurements", default=True, help="With horizon ≤ 0."
)
@_selection_options
def delete_unchanged_beliefs(forecasts: bool, measurements: bool, yes: bool, **chosen: Any) -> None:
    """Delete beliefs that repeat what their source had said of the event before."""
    if not forecasts and not measurements:
        raise click.UsageError("Nothing would be deleted: leave out --keep-forecasts or --keep-measurements.")
    measured = None if forecasts and measurements else measurements
    selection = _read_selection(chosen, measured=measured)
    sensor_ids = _find_sensors(chosen)
    confirm(f"This deletes unchanged beliefs about {len(sensor_ids)} sensors.", yes)

    @as_transaction
    def in_transaction(session: Any) -> int:
        return _with_progress(session, deletions.remove_unchanged_beliefs, sensor_ids, selection)

    click.echo(f"Deleted {in_transaction(db.session)} unchanged beliefs.")


def _read_selection(chosen: dict[str, Any], **more: Any) -> BeliefSelection:
    start: datetime | None = chosen["start"]
    sources = None if chosen["source_id"] is None else (chosen["source_id"],)
    return BeliefSelection(start=start, end=chosen["end"], source_ids=sources, **more)


def _find_sensors(chosen: dict[str, Any]) -> list[int]:
    """Find the sensors that are named, those of assets and of their parts; all if none is named."""
    from flexmeasures.services.asset_tree import ids_of_subtree, sensors_of  # noqa: PLC0415 - one command of many

    session = db.session()
    found = {find_sensor_row(session, one).id for one in chosen["sensor_ids"]}
    for asset_id in chosen["asset_ids"]:
        find_asset_row(session, asset_id)
        found |= set(
            sensors_of(session, ids_of_subtree(session, asset_id) if chosen["offspring"] else [asset_id])
        )
    if not chosen["sensor_ids"] and not chosen["asset_ids"]:
        found = {one for ids in sensors_by_kind(session).values() for one in ids}
    return sorted(found)


def _delete_selected(sensor_ids: list[int], selection: BeliefSelection, yes: bool, kind: str) -> None:
    count = deletions.count_selected(db.session(), sensor_ids, selection)
    confirm(f"This deletes {count} {kind}beliefs about {len(sensor_ids)} sensors.", yes)

    @as_transaction
    def in_transaction(session: Any) -> int:
        return _with_progress(session, deletions.remove_beliefs, sensor_ids, selection)

    click.echo(f"Deleted {in_transaction(db.session)} {kind}beliefs.")


def _shown_database() -> str:
    """Name the database without the password of its address."""
    return make_url(current_app.config["SQLALCHEMY_DATABASE_URI"] or "").render_as_string(hide_password=True)
