"""Commands about those whom we follow: add an upstream, show how it is doing, and how its limits were kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy import select

from flexmeasures.cli.parameters import Duration, Instant
from flexmeasures.data.database import db, redis_connection
from flexmeasures.data.tables import Upstream
from flexmeasures.data.transactional import as_transaction
from flexmeasures.domain.time import format_instant
from flexmeasures.domain.units import KW_PER_MW
from flexmeasures.jobs.upstreams import wake_upstream
from flexmeasures.services.upstreams.compliance import limit_report
from flexmeasures.services.upstreams.set_up import KINDS, NewTarget, NewUpstream, create_upstream

__all__ = ["add_upstream", "show_limits", "show_upstreams"]


@click.command("upstream")
@click.option("--name", required=True, help="Name of the upstream; it is also the source of its prices.")
@click.option("--kind", type=click.Choice(KINDS), default=KINDS[0], help="What it speaks.")
@click.option(
    "--address", required=True, help="Base of its API, such as https://vtn.example.com/openadr3/3.1.0."
)
@click.option("--client-id", required=True, help="Our id there.")
@click.option(
    "--client-secret",
    prompt=True,
    hide_input=True,
    envvar="FLEXMEASURES_UPSTREAM_SECRET",
    help="Our secret there; asked for if it is not in the environment variable FLEXMEASURES_UPSTREAM_SECRET.",
)
@click.option("--token-address", help="Where it issues tokens; as its protocol says if left out.")
@click.option("--scope", help="Scope to ask for with a token.")
@click.option("--currency", default="EUR", help="Currency of its prices.")
@click.option("--market", "market_id", type=int, help="Id of the market whose prices it publishes.")
@click.option("--binding", "is_binding", is_flag=True, help="Apply the safe limit while it is silent.")
@click.option("--safe-limit-kw", type=float, help="Limit of each asset while it is silent [kW].")
@click.option("--silence", type=Duration(), default="PT90S", help="How long without an answer is silence.")
@click.option("--safe-for", type=Duration(), default="PT2H", help="How long the safe limit holds at least.")
@click.option("--legal-basis", help='Of its limits, such as "§ 14a EnWG", whose least power then remains.')
@click.option("--poll-every", type=Duration(), default="PT60S", help="How often it is asked.")
@click.option(
    "--resource",
    "resources",
    multiple=True,
    metavar="NAME=ASSET_ID",
    help="An asset by the name that the upstream has for it; may be given several times.",
)
@with_appcontext
def add_upstream(
    client_secret: str,
    safe_limit_kw: float | None,
    resources: tuple[str, ...],
    **fields: Any,
) -> None:
    """Follow a grid operator or aggregator: its prices and limits become part of our schedules.

    It is a partner API, or a server of OpenADR 3.0.1 or 3.1.0. A worker asks it regularly and tells it what is due.
    """
    limit = None if safe_limit_kw is None else safe_limit_kw / KW_PER_MW
    new = NewUpstream(
        **fields,
        client_secret=client_secret,
        safe_limit_mw=limit,
        targets=tuple(_read_resource(text) for text in resources),
    )
    create = as_transaction(create_upstream)
    upstream = create(db.session(), new, key=current_app.config["SECRET_KEY"], now=datetime.now(UTC))
    wake_upstream(redis_connection(current_app), upstream.id)
    click.echo(f"Upstream {upstream.name} is followed, with {len(resources)} resources.")


def _read_resource(text: str) -> NewTarget:
    name, _, number = text.rpartition("=")
    if not name or not number.isdigit():
        raise click.BadParameter(f"{text!r} should be NAME=ASSET_ID.", param_hint="--resource")
    return NewTarget(asset_id=int(number), resource_name=name)


@click.command("upstreams")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@with_appcontext
def show_upstreams(as_json: bool) -> None:
    """Show whom we follow: when it answered last, and what went wrong."""
    rows = [
        {
            "name": one.name,
            "kind": one.kind,
            "address": one.address,
            "heard_at": None if one.heard_at is None else format_instant(one.heard_at),
            "state": one.watch.get("state"),
            "failures": one.failures,
            "problem": one.problem,
        }
        for one in db.session.scalars(select(Upstream).order_by(Upstream.name))
    ]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    for row in rows or ():
        said = f"answered last at {row['heard_at']}" if row["heard_at"] else "has not answered yet"
        click.echo(
            f"{row['name']} ({row['kind']}) {said}" + (f"; {row['problem']}" if row["problem"] else "")
        )
    if not rows:
        click.echo("We follow nobody. Add one with: flexmeasures add upstream")


@click.command("limits")
@click.option("--asset", "asset_id", type=int, required=True, help="Id of the asset.")
@click.option("--start", type=Instant(), help="Start of the period; a day ago if left out.")
@click.option("--end", type=Instant(), help="End of the period; now if left out.")
@with_appcontext
def show_limits(asset_id: int, start: datetime | None, end: datetime | None) -> None:
    """Print as CSV, minute by minute, the import limits of an asset beside what was measured.

    With the source and legal basis of each limit, and when it was received, applied and released.
    """
    until = end or datetime.now(UTC)
    click.echo(limit_report(db.session(), asset_id, start or until - timedelta(days=1), until), nl=False)
