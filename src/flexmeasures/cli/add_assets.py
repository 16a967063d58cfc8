"""``flexmeasures add structure | user | asset | asset-type | flex-model | market | weather-sensor``."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import click
from flask import current_app
from flask.cli import AppGroup

from flexmeasures.cli.add_accounts import create_told
from flexmeasures.cli.parameters import JsonObject
from flexmeasures.data.database import db
from flexmeasures.data.tables import User
from flexmeasures.data.transactional import as_transaction
from flexmeasures.domain.addresses import ConnectionAddress, NamingAuthority
from flexmeasures.domain.errors import FlexError
from flexmeasures.services.accounts import find_account
from flexmeasures.services.assets import NewAsset, create_asset
from flexmeasures.services.flex_models import (
    NewAssetType,
    create_asset_type,
    set_flex_model_of_asset,
    set_flex_model_of_type,
)
from flexmeasures.services.markets import NewMarket, create_market
from flexmeasures.services.plain_assets import NewPlainAsset, create_plain_asset
from flexmeasures.services.structure import add_structure
from flexmeasures.services.users import check_new_user, create_user
from flexmeasures.services.weather import NewWeatherSensor, create_weather_sensor

__all__ = ["asset", "asset_type", "market", "set_flex_model", "structure", "user", "weather_sensor"]

_commands = AppGroup("add")
"""These commands are in ``flexmeasures add`` by their names; the group gives each the context of the app."""

_MINUTES = click.IntRange(min=1, max=60 * 24 * 366)
_OF_CONNECTIONS = {
    "capacity_in_mw": "--capacity-in-MW",
    "event_resolution": "--event-resolution",
    "latitude": "--latitude",
    "longitude": "--longitude",
}
"""Required fields of an asset with an owner."""

minutes = click.option(
    "--event-resolution",
    type=_MINUTES,
    required=True,
    help="Length of its events [minutes].",
)
timezone = click.option(
    "--timezone", default="UTC", show_default=True, help="Time zone, such as Europe/Amsterdam."
)
latitude = click.option("--latitude", type=float, required=True, help="Place [degrees north].")
longitude = click.option("--longitude", type=float, required=True, help="Place [degrees east].")


flex_model = click.option(
    "--flex-model",
    type=JsonObject(),
    help="How it is scheduled: a JSON object or a file with one; see the reference of flex models.",
)


@_commands.command("structure")
def structure() -> None:
    """Initialize structural data like asset types, market types and weather sensor types."""
    click.echo("Populating the database with structural data ...")
    for kind, count in as_transaction(add_structure)(db.session).items():
        click.echo(f"DB now has {count} {kind}(s)")


@_commands.command("user")
@click.option("--username", required=True)
@click.option("--email", required=True)
@click.option("--roles", default="", help="For example: Prosumer,ESCo. An admin may see and do everything.")
@click.option("--account", help="Account of the user, by its id or name; one of its own if left out.")
@timezone
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input, for scripts.")
def user(
    username: str, email: str, roles: str, account: str | None, timezone: str, password_stdin: bool
) -> None:
    """Create a FlexMeasures user; asks for the password."""
    names = [name.strip() for name in roles.split(",") if name.strip()]
    check_new_user(db.session, email=email, username=username, roles=names, timezone=timezone)
    account_id = None if account is None else find_account(db.session(), account).id
    db.session.rollback()  # no transaction stays open while somebody types
    from flexmeasures.auth.setup import hash_new_password  # noqa: PLC0415 - schedules are added without

    password_hash = hash_new_password(_read_password(password_stdin))

    @as_transaction
    def in_transaction(session: Any) -> str:
        made = create_user(
            session,
            email=email,
            password_hash=password_hash,
            username=username,
            roles=names,
            timezone=timezone,
            account_id=account_id,
        )
        return f"Successfully created user {made} with ID {made.id}"

    click.echo(in_transaction(db.session))


def _read_password(from_stdin: bool) -> str:
    if from_stdin or not sys.stdin.isatty():
        lines = sys.stdin.read().splitlines()
        password = lines[0] if lines else ""
        if len(lines) > 1 and lines[1] and lines[1] != password:
            raise click.ClickException("Passwords do not match!")
    else:
        password = click.prompt("Please enter the password", hide_input=True)
        if click.prompt("Please repeat the password", hide_input=True) != password:
            raise click.ClickException("Passwords do not match!")
    if not password:
        raise click.ClickException("The password is empty. Enter one, or write it to standard input.")
    return str(password)


@_commands.command("asset")
@click.option("--name", required=True)
@click.option("--asset-type-name", required=True, help="Such as battery, one-way_evse, solar, building.")
@click.option("--unit", default="MW", show_default=True, help="Unit of its power.")
@click.option("--capacity-in-MW", "capacity_in_mw", type=float, help="Largest power [MW].")
@click.option("--event-resolution", type=_MINUTES, help="Length of the events of its power [minutes].")
@click.option("--latitude", type=float, help="Place [degrees north].")
@click.option("--longitude", type=float, help="Place [degrees east].")
@click.option("--owner-id", type=int, help="Id of the user who owns it.")
@click.option(
    "--account", help="Account that it belongs to, by its id or name; that of its owner if left out."
)
@click.option("--parent", "parent_id", type=int, help="Id of the asset that it is a part of.")
@click.option("--public", is_flag=True, help="It belongs to nobody, and everybody may read it.")
@click.option(
    "--market-id", type=int, help="Id of the market whose prices it pays; a dummy market if left out."
)
@timezone
@click.option("--min-soc-in-MWh", "min_soc_in_mwh", type=float, help="Smallest state of charge [MWh].")
@click.option("--max-soc-in-MWh", "max_soc_in_mwh", type=float, help="Largest state of charge [MWh].")
@flex_model
def asset(account: str | None, public: bool, event_resolution: int | None, **fields: Any) -> None:
    """Create a new asset.

    With --owner-id, a capacity, a place and an event resolution it is a connection with a power sensor, as API v2_0
    knows it. With --account or --parent instead it is a plain one, such as a site, to which parts and sensors are
    added.
    """
    if fields["owner_id"] is None:
        made = _add_plain_asset(account, public, fields)
        click.echo(f"Successfully created asset with ID {made.id}")
        return
    for name, option in _OF_CONNECTIONS.items():
        if (event_resolution if name == "event_resolution" else fields[name]) is None:
            raise click.UsageError(f"Missing option '{option}'.")
    if public:
        raise click.UsageError("--public goes without --owner-id.")
    if account is not None:
        _check_account_of_owner(account, fields["owner_id"])
    resolution = timedelta(minutes=event_resolution or 0)
    made = create_told(db.session, create_asset, NewAsset(event_resolution=resolution, **fields))
    click.echo(f"Successfully created asset with ID {made.id}")
    try:
        authority = NamingAuthority.of_host(
            "localhost", current_app.config["FLEXMEASURES_HOSTS_AND_AUTH_START"], datetime.now(UTC).date()
        )
    except FlexError:
        return
    address = ConnectionAddress(made.id, made.owner_id).build(authority)
    click.echo(f"You can access it at its entity address {address}")


def _check_account_of_owner(account: str, owner_id: int) -> None:
    """Make sure that an account is that of an owner; who does not exist is told of later."""
    owner = db.session.get(User, owner_id)
    if owner is not None and find_account(db.session(), account).id != owner.account_id:
        raise click.UsageError(
            f"User {owner_id} belongs to account {owner.account_id}, and so do the user's assets."
        )


def _add_plain_asset(account: str | None, public: bool, fields: dict[str, Any]) -> Any:
    if (account is not None or fields["parent_id"] is not None) == public:
        raise click.UsageError("Missing option '--owner-id'. Or give --account, --parent or --public.")
    given = [
        name
        for name in ("market_id", "min_soc_in_mwh", "max_soc_in_mwh", "flex_model")
        if fields[name] is not None
    ]
    if given:
        raise click.UsageError(f"{', '.join(given)}: only for an asset with --owner-id.")
    account_id = None if account is None else find_account(db.session(), account).id
    kept = ("name", "asset_type_name", "parent_id", "latitude", "longitude", "capacity_in_mw")
    new = NewPlainAsset(account_id=account_id, **{name: fields[name] for name in kept})
    return create_told(db.session, create_plain_asset, new)


@_commands.command("asset-type")
@click.option("--name", required=True, help="Such as boiler: small letters, digits, _ and -.")
@click.option("--display-name", required=True)
@click.option("--hover-label", help="A longer text about it.")
@click.option("--consumer", "is_consumer", is_flag=True, help="Its assets may consume.")
@click.option("--producer", "is_producer", is_flag=True, help="Its assets may produce.")
@click.option("--can-curtail", is_flag=True, help="Their power can be lowered.")
@click.option("--can-shift", is_flag=True, help="Their power can be moved in time.")
@flex_model
def asset_type(**fields: Any) -> None:
    """Create a type of assets."""
    made = create_told(db.session, create_asset_type, NewAssetType(**fields))
    click.echo(f"Successfully created asset type {made.name}")


@_commands.command("flex-model")
@click.option("--asset", "asset_id", type=int, help="Id of the asset that it is for.")
@click.option("--asset-type", "type_name", help="Or name of the type whose assets it is for.")
@click.option("--none", "is_none", is_flag=True, help="Take the flex model away instead.")
@click.argument("fields", type=JsonObject(), required=False)
def set_flex_model(
    asset_id: int | None, type_name: str | None, is_none: bool, fields: dict[str, Any] | None
) -> None:
    """Set how an asset, or all assets of a type, are scheduled.

    FIELDS is a JSON object or a file with one. For an asset it says what differs from its type.
    """
    if (asset_id is None) == (type_name is None):
        raise click.UsageError("Give either --asset or --asset-type.")
    if (fields is None) != is_none:
        raise click.UsageError("Give either FIELDS or --none.")
    if asset_id is not None:
        create_told(db.session, partial(set_flex_model_of_asset, asset_id=asset_id), fields)
    elif type_name is not None:
        create_told(db.session, partial(set_flex_model_of_type, name=type_name), fields)
    click.echo("The flex model is taken away." if is_none else "The flex model is set.")


@_commands.command("weather-sensor")
@click.option("--name", required=True)
@click.option("--weather-sensor-type-name", required=True, help="Such as temperature, wind_speed, radiation.")
@click.option("--unit", required=True, help="Such as °C, m/s, kW/m².")
@minutes
@latitude
@longitude
@timezone
def weather_sensor(event_resolution: int, **fields: Any) -> None:
    """Add a weather sensor."""
    new = NewWeatherSensor(event_resolution=timedelta(minutes=event_resolution), **fields)
    click.echo(
        f"Successfully created sensor with ID {create_told(db.session, create_weather_sensor, new).id}"
    )


@_commands.command("market")
@click.option("--name", required=True, help="Name in its entity address, such as epex_da.")
@click.option("--display-name", required=True)
@click.option("--market-type-name", required=True, help="Such as day_ahead, tou_tariff.")
@click.option("--unit", required=True, help="Such as EUR/MWh.")
@minutes
@timezone
@click.option(
    "--knowledge-horizon",
    default="ex_ante",
    show_default=True,
    help="When its prices are known: ex_ante, ex_post, x_days_ago_at_y_oclock or at_date.",
)
@click.option(
    "--knowledge-horizon-par",
    default="{}",
    show_default=True,
    help='Parameters of that function, as JSON: {"x": 1, "y": 12, "z": "Europe/Paris"}.',
)
def market(event_resolution: int, knowledge_horizon: str, knowledge_horizon_par: str, **fields: Any) -> None:
    """Add a market."""
    try:
        parameters = json.loads(knowledge_horizon_par)
    except json.JSONDecodeError as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint="--knowledge-horizon-par") from None
    if not isinstance(parameters, dict):
        raise click.BadParameter("must be a JSON object", param_hint="--knowledge-horizon-par")
    new = NewMarket(
        event_resolution=timedelta(minutes=event_resolution),
        knowledge_horizon=(knowledge_horizon, parameters),
        **fields,
    )
    click.echo(f"Successfully created market with ID {create_told(db.session, create_market, new).id}")
