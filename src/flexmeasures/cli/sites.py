"""Sites on the command line: what concerns their connection, what belongs to them, and their plan."""

from __future__ import annotations

import json
from typing import Any

import click
from flask.cli import with_appcontext
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flexmeasures.cli.parameters import JsonObject
from flexmeasures.cli.terminal import open_console
from flexmeasures.data.database import db
from flexmeasures.data.transactional import as_transaction
from flexmeasures.domain.errors import FlexError
from flexmeasures.domain.time import find_zone
from flexmeasures.services.checks import FieldErrors
from flexmeasures.services.flex_contexts import set_flex_context
from flexmeasures.services.schedules.show_site import ShownSitePlan, find_shown_site

__all__ = ["add_flex_context", "print_site_plan", "show_site"]


@click.command("flex-context")
@click.argument("fields", type=JsonObject(), required=False)
@click.option(
    "--asset", "asset_id", type=int, required=True, help="Id of the asset that has the devices below it."
)
@click.option("--none", "is_none", is_flag=True, help="Take the flex context away instead.")
@with_appcontext
def add_flex_context(fields: dict[str, Any] | None, asset_id: int, is_none: bool) -> None:
    """Make an asset a site: set what concerns its connection, a JSON object or a file with one.

    All devices below it are planned as one from then on.
    """
    if (fields is None) != is_none:
        raise click.UsageError("Give either a flex context or --none.")
    try:
        as_transaction(set_flex_context)(db.session, fields, asset_id)
    except FieldErrors as error:
        texts = [text for field in error.errors.values() for text in field]
        raise click.ClickException("\n".join(texts)) from None
    except FlexError as error:
        raise click.ClickException(str(error)) from None
    click.echo("The flex context is taken away." if is_none else "The flex context is set.")


@click.command("site")
@click.option("--asset", "asset_id", type=int, required=True, help="Id of the site, or of an asset of it.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON, its plan included.")
@with_appcontext
def show_site(asset_id: int, as_json: bool) -> None:
    """Show a site: what belongs to it, what concerns its connection, and what its newest plan costs."""
    site = find_shown_site(db.session(), asset_id)
    if as_json:
        click.echo(json.dumps(site.as_data(), ensure_ascii=False, indent=2, allow_nan=False))
        return
    console = open_console()
    table = Table(title=escape(site.name), box=SIMPLE_HEAD, title_justify="left")
    for heading in ("Asset", "Id", "Type", "Cost of energy"):
        table.add_column(heading)
    for part in site.parts:
        cost = (
            "–"
            if part.energy_cost is None or site.plan is None
            else f"{part.energy_cost:.2f} {site.plan.currency}"
        )
        table.add_row(escape("  " * part.depth + part.name), str(part.asset_id), escape(part.type_name), cost)
    console.print(table)
    for name, value in site.context.items():
        console.print(f"{name}: {json.dumps(value, ensure_ascii=False)}", highlight=False, markup=False)
    if site.plan is None:
        click.echo(f"It has no plan yet. Make one: flexmeasures add schedules --asset {site.site_id}")
    else:
        _print_costs(console, site.plan)


def print_site_plan(plan: ShownSitePlan, explain: bool) -> None:
    """Print the plan of a site: power of its devices and at its connection, its cost and what it misses."""
    zone, console = find_zone(plan.zone), open_console()
    table = Table(title=escape(f"{plan.site} [MW]"), box=SIMPLE_HEAD, title_justify="left")
    for heading in ("From", *plan.devices, *plan.inflexible, "Connection"):
        table.add_column(escape(heading), justify="left" if heading == "From" else "right")
    if explain:
        table.add_column(escape(f"One more [{plan.currency}/MWh]"), justify="right")
        table.add_column("What bound")
    series = [*plan.devices.values(), *plan.inflexible.values(), plan.net_mw]
    for slot in range(len(plan.net_mw)):
        start = (plan.start + slot * plan.resolution).astimezone(zone)
        row = [f"{start:%m-%d %H:%M}", *(f"{one[slot]:.4g}" for one in series)]
        if explain:
            price = plan.marginal_price[slot]
            row += ["–" if price is None else f"{price:.2f}", escape(", ".join(plan.binding_at(slot)))]
        table.add_row(*row)
    console.print(table)
    _print_costs(console, plan)


def _print_costs(console: Console, plan: ShownSitePlan) -> None:
    lines = [
        f"Plan: {plan.cost:.2f} {plan.currency} ({plan.outcome}); {plan.baseline}: {plan.baseline_cost:.2f}",
        f"Saving: {plan.saving:.2f} {plan.currency}",
        *plan.notes,
    ]
    for line in lines:
        console.print(line, highlight=False, markup=False)
