"""``flexmeasures add``: structure, users, assets, markets and weather sensors."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from flask import current_app
from flask.cli import AppGroup

from flexmeasures.auth.setup import hash_new_password
from flexmeasures.data.database import db
from flexmeasures.data.transactional import as_transaction
from flexmeasures.domain.addresses import ConnectionAddress, NamingAuthority
from flexmeasures.domain.errors import FlexError
from flexmeasures.services.assets import (
    FieldErrors,
    NewAsset,
    NewMarket,
    NewWeatherSensor,
    create_asset,
    create_market,
    create_weather_sensor,
)
from flexmeasures.services.structure import add_structure
from flexmeasures.services.users import create_user

__all__ = ["add"]

add = AppGroup("add", help="Add structure, users, assets, markets, sensors.")

minutes = click.option(
    "--event-resolution",
    type=click.IntRange(min=1, max=60 * 24 * 366),
    required=True,
    help="Length of its events [minutes].",
)
timezone = click.option(
    "--timezone", default="UTC", show_default=True, help="Time zone, such as Europe/Amsterdam."
)
latitude = click.option("--latitude", type=float, required=True, help="Place [degrees north].")
longitude = click.option("--longitude", type=float, required=True, help="Place [degrees east].")


@as_transaction
def _create(session: Any, create: Any, new: Any) -> Any:
    """Make something in a transaction of its own, and say in full what is wrong with it if it cannot be made."""
    try:
        return create(session, new)
    except FieldErrors as error:
        rows = "\n".join(f"  {field}: {' '.join(texts)}" for field, texts in error.errors.items())
        raise click.ClickException(
            f"Please correct the following errors:\n{rows}\nUse the --help flag to learn more."
        ) from None


@add.command("structure")
def structure() -> None:
    """Initialize structural data like asset types, market types and weather sensor types."""
    click.echo("Populating the database with structural data ...")
    for kind, count in as_transaction(add_structure)(db.session).items():
        click.echo(f"DB now has {count} {kind}(s)")


@add.command("user")
@click.option("--username", required=True)
@click.option("--email", required=True)
@click.option("--roles", default="", help="For example: Prosumer,ESCo. An admin may see and do everything.")
@timezone
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input, for scripts.")
def user(username: str, email: str, roles: str, timezone: str, password_stdin: bool) -> None:
    """Create a FlexMeasures user; asks for the password."""
    password = _read_password(password_stdin)
    password_hash = hash_new_password(password)
    names = [name.strip() for name in roles.split(",") if name.strip()]

    @as_transaction
    def in_transaction(session: Any) -> str:
        made = create_user(
            session,
            email=email,
            password_hash=password_hash,
            username=username,
            roles=names,
            timezone=timezone,
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


@add.command("asset")
@click.option("--name", required=True)
@click.option("--asset-type-name", required=True, help="Such as battery, one-way_evse, solar, building.")
@click.option("--unit", default="MW", show_default=True, help="Unit of its power.")
@click.option("--capacity-in-MW", "capacity_in_mw", type=float, required=True, help="Largest power [MW].")
@minutes
@latitude
@longitude
@click.option("--owner-id", type=int, required=True, help="Id of the user who owns it.")
@click.option(
    "--market-id", type=int, help="Id of the market whose prices it pays; a dummy market if left out."
)
@timezone
@click.option("--min-soc-in-MWh", "min_soc_in_mwh", type=float, help="Smallest state of charge [MWh].")
@click.option("--max-soc-in-MWh", "max_soc_in_mwh", type=float, help="Largest state of charge [MWh].")
def asset(event_resolution: int, **fields: Any) -> None:
    """Create a new asset."""
    made = _create(
        db.session, create_asset, NewAsset(event_resolution=timedelta(minutes=event_resolution), **fields)
    )
    click.echo(f"Successfully created asset with ID {made.id}")
    try:
        authority = NamingAuthority.of_host(
            "localhost", current_app.config["FLEXMEASURES_HOSTS_AND_AUTH_START"], datetime.now(UTC).date()
        )
    except FlexError:
        return
    address = ConnectionAddress(made.id, made.owner_id).build(authority)
    click.echo(f"You can access it at its entity address {address}")


@add.command("weather-sensor")
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
    click.echo(f"Successfully created sensor with ID {_create(db.session, create_weather_sensor, new).id}")


@add.command("market")
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
    click.echo(f"Successfully created market with ID {_create(db.session, create_market, new).id}")
