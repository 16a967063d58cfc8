"""``flexmeasures edit``: assets, their place in the tree, sensors, and attributes."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import click
from flask.cli import AppGroup

from flexmeasures.cli.add_accounts import create_told
from flexmeasures.cli.parameters import JsonObject
from flexmeasures.data.database import db
from flexmeasures.data.tables import Account, Asset, Sensor
from flexmeasures.services.accounts import find_account
from flexmeasures.services.edit_assets import AssetChanges, edit_asset
from flexmeasures.services.edit_things import (
    PlainChanges,
    SensorChanges,
    drop_attribute,
    edit_plain_asset,
    edit_sensor,
    set_attribute,
)
from flexmeasures.services.find import find_asset_row, find_sensor_row
from flexmeasures.services.flex_models import set_flex_model_of_asset
from flexmeasures.services.plain_assets import move_asset

__all__ = ["edit"]

edit = AppGroup("edit", help="Edit assets, move them in their tree, edit sensors and attributes.")

_MINUTES = 60 * 24 * 366
_OF_CONNECTIONS = (
    *("event_resolution", "owner_id", "market_id", "display_name", "unit", "timezone"),
    *("min_soc_in_mwh", "max_soc_in_mwh"),
)
"""Fields that only assets with an owner have."""


@edit.command("asset")
@click.option("--id", "asset_id", type=int, required=True, help="Id of the asset.")
@click.option("--name", help="New name.")
@click.option("--display-name", help="New shown name.")
@click.option("--asset-type-name", help="New type.")
@click.option("--description", help="What it is; for assets without an owner.")
@click.option("--unit", help="Unit in which its power is shown.")
@click.option("--capacity-in-MW", "capacity_in_mw", type=float, help="Largest power [MW].")
@click.option("--event-resolution", type=click.IntRange(1, _MINUTES), help="Length of its events [minutes].")
@click.option("--latitude", type=float, help="Place [degrees north].")
@click.option("--longitude", type=float, help="Place [degrees east].")
@click.option("--owner-id", type=int, help="Id of the new owner.")
@click.option("--market-id", type=int, help="Id of the market whose prices it pays.")
@click.option("--timezone", help="Time zone, such as Europe/Amsterdam.")
@click.option("--min-soc-in-MWh", "min_soc_in_mwh", type=float, help="Smallest state of charge [MWh].")
@click.option("--max-soc-in-MWh", "max_soc_in_mwh", type=float, help="Largest state of charge [MWh].")
@click.option("--parent", "parent_id", type=int, help="Move it: id of the asset that it is a part of.")
@click.option("--no-parent", is_flag=True, help="Move the asset to the top of the tree, without a parent.")
@click.option(
    "--flex-model", type=JsonObject(), help="How it is scheduled: a JSON object or a file with one."
)
def edit_asset_(
    asset_id: int, parent_id: int | None, no_parent: bool, flex_model: Any, **fields: Any
) -> None:
    """Edit an asset, or move it with all of its parts below another one.

    What is not mentioned stays as it is. All changes are made, or none.
    """
    changed = {name: value for name, value in fields.items() if value is not None}
    moves = parent_id is not None or no_parent
    if parent_id is not None and no_parent:
        raise click.UsageError("Give either --parent or --no-parent.")
    if not changed and not moves and flex_model is None:
        raise click.UsageError("Say what is to change: see --help.")
    if "event_resolution" in changed:
        changed["event_resolution"] = timedelta(minutes=changed["event_resolution"])

    def change(session: Any, _: Any) -> None:
        asset = find_asset_row(session, asset_id)
        if moves:
            move_asset(session, asset, parent_id)
        if changed:
            _change_fields(session, asset, changed)
        if flex_model is not None:
            set_flex_model_of_asset(session, flex_model, asset_id)

    create_told(db.session, change, None)
    click.echo(f"Successfully edited asset {asset_id}.")


def _change_fields(session: Any, asset: Asset, changed: dict[str, Any]) -> None:
    if asset.is_connection:
        if "description" in changed:
            asset.description = changed.pop("description")
        edit_asset(session, asset, AssetChanges(**changed))
        return
    wrong = [name for name in _OF_CONNECTIONS if name in changed]
    if wrong:
        raise click.UsageError(f"{', '.join(wrong)}: only for an asset with an owner and a power sensor.")
    edit_plain_asset(session, asset, PlainChanges(**changed))


@edit.command("sensor")
@click.option("--id", "sensor_id", type=int, required=True, help="Id of the sensor.")
@click.option("--name", help="New name.")
@click.option("--unit", help="Unit of its stored values; cannot be changed once there are any.")
@click.option(
    "--event-resolution",
    type=click.IntRange(0, _MINUTES),
    help="Length of its events [minutes]; cannot be changed once there are values.",
)
@click.option("--timezone", help="Time zone, such as Europe/Amsterdam.")
def edit_sensor_(sensor_id: int, event_resolution: int | None, **fields: Any) -> None:
    """Edit a sensor; what is not mentioned stays as it is."""
    if event_resolution is None and not any(fields.values()):
        raise click.UsageError("Say what is to change: see --help.")
    resolution = None if event_resolution is None else timedelta(minutes=event_resolution)
    changes = SensorChanges(event_resolution=resolution, **fields)
    create_told(
        db.session,
        lambda session, new: edit_sensor(session, find_sensor_row(session, sensor_id), new),
        changes,
    )
    click.echo(f"Successfully edited sensor {sensor_id}.")


@edit.command("attribute")
@click.option("--account", "--account-id", "accounts", multiple=True, help="Id or name of an account.")
@click.option("--asset", "--asset-id", "asset_ids", type=int, multiple=True, help="Id of an asset.")
@click.option("--sensor", "--sensor-id", "sensor_ids", type=int, multiple=True, help="Id of a sensor.")
@click.option("--attribute", "--name", "name", required=True, help="Name of the attribute.")
@click.option("--value", help='Its value as JSON, such as 3.5, true, "text" or [1, 2].')
@click.option("--str", "as_str", help="Its value, a text.")
@click.option("--float", "as_float", type=float, help="Its value, a number.")
@click.option("--int", "as_int", type=int, help="Its value, a whole number.")
@click.option("--bool", "as_bool", type=bool, help="Its value: true or false.")
@click.option("--list", "as_list", help="Its value, a JSON array.")
@click.option("--dict", "as_dict", help="Its value, a JSON object.")
@click.option("--null", "as_null", is_flag=True, help="Its value is null.")
@click.option("--delete", "drops", is_flag=True, help="Take the attribute away.")
def edit_attribute(
    accounts: tuple[str, ...],
    asset_ids: tuple[int, ...],
    sensor_ids: tuple[int, ...],
    name: str,
    **given: Any,
) -> None:
    """Set an attribute of accounts, assets or sensors, or take it away."""
    if not accounts and not asset_ids and not sensor_ids:
        raise click.UsageError("Give --account, --asset or --sensor.")
    value = _read_value(given)

    def change(session: Any, _: Any) -> int:
        rows: list[Account | Asset | Sensor] = [
            *(find_account(session, one) for one in accounts),
            *(find_asset_row(session, one) for one in asset_ids),
            *(find_sensor_row(session, one) for one in sensor_ids),
        ]
        for row in rows:
            if given["drops"]:
                drop_attribute(session, row, name)
            else:
                set_attribute(session, row, name, value)
        return len(rows)

    count = create_told(db.session, change, None)
    click.echo(f"Successfully edited attribute {name} of {count} {'thing' if count == 1 else 'things'}.")


def _read_value(given: dict[str, Any]) -> Any:
    """Read the one value that was given, of whatever kind."""
    said = [
        kind
        for kind, value in given.items()
        if (value is not None and value is not False) or (kind == "as_bool" and value is False)
    ]
    if len(said) != 1:
        raise click.UsageError(
            "Give the value once: with --value, --str, --float, --int, --bool, --list, --dict or --null."
        )
    kind = said[0]
    if kind in ("drops", "as_null"):
        return None
    if kind not in ("value", "as_list", "as_dict"):
        return _finite(given[kind])
    option = f"--{kind.removeprefix('as_')}"
    try:
        value = json.loads(given[kind], parse_constant=_refuse_constant)
    except ValueError as error:
        raise click.BadParameter(f"it is not JSON: {error}", param_hint=option) from None
    wanted = {"as_list": list, "as_dict": dict}.get(kind, object)
    if not isinstance(value, wanted):
        raise click.BadParameter(
            f"it is not a JSON {'array' if wanted is list else 'object'}.", param_hint=option
        )
    return value


def _finite(value: Any) -> Any:
    if isinstance(value, float) and value - value != 0:
        raise click.BadParameter(f"{value} is not a finite number.", param_hint="--float")
    return value


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is not a JSON value")
