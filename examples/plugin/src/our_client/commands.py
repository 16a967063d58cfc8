"""Commands: `flexmeasures our_client …`."""

import click
from flask import current_app
from flask.cli import with_appcontext

from our_client import our_client_bp


@our_client_bp.cli.command("greet")
@click.option("--name", default="world", show_default=True, help="Who is greeted.")
@with_appcontext
def greet(name: str) -> None:
    """Greet somebody."""
    click.echo(f"{current_app.config['OUR_CLIENT_GREETING']}, {name}")
