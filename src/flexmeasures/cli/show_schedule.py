"""``flexmeasures show schedule``: a schedule as it was made, what it costs, and what it misses."""

from __future__ import annotations

import json
from datetime import datetime
from itertools import zip_longest

import click
from flask.cli import with_appcontext
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from flexmeasures.cli.parameters import Instant
from flexmeasures.cli.sites import print_site_plan
from flexmeasures.cli.terminal import open_console
from flexmeasures.data.database import db
from flexmeasures.domain.time import find_zone
from flexmeasures.services.schedules.show import ShownSchedule, find_shown_schedule
from flexmeasures.services.schedules.show_site import find_shown_site_plan

__all__ = ["show_schedule"]

_LEAST_MONEY = 0.005
"""Less than this is shown as nothing."""


@click.command("schedule")
@click.option("--asset", "asset_id", type=int, required=True, help="Id of the asset.")
@click.option(
    "--at", type=Instant(), help="The newest schedule that covers this instant; the newest one if left out."
)
@click.option(
    "--explain", is_flag=True, help="Also show what bound in each slot, and what energy is worth there."
)
@click.option("--site", "of_site", is_flag=True, help="Show the plan of the whole site of the asset.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON, reasons included.")
@with_appcontext
def show_schedule(asset_id: int, at: datetime | None, explain: bool, of_site: bool, as_json: bool) -> None:
    """Show the schedule of an asset: its slots, its cost beside simple plans, and what it misses."""
    if of_site:
        plan = find_shown_site_plan(db.session(), asset_id, at)
        if as_json:
            click.echo(json.dumps(plan.as_data(), ensure_ascii=False, indent=2, allow_nan=False))
        else:
            print_site_plan(plan, explain)
        return
    shown = find_shown_schedule(db.session(), asset_id, at)
    if as_json:
        click.echo(json.dumps(shown.as_data(), ensure_ascii=False, indent=2, allow_nan=False))
        return
    console = open_console()
    made = f"{shown.asset}, made {_local(shown.recorded_at, shown.zone)} by {shown.model}"
    console.print(made, style="bold", highlight=False, markup=False)
    console.print(_slots(shown, explain))
    console.print(_costs(shown))
    for line in _remarks(shown):
        console.print(line, highlight=False, markup=False)


def _local(instant: datetime, zone: str, pattern: str = "%Y-%m-%d %H:%M %Z") -> str:
    return instant.astimezone(find_zone(zone)).strftime(pattern)


def _has_one_offset(shown: ShownSchedule) -> bool:
    """Tell whether clocks stay as they are during a schedule, so that its local times are clear."""
    ends = (shown.start, shown.start + len(shown.power_mw) * shown.resolution)
    return len({one.astimezone(find_zone(shown.zone)).utcoffset() for one in ends}) == 1


def _slots(shown: ShownSchedule, explain: bool) -> Table:
    """One row for each run of slots in which nothing changes."""
    table = Table(box=SIMPLE_HEAD)
    table.add_column(f"From ({shown.zone})", no_wrap=True)
    table.add_column("Until", no_wrap=True)
    for title in ("Power\n[MW]", "SoC at end\n[MWh]"):
        table.add_column(escape(title), justify="right")
    if explain:
        table.add_column(escape(f"Marginal price\n[{shown.currency}/MWh]"), justify="right")
        table.add_column(escape(f"Value in store\n[{shown.currency}/MWh]"), justify="right")
        table.add_column("What bound")
    pattern = "%m-%d %H:%M" if _has_one_offset(shown) else "%m-%d %H:%M %Z"
    rows = [_row(shown, slot, explain) for slot in range(len(shown.power_mw))]
    first = 0
    for slot, (row, following) in enumerate(zip_longest(rows, rows[1:])):
        if following is not None and not explain and row[0] == following[0]:
            continue
        if following is not None and explain and [row[0], *row[2:]] == [following[0], *following[2:]]:
            continue
        start, end = (shown.start + n * shown.resolution for n in (first, slot + 1))
        table.add_row(*(_local(one, shown.zone, pattern) for one in (start, end)), *row)
        first = slot + 1
    return table


def _row(shown: ShownSchedule, slot: int, explain: bool) -> list[str]:
    soc = None if shown.soc_mwh is None else shown.soc_mwh[slot + 1]
    row = [_number(shown.power_mw[slot]), _number(soc)]
    if explain:
        price, stored = shown.marginal_price_at(slot), shown.stored_value_at(slot)
        row += [_number(price), _number(stored), escape(", ".join(shown.binding_at(slot)))]
    return row


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value + 0.0 if abs(value) > 5e-7 else 0.0:.6g}"


def _costs(shown: ShownSchedule) -> Table:
    table = Table(box=SIMPLE_HEAD)
    table.add_column("Plan")
    table.add_column(escape(f"Cost [{shown.currency}]"), justify="right")
    table.add_column(escape("CO₂ [kg]"), justify="right")
    table.add_column("Keeps all wishes")
    for plan in shown.plans:
        name = f"{plan.name} (baseline)" if plan.name == shown.baseline else plan.name
        table.add_row(
            name,
            f"{plan.cost if abs(plan.cost) >= _LEAST_MONEY else 0.0:,.2f}",
            "–" if plan.co2_kg is None else f"{plan.co2_kg:,.1f}",
            {True: "yes", False: "no", None: "–"}[plan.keeps_wishes],
        )
    return table


def _remarks(shown: ShownSchedule) -> list[str]:
    effect = shown.effect
    amount = shown.saving if abs(shown.saving) >= _LEAST_MONEY else 0.0
    what = "Saving" if amount >= 0 else "Extra cost"
    saving = f"{what} beside {shown.baseline}: {abs(amount):,.2f} {shown.currency}"
    if shown.co2_saving_kg is not None:
        saving += f" and {shown.co2_saving_kg:,.1f} kg CO₂"
    moved = (
        f"Shifted {effect['shifted_mwh']:.6g} MWh ({effect['shifted_mwh_h']:.6g} MWh·h), curtailed "
        f"{effect['curtailed_mwh']:.6g} MWh, added {effect['added_mwh']:.6g} MWh"
    )
    outcome = f"Outcome: {shown.outcome}"
    if shown.gap:
        outcome += f", within {shown.gap:.2%} of the lowest cost"
    return [saving, *_left(shown), moved, outcome, *(f"Note: {note}" for note in shown.notes_for_people)]


def _left(shown: ShownSchedule) -> list[str]:
    """Say how what is left in a store counts."""
    left = shown.left
    if left is None:
        return []
    counted = (
        "counted in the costs" if left["in_costs"] else f"worth {left['worth'] + 0.0:,.2f} {shown.currency}"
    )
    more = left["schedule_mwh"] - left["baseline_mwh"]
    ends = f"{_number(left['schedule_mwh'])} MWh, {_number(more)} MWh beside {shown.baseline}"
    return [f"Left in the store at the end: {ends}, {counted} at {left['price']:,.2f} {shown.currency}/MWh"]
