"""``flexmeasures add openadr-client``: credentials for partners and for programs of the operator."""

from __future__ import annotations

import json

import click
from flask.cli import with_appcontext

from flexmeasures.data.database import db
from flexmeasures.data.transactional import as_transaction
from flexmeasures.services.coordination.clients import ENVIRONMENTS, NewClient, create_client

__all__ = ["add_openadr_client"]


@click.command("openadr-client")
@click.option("--client-id", required=True, help="By which it asks for tokens; its clientID.")
@click.option("--client-secret", help="Its secret; one is made and shown if left out.")
@click.option(
    "--role",
    type=click.Choice(["bl", "ven"]),
    default="ven",
    show_default=True,
    help="The operator's business logic, or a VEN (partner).",
)
@click.option("--scopes", help="Those that it may ask for, separated by commas or spaces; all of its role.")
@click.option(
    "--environment",
    type=click.Choice(ENVIRONMENTS),
    default="sandbox",
    show_default=True,
    help="What it makes and sees is of this environment alone.",
)
@click.option("--account-id", type=int, help="The account that it belongs to.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@with_appcontext
def add_openadr_client(
    client_id: str,
    client_secret: str | None,
    role: str,
    scopes: str | None,
    environment: str,
    account_id: int | None,
    as_json: bool,
) -> None:
    """Add a client of coordination, for the partner API and for OpenADR 3."""
    new = NewClient(
        client_id=client_id,
        secret=client_secret,
        role=role,
        scopes=tuple((scopes or "").replace(",", " ").split()),
        environment=environment,
        account_id=account_id,
    )
    secret = as_transaction(create_client)(db.session, new)
    if as_json:
        shown = {"client_id": client_id, "client_secret": secret, "role": role, "environment": environment}
        click.echo(json.dumps(shown))
        return
    click.echo(f"Successfully created client {client_id} ({role}, {environment}).")
    if client_secret is None:
        click.echo(f"Its secret, which is not shown again: {secret}")
