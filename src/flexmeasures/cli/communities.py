"""Energy communities on the command line: setting them up (``flexmeasures add``), and working with them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from flask.cli import AppGroup, with_appcontext

from flexmeasures.cli.community_books import COUNTRY_COMMANDS
from flexmeasures.cli.community_options import as_json, do, say, service_id
from flexmeasures.cli.parameters import Day, JsonObject
from flexmeasures.services.communities.admin import (
    find_any_service,
    find_asset,
    set_prices,
)
from flexmeasures.services.communities.differences import list_differences
from flexmeasures.services.communities.operator_report import import_energy_report
from flexmeasures.services.communities.proposals import propose_coefficients
from flexmeasures.services.communities.set_up import (
    NewCommunity,
    NewMember,
    NewService,
    create_community,
    create_member,
    create_service,
    set_service_status,
)
from flexmeasures.services.communities.shared_battery import schedule_shared_battery
from flexmeasures.services.communities.tables import create_table, export_table, import_table, set_table_state
from flexmeasures.services.communities.taking_part import (
    NewPlant,
    NewSupplyPoint,
    create_plant,
    create_supply_point,
    end_inscription,
)

__all__ = [
    "add_community",
    "add_distribution_table",
    "add_member",
    "add_plant",
    "add_service",
    "add_supply_point",
    "communities",
]

communities = AppGroup(
    "communities", help="Work with energy communities: statuses, tables, proposals, files."
)

profile_help = (
    "Whose rules hold: es, at, fr, it, de-42b, de-42c, ch-leg, ch-zev, ch-vzev, be-flanders, pt, nl ..."
)


def _today() -> date:
    return datetime.now(UTC).date()


@click.command("community")
@click.option("--name", required=True)
@click.option("--profile", default="es", show_default=True, help=profile_help)
@click.option(
    "--account-id", type=int, help="Account whose face it is; one of its name is opened if left out."
)
@click.option("--timezone", help="Of its days; the profile's if left out.")
@click.option("--zone", help="Of its emission factors; the profile's country if left out.")
@click.option("--coordinator", help="Who coordinates it.")
@click.option("--member-goal", type=int, help="How many members it hopes for.")
@as_json
@with_appcontext
def add_community(as_json: bool, **fields: Any) -> None:
    """Make an account an energy community."""
    made = do(lambda session: create_community(session, NewCommunity(**fields)))
    told = {"id": made.id, "name": made.name, "account_id": made.account_id, "profile": made.profile}
    say(f"Successfully created community with ID {made.id} (account {made.account_id})", told, as_json)


@click.command("member")
@click.option("--community-id", type=int, required=True, help="Id of the community.")
@click.option("--name", required=True)
@click.option("--surnames", default="", help="Family names.")
@click.option("--email", "user_email", help="Address of the user who acts as the member.")
@click.option(
    "--role",
    type=click.Choice(["member", "staff", "provider"]),
    default="member",
    show_default=True,
    help="What the member is in the community.",
)
@click.option("--member-number", help="Number in the books of the community.")
@click.option("--vat", help="Tax number.")
@click.option("--joined-on", type=Day(), help="First day; today if left out.")
@click.option("--left-on", type=Day(), help="Last day.")
@as_json
@with_appcontext
def add_member(as_json: bool, joined_on: date | None, **fields: Any) -> None:
    """Take a member into a community."""
    new = NewMember(joined_on=joined_on or _today(), **fields)
    made = do(lambda session: create_member(session, new))
    told = {"id": made.id, "community_id": made.community_id, "role": made.role, "user_id": made.user_id}
    say(f"Successfully created member with ID {made.id}", told, as_json)


@click.command("service")
@click.option("--community-id", type=int, required=True, help="Id of the community.")
@click.option("--name", required=True)
@click.option(
    "--type", default="photovoltaic", show_default=True, help="Such as car_sharing, battery, thermal."
)
@click.option("--power-kw", type=float, help="Rated power of its plants [kW].")
@click.option("--cau", help="Id of its self-consumption group.")
@click.option(
    "--method", help="How it shares: fixed, hourly, dynamic ...; the profile's usual method if left out."
)
@click.option("--sharing", type=JsonObject(), default="{}", help="Parameters of the method.")
@click.option("--address", type=JsonObject(), default="{}", help="street, postal_code, city, state, country.")
@click.option("--inscriptions-url", default="", help="Form for joining; none: inscriptions are closed.")
@click.option(
    "--emission-basis",
    type=click.Choice(["production", "selfconsumption"]),
    default="production",
    help="Which energy avoids emissions.",
)
@click.option("--intensity-sensor-id", type=int, help="Sensor of hourly emissions, such as in g/kWh.")
@as_json
@with_appcontext
def add_service(as_json: bool, **fields: Any) -> None:
    """Make a service of a community, as a draft."""
    made = do(lambda session: create_service(session, NewService(**fields), _today()))
    told = {"id": made.id, "name": made.name, "type": made.type, "status": made.status, "method": made.method}
    say(f"Successfully created service with ID {made.id} (a draft)", told, as_json)


@click.command("supply-point")
@service_id
@click.option("--member-id", type=int, required=True, help="Id of the member.")
@click.option("--cups", required=True, help="Its id at the grid operator.")
@click.option("--sensor-id", type=int, help="Sensor of its consumption: energy or power.")
@click.option("--inverted", "is_inverted", is_flag=True, help="The sensor counts consumption negative.")
@click.option("--from", "starts_on", type=Day(), help="First day of taking part; not yet if left out.")
@click.option("--until", "ends_on", type=Day(), help="Last day.")
@click.option(
    "--participation-percent",
    type=int,
    default=100,
    show_default=True,
    help="Part of its consumption that it offers [%].",
)
@click.option("--operator-sensor-id", type=int, help="Sensor of what the grid operator says that it used.")
@click.option("--contracted-kw", type=float, help="Contracted power [kW].")
@click.option("--agreed-kw", type=float, help="Agreed participation [kW].")
@click.option("--tariff", help="Such as 2.0TD.")
@as_json
@with_appcontext
def add_supply_point(as_json: bool, **fields: Any) -> None:
    """Let a member take part in a service with a supply point."""
    made = do(lambda session: create_supply_point(session, NewSupplyPoint(**fields), _today()))
    told = {"inscription_id": made.id, "supply_point_id": made.supply_point_id, "state": made.state}
    say(
        f"Successfully created supply point with ID {made.supply_point_id} (inscription {made.id})",
        told,
        as_json,
    )


@click.command("plant")
@service_id
@click.option("--name", required=True)
@click.option("--sensor-id", type=int, help="Sensor of its generation: energy or power.")
@click.option(
    "--inverted/--not-inverted", "is_inverted", default=None, help="Whether it counts generation negative."
)
@click.option("--cil", help="Its id for settlement.")
@click.option("--installed-kw", type=float, help="Installed power [kW].")
@click.option("--technology", default="photovoltaic", show_default=True, help="Such as photovoltaic or wind.")
@as_json
@with_appcontext
def add_plant(as_json: bool, **fields: Any) -> None:
    """Add a plant to a service."""
    made = do(lambda session: create_plant(session, NewPlant(**fields), _today()))
    told = {"id": made.id, "service_id": made.service_id, "is_inverted": made.is_inverted}
    say(f"Successfully created plant with ID {made.id}", told, as_json)


@click.command("distribution-table")
@service_id
@click.option("--name", required=True, help="Never used again.")
@click.option("--active-from", type=Day(), help="Put it into force from this day on; a draft if left out.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@as_json
@with_appcontext
def add_distribution_table(
    as_json: bool, service_id: int, name: str, active_from: date | None, file: Path
) -> None:
    """Import coefficients from a CSV FILE: CUPS,Coefficient, or hour and a column for each CUPS."""
    content = file.read_bytes()

    def work(session: Any) -> Any:
        table = import_table(session, service_id, name, content)
        for state in ("validated", "process", "active") if active_from else ():
            set_table_state(session, table.id, state, active_from)
        return table

    made = do(work)
    told = {"id": made.id, "kind": made.kind, "state": made.state, "supply_points": len(made.supply_points)}
    say(
        f"Successfully created distribution table with ID {made.id} ({made.kind}, {made.state})",
        told,
        as_json,
    )


for _command in COUNTRY_COMMANDS:
    communities.add_command(_command)


@communities.command("set-status")
@service_id
@click.argument("status", type=click.Choice(["inscription", "activation", "active"]))
def set_status(service_id: int, status: str) -> None:
    """Let a service go on to its next STATUS."""
    made = do(lambda session: set_service_status(session, service_id, status))
    click.echo(f"Service {made.id} is {made.status}.")


@communities.command("set-prices")
@service_id
@click.argument("prices", type=JsonObject())
def set_prices_of_service(service_id: int, prices: dict[str, Any]) -> None:
    """Set what energy costs members: PRICES is a JSON object such as {"energy": 0.2, "surplus": 0.06}."""
    do(lambda session: set_prices(session, service_id, prices))
    click.echo("The prices are set.")


@communities.command("set-table-state")
@click.option("--table-id", type=int, required=True, help="Id of the distribution table.")
@click.option("--from", "starts_on", type=Day(), help="First day on which it holds, to make it active.")
@click.argument("state", type=click.Choice(["draft", "validated", "process", "active", "cancelled"]))
def set_state(table_id: int, starts_on: date | None, state: str) -> None:
    """Let a distribution table go on to its next STATE."""
    made = do(lambda session: set_table_state(session, table_id, state, starts_on))
    click.echo(f"Distribution table {made.id} is {made.state}.")


@communities.command("end-inscription")
@click.option("--inscription-id", type=int, required=True, help="Id of the inscription.")
@click.option("--last-day", type=Day(), required=True, help="Last day of taking part.")
def leave(inscription_id: int, last_day: date) -> None:
    """Let a member leave a service after a day."""
    do(lambda session: end_inscription(session, inscription_id, last_day))
    click.echo(f"The inscription ends with {last_day}.")


@communities.command("export-table")
@click.option("--table-id", type=int, required=True, help="Id of the distribution table.")
@click.option("--year", type=click.IntRange(2000, 2100), required=True, help="Calendar year that it covers.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=".",
    show_default=True,
    help="Where the file is written.",
)
def export(table_id: int, year: int, folder: Path) -> None:
    """Write the distributor's file of a table."""
    name, content = do(lambda session: export_table(session, table_id, year))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    click.echo(f"Wrote {folder / name} ({len(content)} bytes)")


@communities.command("import-report")
@service_id
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@as_json
def import_report(as_json: bool, service_id: int, file: Path) -> None:
    """Take the grid operator's values over from an XLSX FILE of the Austrian data exchange."""
    content = file.read_bytes()
    made = do(
        lambda session: import_energy_report(
            session, find_any_service(session, service_id), content, datetime.now(UTC)
        )
    )
    told = {"values": made.values, "unknown": list(made.unknown)}
    lines = [f"Stored {made.values} values."] + [f"No sensor is for {name}." for name in made.unknown]
    say("\n".join(lines), told, as_json)


@communities.command("differences")
@service_id
@click.option("--from", "first", type=Day(), help="First day; the first one with data if left out.")
@click.option("--until", "last", type=Day(), help="Last day; today if left out.")
@as_json
def differences(as_json: bool, service_id: int, first: date | None, last: date | None) -> None:
    """List where the grid operator's values differ from ours; theirs count."""
    now = datetime.now(UTC)
    found = do(
        lambda session: list_differences(session, find_any_service(session, service_id), first, last, now)
    )
    told = [
        {
            "start": one.start.isoformat(),
            "supply_point": one.supply_point,
            "operator_kwh": one.operator_kwh,
            "computed_kwh": one.computed_kwh,
        }
        for one in found
    ]
    rows = [
        f"{d['start']}  {d['supply_point']}  {d['operator_kwh']:.6f}  {d['computed_kwh']:.6f}" for d in told
    ]
    say(
        "\n".join([f"{len(found)} differences: start, supply point, operator, ours [kWh]", *rows]),
        told,
        as_json,
    )


@communities.command("propose-coefficients")
@service_id
@click.option(
    "--kind",
    type=click.Choice(["fixed", "hourly"]),
    default="fixed",
    show_default=True,
    help="Constant, or for each hour of the year.",
)
@click.option(
    "--from", "first", type=Day(), help="First day of the profiles; a year before the last if left out."
)
@click.option("--until", "last", type=Day(), help="Last day; yesterday if left out.")
@click.option("--save-as", help="Make a draft of them by this name.")
@as_json
def propose(
    as_json: bool, service_id: int, kind: str, first: date | None, last: date | None, save_as: str | None
) -> None:
    """Propose coefficients by which the community would have used more of its generation."""

    def work(session: Any) -> Any:
        service = find_any_service(session, service_id)
        made = propose_coefficients(session, service, (first, last), datetime.now(UTC), kind)
        table = create_table(session, service, save_as, made.coefficients) if save_as else None
        return made, table

    made, table = do(work)
    gain = made.gain
    told = {
        "from": made.first.isoformat(),
        "until": made.last.isoformat(),
        "kind": kind,
        "today_kwh": gain.today / 1e6,
        "proposed_kwh": gain.proposed / 1e6,
        "pooled_kwh": gain.pooled / 1e6,
        "share_of_pooled": round(gain.share_of_pooled, 4),
        "table_id": None if table is None else table.id,
    }
    if not made.coefficients.is_hourly:
        pairs = zip(made.coefficients.supply_points, made.coefficients.parts.tolist(), strict=True)
        told["coefficients"] = {point: part / 1e6 for point, part in pairs}
    text = (
        f"From {made.first} to {made.last} the community used {gain.today / 1e6:,.1f} kWh of its generation; by the "
        f"proposed coefficients {gain.proposed / 1e6:,.1f} kWh; at most {gain.pooled / 1e6:,.1f} kWh."
    )
    say(text if table is None else f"{text}\nDraft: distribution table {table.id}", told, as_json)


@communities.command("schedule-battery")
@service_id
@click.option("--asset-id", type=int, required=True, help="The battery.")
@click.option(
    "--hours", type=click.IntRange(1, 168), default=48, show_default=True, help="How far ahead [h]."
)
@as_json
def schedule_battery(as_json: bool, service_id: int, asset_id: int, hours: int) -> None:
    """Schedule the community's shared battery for self-consumption, and store the schedule."""

    def work(session: Any) -> Any:
        service, asset = find_any_service(session, service_id), find_asset(session, asset_id)
        return schedule_shared_battery(session, service, asset, datetime.now(UTC), timedelta(hours=hours))

    made = do(work)
    power = [round(float(value), 6) for value in made.power_mw]
    told = {
        "start": made.start.isoformat(),
        "resolution_minutes": made.resolution.total_seconds() / 60,
        "power_mw": power,
    }
    say(f"Scheduled {len(power)} slots from {made.start.isoformat()} on.", told, as_json)
