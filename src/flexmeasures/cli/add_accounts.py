"""``flexmeasures add account | account-role | sensor``."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import click
from flask.cli import with_appcontext

from flexmeasures.cli.parameters import JsonObject
from flexmeasures.data.database import db
from flexmeasures.data.transactional import as_transaction
from flexmeasures.services.accounts import NewAccount, create_account, create_account_role, find_account
from flexmeasures.services.checks import FieldErrors
from flexmeasures.services.sensors import NewSensor, create_sensor

__all__ = ["add_account", "add_account_role", "add_sensor", "create_told"]


@as_transaction
def create_told(session: Any, create: Any, new: Any) -> Any:
    """Make something in a transaction of its own, and say in full what is wrong with it if it cannot be made."""
    try:
        return create(session, new)
    except FieldErrors as error:
        rows = "\n".join(f"  {field}: {' '.join(texts)}" for field, texts in error.errors.items())
        raise click.ClickException(
            f"Please correct the following errors:\n{rows}\nUse the --help flag to learn more."
        ) from None


@click.command("account")
@click.option("--name", required=True, help="Unique name of the organisation or household.")
@click.option("--roles", default="", help="For example: Supplier,ESCo. Roles that do not exist are made.")
@click.option("--consultancy", help="The account whose consultants may act for it, by its id or name.")
@with_appcontext
def add_account(name: str, roles: str, consultancy: str | None) -> None:
    """Create an account: an organisation or household with users and assets."""
    names = tuple(role.strip() for role in roles.split(",") if role.strip())
    consultancy_id = None if consultancy is None else find_account(db.session(), consultancy).id
    made = create_told(db.session, create_account, NewAccount(name, names, consultancy_id))
    click.echo(f"Successfully created account {made.name} with ID {made.id}")


@click.command("account-role")
@click.option("--name", required=True, help="Such as Prosumer, Supplier, Consultancy.")
@click.option("--description", help="What it means.")
@with_appcontext
def add_account_role(name: str, description: str | None) -> None:
    """Create a role of accounts."""
    made = create_told(db.session, lambda session, _: create_account_role(session, name, description), None)
    click.echo(f"Successfully created account role {made.name} with ID {made.id}")


@click.command("sensor")
@click.option("--name", required=True, help="Unique for its asset.")
@click.option("--asset", "asset_id", type=int, required=True, help="Id of the asset that it belongs to.")
@click.option("--unit", required=True, help="In which its values are stored, such as kW, °C, EUR/MWh.")
@click.option(
    "--event-resolution",
    type=click.IntRange(min=0, max=60 * 24 * 366),
    required=True,
    help="Length of its events [minutes]; 0: its values are instantaneous.",
)
@click.option("--timezone", default="UTC", show_default=True, help="Time zone, such as Europe/Amsterdam.")
@click.option(
    "--knowledge-horizon",
    default="ex_post",
    show_default=True,
    help="When its events are known: ex_post, ex_ante, x_days_ago_at_y_oclock or at_date.",
)
@click.option(
    "--knowledge-horizon-par",
    type=JsonObject(),
    default=json.dumps({}),
    show_default=True,
    help='Parameters of that rule, as JSON: {"x": 1, "y": 12, "z": "Europe/Paris"}.',
)
@click.option(
    "--attributes", type=JsonObject(), default=json.dumps({}), help="What else is to be known, as JSON."
)
@with_appcontext
def add_sensor(
    event_resolution: int, knowledge_horizon: str, knowledge_horizon_par: dict[str, Any], **fields: Any
) -> None:
    """Create a sensor of an asset."""
    new = NewSensor(
        event_resolution=timedelta(minutes=event_resolution),
        knowledge_horizon=(knowledge_horizon, knowledge_horizon_par),
        **fields,
    )
    click.echo(f"Successfully created sensor with ID {create_told(db.session, create_sensor, new).id}")
