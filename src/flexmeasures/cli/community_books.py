"""Books and country rules of energy communities on the command line."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click
from flask.cli import with_appcontext

from flexmeasures.cli.community_options import as_json, do, say, service_id
from flexmeasures.cli.parameters import Day
from flexmeasures.domain.communities.countries.italy import Plant
from flexmeasures.domain.communities.countries.profile import find_profile
from flexmeasures.domain.communities.countries.spain import Proximity, is_near
from flexmeasures.services.communities.admin import find_any_service
from flexmeasures.services.communities.books import (
    NewEmissionFactor,
    NewInvoice,
    enter_emission_factor,
    enter_invoice,
)
from flexmeasures.services.communities.country_figures import export_keys, work_out_premium

__all__ = ["COUNTRY_COMMANDS", "add_emission_factor", "add_invoice"]


@click.command("emission-factor")
@click.option("--zone", required=True, help="Of communities, such as ES.")
@click.option("--year", type=int, required=True, help="Calendar year.")
@click.option("--grams-per-kwh", type=float, required=True, help="Emissions [g CO2/kWh].")
@click.option("--source", required=True, help="Publication that says so; shown beside each metric.")
@click.option(
    "--basis",
    type=click.Choice(["location", "market"]),
    default="location",
    show_default=True,
    help="The mix of the grid, or of a supplier.",
)
@as_json
@with_appcontext
def add_emission_factor(as_json: bool, **fields: Any) -> None:
    """Enter the emission factor of a zone and year, in place of an earlier one."""
    row = do(lambda session: enter_emission_factor(session, NewEmissionFactor(**fields)))
    told = {"id": row.id, "zone": row.zone, "year": row.year, "grams_per_kwh": row.grams_per_kwh}
    say(f"Emission factor of {row.zone} in {row.year}: {row.grams_per_kwh:g} g/kWh.", told, as_json)


@click.command("invoice")
@click.option("--member-id", type=int, required=True, help="Whom it asks to pay.")
@click.option("--number", required=True, help="Its number; once in a community.")
@click.option("--service-type", default="photovoltaic", show_default=True, help="What it is about.")
@click.option("--amount", "amount_total", type=float, required=True, help="Total; negative for a credit.")
@click.option("--date", "issued_on", type=Day(), required=True, help="Its date.")
@click.option("--state", default="open", show_default=True, help="As the books say, such as open or paid.")
@click.option("--pdf", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The document.")
@as_json
@with_appcontext
def add_invoice(as_json: bool, pdf: Path | None, **fields: Any) -> None:
    """Enter an invoice that was made elsewhere; its member sees it."""
    content = None if pdf is None else pdf.read_bytes()
    row = do(lambda session: enter_invoice(session, NewInvoice(pdf=content, **fields)))
    told = {"id": row.id, "number": row.number, "member_id": row.member_id, "amount_total": row.amount_total}
    say(f"Successfully created invoice with ID {row.id} (number {row.number})", told, as_json)


"""Commands of ``flexmeasures add``."""


@click.command("check-proximity")
@click.option("--distance-m", type=float, required=True, help="Between the meters, seen from above [m].")
@click.option("--same-transformer", is_flag=True, help="Same low voltage of one transformer centre.")
@click.option("--cadastral-plant", default="", help="Cadastral reference of the plant.")
@click.option("--cadastral-consumer", default="", help="Cadastral reference of the consumer.")
@click.option("--technology", default="photovoltaic", show_default=True, help="Such as photovoltaic or wind.")
@click.option("--power-kw", type=float, default=0.0, help="Rated power of the plant [kW].")
@click.option("--on-roof", "on_roof_or_industrial_land", is_flag=True, help="On a roof or industrial land.")
@click.option("--on", "day", type=Day(), help="Day whose rules hold; today if left out.")
@as_json
@with_appcontext
def check_proximity(as_json: bool, day: date | None, **fields: Any) -> None:
    """Tell whether a plant counts as near to a consumer through the network in Spain."""
    day, profile = day or datetime.now(UTC).date(), find_profile("es")
    near = is_near(Proximity(**fields), profile, day)
    rule = profile.figure("area", day)
    told = {"is_near": near, "day": day.isoformat(), "source": rule.source, "certainty": rule.certainty}
    say(f"{'Near' if near else 'Not near'} on {day} ({rule.source}; {rule.certainty}).", told, as_json)


@click.command("premium")
@service_id
@click.option("--price-sensor-id", type=int, required=True, help="Sensor of the zonal price.")
@click.option("--power-kw", type=float, required=True, help="Rated power of the plant [kW].")
@click.option("--region", required=True, help="Such as Lazio.")
@click.option("--grant-share", type=float, default=0.0, help="Part of the cost that a grant paid, 0 to 0.4.")
@click.option("--grant-does-not-count", is_flag=True, help="Local, religious or third-sector bodies, people.")
@click.option("--not-photovoltaic", is_flag=True, help="No regional correction.")
@click.option("--from", "first", type=Day(), help="First day; the first one with data if left out.")
@click.option("--until", "last", type=Day(), help="Last day; today if left out.")
@as_json
@with_appcontext
def premium(
    as_json: bool,
    service_id: int,
    price_sensor_id: int,
    first: date | None,
    last: date | None,
    grant_does_not_count: bool,
    not_photovoltaic: bool,
    **fields: Any,
) -> None:
    """Work out the premium on shared energy in Italy, hour by hour."""
    plant = Plant(is_photovoltaic=not not_photovoltaic, grant_counts=not grant_does_not_count, **fields)
    made = do(
        lambda session: work_out_premium(
            session,
            find_any_service(session, service_id),
            plant,
            price_sensor_id,
            (first, last),
            datetime.now(UTC),
        )
    )
    if made is None:
        say("There are no data.", None, as_json)
        return
    refund = "unknown" if made.refund_eur is None else f"{made.refund_eur:.2f} EUR"
    text = (
        f"From {made.first} to {made.last}: {made.shared_kwh:,.1f} kWh shared, premium {made.premium_eur:.2f} EUR "
        f"({made.certainty}), refund of tariff components {refund}."
    )
    if made.unpriced_kwh:
        text += f"\nThe price of {made.unpriced_kwh:,.1f} kWh is unknown: they have no premium yet."
    told = {**asdict(made), "first": made.first.isoformat(), "last": made.last.isoformat()}
    say(text, told, as_json)


@click.command("export-keys")
@service_id
@click.option("--month", type=click.DateTime(["%Y-%m"]), required=True, help="Such as 2026-10.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    default=".",
    help="Where the file goes; the current one if left out.",
)
@as_json
@with_appcontext
def export_month_of_keys(as_json: bool, service_id: int, month: datetime, folder: Path) -> None:
    """Write a month's keys by slot for the French grid operator (a practitioner's format, unconfirmed)."""
    name, content = do(
        lambda session: export_keys(
            session, find_any_service(session, service_id), month.date(), datetime.now(UTC)
        )
    )
    path = folder / name
    path.write_bytes(content)
    say(f"Wrote {path} ({len(content)} bytes)", {"file": str(path), "bytes": len(content)}, as_json)


COUNTRY_COMMANDS = (check_proximity, premium, export_month_of_keys)
"""Commands of ``flexmeasures communities`` that only some countries need."""
