"""``flexmeasures show community-metrics`` and ``community-statement``."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import click
from flask.cli import with_appcontext
from rich.box import SIMPLE_HEAD
from rich.table import Table

from flexmeasures.cli.parameters import Day
from flexmeasures.cli.terminal import open_console
from flexmeasures.data.database import db
from flexmeasures.data.transactional import as_transaction
from flexmeasures.domain.communities.metrics import FORMULAS, kwh
from flexmeasures.services.communities.admin import find_any_service
from flexmeasures.services.communities.metrics import ServiceMetrics, member_metrics, service_metrics
from flexmeasures.services.communities.statement_forms import as_csv, as_data
from flexmeasures.services.communities.statements import make_statements, member_of

__all__ = ["show_metrics", "show_statement"]

service_id = click.option("--service-id", type=int, required=True, help="Id of the service.")
first_day = click.option(
    "--from", "first", type=Day(), help="First day; the first one with data if left out."
)
last_day = click.option("--until", "last", type=Day(), help="Last day; today if left out.")

_RATIOS = ("selfproduction_ratio", "surplus_ratio", "gridconsumption_ratio", "selfconsumption_ratio")


@click.command("community-metrics")
@service_id
@click.option("--member-id", type=int, help="Only what concerns this member.")
@first_day
@last_day
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@with_appcontext
def show_metrics(
    service_id: int, member_id: int | None, first: date | None, last: date | None, as_json: bool
) -> None:
    """Show the metrics of a service with formulas, coverage and emission factor."""
    now = datetime.now(UTC)

    def work(session: Any) -> Any:
        service = find_any_service(session, service_id)
        if member_id is None:
            return service.name, service_metrics(session, service, first, last, now)
        own = member_of(session, service, member_id)
        return service.name, member_metrics(session, service, own, (first, last), now)

    name, metrics = as_transaction(work)(db.session)
    if metrics is None:
        raise click.ClickException(f"Service {service_id} has no meter, or no readings yet.")
    values = _values(metrics)
    if as_json:
        told = {
            "service_id": service_id,
            "from": metrics.first.isoformat(),
            "until": metrics.last.isoformat(),
            **{key: {"value": value, "unit": unit} for key, value, unit in values},
            "coverage": metrics.coverage,
            "provisional": metrics.provisional,
            "emission_factor": {"value": metrics.factor_grams_per_kwh, "source": metrics.factor_source},
            "differences": metrics.differences,
        }
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    _print(name, metrics, values)


def _values(metrics: ServiceMetrics) -> list[tuple[str, float | None, str]]:
    totals = metrics.totals
    return [
        ("energy_production", kwh(totals.produced), "kWh"),
        ("energy_consumption", kwh(totals.consumed), "kWh"),
        *((name, getattr(totals, name), "") for name in _RATIOS),
        ("environment_saves", metrics.avoided_grams, "g CO₂"),
    ]


def _print(name: str, metrics: ServiceMetrics, values: list[tuple[str, float | None, str]]) -> None:
    console = open_console()
    console.print(f"{name}, {metrics.first} to {metrics.last}", style="bold", highlight=False, markup=False)
    table = Table(box=SIMPLE_HEAD)
    table.add_column("Metric", no_wrap=True)
    table.add_column("Value", justify="right", no_wrap=True)
    table.add_column("Formula")
    for key, value, unit in values:
        shown = "–" if value is None else f"{value:,.4f}".rstrip("0").rstrip(".")
        table.add_row(key, f"{shown} {unit}".strip(), FORMULAS[key].replace("[", "\\["))
    console.print(table)
    covered = "–" if metrics.coverage is None else f"{metrics.coverage:.2%}"
    factor = metrics.factor_grams_per_kwh
    lines = [
        f"Coverage: {covered} of the expected readings.",
        f"Emission factor: {'–' if factor is None else f'{factor:g} g/kWh'} ({metrics.factor_source}).",
    ]
    if metrics.provisional:
        lines.append("Provisional: the grid operator may still correct values.")
    if metrics.differences:
        lines.append(f"{metrics.differences} values of the grid operator differ from ours; theirs count.")
    for line in lines:
        console.print(line, highlight=False, markup=False)


@click.command("community-statement")
@service_id
@click.option("--member-id", type=int, required=True, help="Id of the member.")
@first_day
@last_day
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "csv"]),
    default="csv",
    show_default=True,
    help="How they are written.",
)
@with_appcontext
def show_statement(service_id: int, member_id: int, first: date | None, last: date | None, form: str) -> None:
    """Show the statements of a member, one for each month and supply point."""

    def work(session: Any) -> Any:
        service = find_any_service(session, service_id)
        own = member_of(session, service, member_id)
        return make_statements(session, service, own, (first, last), datetime.now(UTC))

    made = as_transaction(work)(db.session)
    if form == "json":
        click.echo(json.dumps([as_data(one) for one in made], ensure_ascii=False, indent=2))
    else:
        click.echo(as_csv(made), nl=False)
