"""``flexmeasures show order-book``, ``orders`` and ``settlement``: what flexibility is offered, ordered and paid."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from flexmeasures.cli.parameters import Duration, Instant
from flexmeasures.cli.rows import json_option
from flexmeasures.cli.terminal import open_console
from flexmeasures.data.database import db
from flexmeasures.domain.flexibility import OrderBook, Regulation
from flexmeasures.domain.time import find_zone
from flexmeasures.jobs.schedules import planning_of
from flexmeasures.services.flexibility.broker import (
    Enquiry,
    MarketTerms,
    Portfolio,
    make_order_books,
    open_portfolio,
)
from flexmeasures.services.flexibility.broker import Progress as Report
from flexmeasures.services.flexibility.order import list_orders, status_of
from flexmeasures.services.flexibility.settle import Settlement, settle_orders, sum_up
from flexmeasures.services.flexibility.show import books_as_data, orders_as_data, settlements_as_data

__all__ = [
    "asked_portfolio",
    "enquiry_options",
    "local",
    "now_option",
    "number",
    "present",
    "print_failures",
    "print_json",
    "progress_bar",
    "show_order_book",
    "show_orders",
    "show_settlement",
    "zone",
]

Command = Callable[..., Any]

now_option = click.option(
    "--now", type=Instant(), help="Take this instant for the present; in play mode only."
)
asset_option = click.option(
    "--asset", "asset_ids", type=int, multiple=True, help="Id of an asset; may be given several times."
)
owner_option = click.option("--owner", "owner_id", type=int, help="Only assets of the user with this id.")


def enquiry_options(command: Command) -> Command:
    """Add the options that say which flexibility is asked for, and what the market pays."""
    options = (
        click.option("--start", type=Instant(), required=True, help="Start of the first market slot."),
        click.option("--end", type=Instant(), help="End of the last market slot; one slot if left out."),
        click.option(
            "--slot",
            type=Duration(),
            help="Length of a market slot, such as PT15M; the longest event of the assets if left out.",
        ),
        asset_option,
        owner_option,
        click.option(
            "--volume",
            "volume_mwh",
            type=float,
            help="The most that is wanted of an asset in a slot [MWh]; as much as there is if left out.",
        ),
        click.option(
            "--regulation",
            type=click.Choice([one.value for one in Regulation]),
            help="Only up (less consumption) or only down (more).",
        ),
        click.option(
            "--up-price", type=float, default=0.0, help="What the market pays for up [currency/MWh]."
        ),
        click.option(
            "--down-price", type=float, default=0.0, help="What the market pays for down [currency/MWh]."
        ),
        click.option("--up-market", "up_market_id", type=int, help="Id of the market that pays for up."),
        click.option(
            "--down-market", "down_market_id", type=int, help="Id of the market that pays for down."
        ),
        now_option,
        json_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


def present(now: datetime | None) -> datetime:
    """Tell what time it is, or is taken to be.

    Raises:
        click.UsageError: If an instant is given outside of play mode.
    """
    if now is None:
        return datetime.now(UTC)
    if current_app.config["FLEXMEASURES_MODE"] != "play":
        raise click.UsageError("--now is for simulations: set FLEXMEASURES_MODE to play, or leave it out.")
    return now


def asked_portfolio(asked: dict[str, Any], now: datetime) -> Portfolio:
    """Read the assets that the options ask for, with a progress bar."""
    regulation = asked["regulation"]
    enquiry = Enquiry(
        asked["start"],
        asked["end"],
        current_app.config["FLEXMEASURES_PLANNING_HORIZON"],
        MarketTerms(*(asked[n] for n in ("up_price", "down_price", "up_market_id", "down_market_id"))),
        asset_ids=tuple(dict.fromkeys(asked["asset_ids"])),
        owner_id=asked["owner_id"],
        volume_mwh=asked["volume_mwh"],
        regulation=None if regulation is None else Regulation(regulation),
        slot=asked["slot"],
    )
    with progress_bar("Reading schedules") as report:
        portfolio = open_portfolio(db.session(), enquiry, planning_of(current_app.config), now, report)
    if not portfolio.positions:
        raise click.ClickException("\n".join(["No asset can be asked:", *_failures(portfolio)]))
    return portfolio


@contextmanager
def progress_bar(what: str) -> Iterator[Report]:
    """Show how far a long work is, on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def print_json(written: Any) -> None:
    """Print what programs read."""
    click.echo(json.dumps(written, ensure_ascii=False, indent=2, allow_nan=False))


def print_failures(portfolio: Portfolio) -> None:
    """Name the assets that were not asked, on standard error."""
    if portfolio.failures:
        click.echo("\n".join(["Not asked:", *_failures(portfolio)]), err=True)


def _failures(portfolio: Portfolio) -> list[str]:
    return [f"  {asset}: {text}" for asset, text in sorted(portfolio.failures.items())]


def local(instant: datetime, pattern: str = "%Y-%m-%d %H:%M") -> str:
    """Write an instant in the time zone of the platform."""
    return instant.astimezone(find_zone(zone())).strftime(pattern)


def zone() -> str:
    """Name the time zone of the platform."""
    return str(current_app.config["FLEXMEASURES_TIMEZONE"])


def number(value: float | None, pattern: str = ".4g") -> str:
    """Write a number for a table; what is next to nothing as 0."""
    if value is None:
        return "–"
    return format(0.0 if abs(value) < 5e-7 else value, pattern)


@click.command("order-book")
@enquiry_options
@with_appcontext
def show_order_book(now: datetime | None, as_json: bool, **asked: Any) -> None:
    """Show what assets could do otherwise in the slots of a market, the most valuable first.

    Every flexible asset that has a schedule is asked, or those of an owner, or those that are named. Its price is what
    the change costs the asset, with all that it does later or sooner instead; its value is what the market pays for
    it less that cost. Nothing is stored.
    """
    portfolio = asked_portfolio(asked, present(now))
    with progress_bar("Asking for offers") as report:
        books = make_order_books(portfolio, report)
    if as_json:
        print_json(books_as_data(portfolio, books))
        return
    console = open_console()
    for book in books:
        console.print(_book(portfolio, book))
    print_failures(portfolio)


def _book(portfolio: Portfolio, book: OrderBook) -> Table:
    prices, currency = portfolio.prices, portfolio.currency
    start, end = (portfolio.grid.start_of(book.slot + ahead) for ahead in (0, 1))
    table = Table(
        title=f"{local(start)} – {local(end, '%H:%M %Z')}; the market pays {prices.up[book.slot]:.2f} for up, "
        f"{prices.down[book.slot]:.2f} for down {escape(f'[{currency}/MWh]')}",
        caption=None if book.listings else "No offers",
        box=SIMPLE_HEAD,
        title_justify="left",
    )
    table.add_column("Asset")
    table.add_column("Way")
    for title in (
        "Volume\n[MWh]",
        f"Price\n[{currency}/MWh]",
        f"Cost\n[{currency}]",
        f"Value\n[{currency}]",
        "Power\n[MW]",
        "Rebound\n[MWh]",
        "Shifted\n[MWh·h]",
        "Curtailed\n[MWh]",
    ):
        table.add_column(escape(title), justify="right")
    for listing in book.listings:
        offer, effect = listing.offer, listing.offer.effect
        table.add_row(
            escape(f"{offer.asset} ({portfolio.positions[offer.asset].asset_id})"),
            offer.regulation.value,
            number(offer.volume_mwh),
            number(offer.price, ".2f"),
            number(offer.cost, ".2f"),
            number(listing.expected_value, ".2f"),
            f"{number(offer.planned_mw.mean())} → {number(offer.agreed_mw.mean())}",
            number(offer.rebound_mwh),
            number(effect.shifted_mwh_h),
            number(effect.curtailed_mwh),
        )
    return table


def _listing_options(command: Command) -> Command:
    options = (
        asset_option,
        owner_option,
        click.option("--start", type=Instant(), help="Only orders that end after this instant."),
        click.option("--end", type=Instant(), help="Only orders that start before this instant."),
        now_option,
        json_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


def _listed(asked: dict[str, Any]) -> list[Any]:
    return list_orders(db.session(), **asked)


@click.command("orders")
@_listing_options
@with_appcontext
def show_orders(now: datetime | None, as_json: bool, **asked: Any) -> None:
    """Show what was ordered: placed, running, expired and revoked orders of flexibility."""
    moment = present(now)
    orders = _listed(asked)
    if as_json:
        print_json(orders_as_data(orders, moment))
        return
    if not orders:
        click.echo("There are no orders. To place some: flexmeasures order place")
        return
    table = Table(box=SIMPLE_HEAD)
    for title in ("Order", "Status", f"From\n({zone()})", "Until", "Asset", "Way"):
        table.add_column(title, no_wrap=True)
    for title in ("Volume\n[MWh]", "Power\n[MW]", "Market price\n[…/MWh]", "Cost"):
        table.add_column(escape(title), justify="right", no_wrap=True)
    for order in orders:
        table.add_row(
            str(order.id),
            status_of(order, moment).value,
            local(order.start),
            local(order.end, "%H:%M"),
            escape(f"{order.asset.name} ({order.asset_id})"),
            order.regulation,
            number(order.volume_mwh),
            f"{number(_mean(order.planned_mw))} → {number(_mean(order.agreed_mw))}",
            number(order.market_price, ".2f"),
            f"{number(order.cost, '.2f')} {order.currency}",
        )
    open_console().print(table)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


@click.command("settlement")
@_listing_options
@with_appcontext
def show_settlement(now: datetime | None, as_json: bool, **asked: Any) -> None:
    """Show what ordered activations delivered and earned, and what owner and aggregator receive.

    What was measured counts; where nothing was measured yet, what is scheduled; with neither, what was expected.
    """
    moment = present(now)
    settlements = settle_orders(db.session(), _listed(asked))
    if as_json:
        print_json(settlements_as_data(settlements, moment))
        return
    if not settlements:
        click.echo("There are no orders to settle. To list them all: flexmeasures show orders")
        return
    console = open_console()
    for currency, sums in sum_up(settlements).items():
        console.print(_settlements([one for one in settlements if one.order.currency == currency], currency))
        lines = (_volumes(sums), _money(sums, currency))
        for line in lines:
            console.print(line, highlight=False, markup=False)


def _volumes(sums: Mapping[str, float]) -> str:
    return (
        f"{sums['activations']:.0f} activations delivered {sums['delivered_mwh']:.6g} of {sums['ordered_mwh']:.6g} "
        f"MWh; expected: shifted {sums['shifted_mwh']:.6g} MWh ({sums['shifted_mwh_h']:.6g} MWh·h), curtailed "
        f"{sums['curtailed_mwh']:.6g} MWh, CO₂ {number(sums.get('co2_kg'), '+.1f')} kg"
    )


def _money(sums: Mapping[str, float], currency: str) -> str:
    return (
        f"Profit {sums['profit']:.2f} {currency}: the owners receive {sums['owner']:.2f}, the aggregator "
        f"{sums['aggregator']:.2f}. The aggregator pays the owners {sums['payment_to_owner']:.2f} {currency}, "
        "their extra costs included."
    )


def _settlements(settlements: Sequence[Settlement], currency: str) -> Table:
    table = Table(box=SIMPLE_HEAD)
    for title in ("Order", f"From\n({zone()})"):
        table.add_column(title, no_wrap=True)
    table.add_column("Asset")
    table.add_column("Basis", no_wrap=True)
    titles = ("Revenue", "Cost", "Profit", "Owner", "Aggregator")
    for title in ("Delivered\n[MWh]", *(f"{title}\n[{currency}]" for title in titles)):
        table.add_column(escape(title), justify="right", no_wrap=True)
    for one in settlements:
        order = one.order
        money = (one.revenue, one.cost, one.profit, one.shares.owner, one.shares.aggregator)
        table.add_row(
            str(order.id),
            local(order.start),
            escape(f"{order.asset.name} ({order.asset_id})"),
            one.basis,
            f"{number(one.delivered_mwh)} of {number(order.volume_mwh)}",
            *(number(amount, ".2f") for amount in money),
        )
    return table
