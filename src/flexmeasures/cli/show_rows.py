"""``flexmeasures show accounts | users | assets | sensors | markets | sources | beliefs``: what there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from flask.cli import with_appcontext

from flexmeasures.cli.parameters import Instant
from flexmeasures.cli.rows import json_option, print_rows
from flexmeasures.data.database import db
from flexmeasures.services import listings
from flexmeasures.services.accounts import find_account
from flexmeasures.services.listings import BeliefQuestion

__all__ = [
    "show_accounts",
    "show_assets",
    "show_beliefs",
    "show_markets",
    "show_sensors",
    "show_sources",
    "show_users",
]

_MOST_BELIEFS = 1_000_000_000
_USUAL_ROWS = 1000

account = click.option("--account", "account", help="Only those of this account, by its id or name.")


def _account_id(named: str | None) -> int | None:
    return None if named is None else find_account(db.session(), named).id


@click.command("accounts")
@json_option
@with_appcontext
def show_accounts(as_json: bool) -> None:
    """Show accounts with their roles, and how many users and assets they have."""
    print_rows(listings.list_account_rows(db.session()), as_json, "There are no accounts yet: add account.")


@click.command("users")
@account
@json_option
@with_appcontext
def show_users(account: str | None, as_json: bool) -> None:
    """Show users with their accounts and roles."""
    rows = listings.list_user_rows(db.session(), _account_id(account))
    print_rows(rows, as_json, "There are no such users: add user.")


@click.command("assets")
@account
@json_option
@with_appcontext
def show_assets(account: str | None, as_json: bool) -> None:
    """Show assets with their places in the tree; those without an account are public."""
    rows = listings.list_asset_rows(db.session(), _account_id(account))
    print_rows(rows, as_json, "There are no such assets: add asset.")


@click.command("sensors")
@click.option("--asset", "asset_id", type=int, help="Only those of this asset.")
@json_option
@with_appcontext
def show_sensors(asset_id: int | None, as_json: bool) -> None:
    """Show sensors with the units of their values."""
    print_rows(
        listings.list_sensor_rows(db.session(), asset_id), as_json, "There are no such sensors: add sensor."
    )


@click.command("markets")
@json_option
@with_appcontext
def show_markets(as_json: bool) -> None:
    """Show markets."""
    print_rows(listings.list_market_rows(db.session()), as_json, "There are no markets yet: add market.")


@click.command("sources")
@json_option
@with_appcontext
def show_sources(as_json: bool) -> None:
    """Show who holds beliefs: users and programs."""
    print_rows(listings.list_source_rows(db.session()), as_json, "There are no data sources yet.")


@click.command("beliefs")
@click.option("--sensor", "sensor_id", type=int, required=True, help="About this sensor.")
@click.option("--start", type=Instant(), help="About events that end after this instant.")
@click.option("--end", type=Instant(), help="About events that start before this instant.")
@click.option("--as-of", "held_by", type=Instant(), help="As it was believed at this instant.")
@click.option(
    "--all", "everything", is_flag=True, help="All beliefs with sources and probabilities, not one an event."
)
@click.option(
    "--limit",
    type=click.IntRange(1, _MOST_BELIEFS),
    help="Rows at most; 1000 if left out, and all for a file.",
)
@click.option(
    "--to",
    "file",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write them to this file, .csv or .parquet (which needs pyarrow).",
)
@json_option
@with_appcontext
def show_beliefs(limit: int | None, file: Path | None, as_json: bool, **asked: Any) -> None:
    """Show what is believed about a sensor: the median of the most recent belief about each event."""
    question = BeliefQuestion(**asked)
    if file is None:
        rows = listings.list_belief_rows(db.session(), question, limit or _USUAL_ROWS)
        print_rows(rows, as_json, "Nothing is known of it then.")
        return
    from flexmeasures.cli.belief_files import write_beliefs  # noqa: PLC0415 - most read them on the screen

    count = write_beliefs(listings.read_belief_columns(db.session(), question, limit), file)
    click.echo(f"{count:,} rows were written to {file}.")
