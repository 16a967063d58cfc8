"""``flexmeasures order``: order flexibility from assets, and take orders back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import click
import numpy as np
from flask import current_app
from flask.cli import AppGroup
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from flexmeasures.cli.order_book import (
    asked_portfolio,
    enquiry_options,
    local,
    now_option,
    number,
    present,
    print_failures,
    print_json,
    progress_bar,
    zone,
)
from flexmeasures.cli.terminal import open_console
from flexmeasures.data.database import db
from flexmeasures.domain.flexibility import Contract
from flexmeasures.domain.time import format_instant
from flexmeasures.services.flexibility.order import (
    OrderTerms,
    Trade,
    place_orders,
    revoke_order,
    suggest_orders,
)
from flexmeasures.services.flexibility.show import trade_as_data

__all__ = ["order"]

_LEAST_CHANGE_MW = 1e-6

order = AppGroup("order", help="Order flexibility from assets, and take orders back.")


@order.command("place")
@enquiry_options
@click.option(
    "--least-value", type=float, default=0.0, help="The value that an order must exceed [currency]."
)
@click.option(
    "--deviation-price",
    type=float,
    help="What deviating from an order is taken to cost when schedules are made [currency/MWh]; "
    "FLEXMEASURES_DEVIATION_PRICE if left out.",
)
@click.option("--owner-share", type=float, default=1.0, help="The owner's share of the profit, from 0 to 1.")
@click.option(
    "--fee-per-activation", type=float, default=0.0, help="What the owner pays for an activation [currency]."
)
@click.option(
    "--fee-per-hour",
    type=float,
    default=0.0,
    help="What the owner pays for an hour of activation [currency/h].",
)
@click.option("--owner-bears-losses", is_flag=True, help="The owner has the same share of a loss.")
@click.option("--dry-run", is_flag=True, help="Show what would be ordered, and order nothing.")
def place(now: datetime | None, as_json: bool, dry_run: bool, **asked: Any) -> None:
    """Order all offers that pay in the first market slot, then in the second, and so on.

    What was ordered of an asset in a slot changes what it offers in the next ones. The next schedules of the assets
    keep the orders; make them with add schedules.
    """
    moment = present(now)
    price = asked["deviation_price"]
    terms = OrderTerms(
        current_app.config["FLEXMEASURES_DEVIATION_PRICE"] if price is None else price,
        Contract(
            asked["owner_share"],
            asked["fee_per_activation"],
            asked["fee_per_hour"],
            asked["owner_bears_losses"],
        ),
        asked["least_value"],
    )
    portfolio = asked_portfolio(asked, moment)
    with progress_bar("Asking for offers") as report:
        trade = suggest_orders(portfolio, terms, report)
    placed = [] if dry_run else place_orders(db.session(), trade, moment)
    ids = [one.id for one in placed]
    db.session.commit()
    if as_json:
        print_json(trade_as_data(trade, ids))
        return
    _print_trade(trade, ids, dry_run)


def _print_trade(trade: Trade, ids: Sequence[int], dry_run: bool) -> None:
    print_failures(trade.portfolio)
    if not trade.orders:
        click.echo(f"Nothing is worth ordering: no offer has a value above {trade.terms.least_value:g}.")
        return
    console = open_console()
    console.print(_orders(trade, ids))
    console.print(_effect(trade))
    currency = trade.portfolio.currency
    click.echo(f"Expected value: {trade.expected_value:.2f} {currency}")
    if dry_run:
        click.echo("Nothing was ordered: leave out --dry-run to order it.")
        return
    positions = trade.portfolio.positions
    assets = sorted({positions[one.offer.asset].asset_id for one in trade.orders})
    words = " ".join(f"--asset {asset}" for asset in assets) if len(assets) <= 5 else "--all"
    click.echo(f"To make schedules that keep these orders: flexmeasures add schedules {words}")


def _orders(trade: Trade, ids: Sequence[int]) -> Table:
    grid, currency = trade.portfolio.grid, trade.portfolio.currency
    table = Table(box=SIMPLE_HEAD)
    for title in ("Order", f"From\n({zone()})", "Until", "Asset", "Way"):
        table.add_column(title, no_wrap=True)
    for title in (
        "Volume\n[MWh]",
        "Power\n[MW]",
        f"Market price\n[{currency}/MWh]",
        f"Price\n[{currency}/MWh]",
        f"Value\n[{currency}]",
    ):
        table.add_column(escape(title), justify="right", no_wrap=True)
    for place, listing in enumerate(trade.orders):
        offer = listing.offer
        start, end = (grid.start_of(offer.slot + ahead) for ahead in (0, 1))
        table.add_row(
            str(ids[place]) if ids else "–",
            local(start),
            local(end, "%H:%M"),
            escape(f"{offer.asset} ({trade.portfolio.positions[offer.asset].asset_id})"),
            offer.regulation.value,
            number(offer.volume_mwh),
            f"{number(offer.planned_mw.mean())} → {number(offer.agreed_mw.mean())}",
            number(trade.portfolio.prices.of(offer), ".2f"),
            number(offer.price, ".2f"),
            number(listing.expected_value, ".2f"),
        )
    return table


def _effect(trade: Trade) -> Table:
    """One row for each run of market slots in which the power of the portfolio changes alike."""
    grid, before, after = trade.portfolio.grid, trade.before_mw, trade.after_mw
    table = Table(title="Effect on the portfolio", box=SIMPLE_HEAD, title_justify="left")
    table.add_column(f"From ({zone()})")
    table.add_column("Until")
    for title in ("Before\n[MW]", "After\n[MW]", "Change\n[MW]"):
        table.add_column(escape(title), justify="right")
    profiles = np.round(np.column_stack([before, after]), 9)
    edges = [0, *(np.flatnonzero(np.any(np.diff(profiles, axis=0), axis=1)) + 1).tolist(), grid.slots]
    for first, last in pairwise(edges):
        change = float(after[first] - before[first])
        if abs(change) > _LEAST_CHANGE_MW:
            table.add_row(
                local(grid.start_of(first)),
                local(grid.start_of(last), "%H:%M"),
                number(before[first]),
                number(after[first]),
                number(change, "+.4g"),
            )
    return table


@order.command("revoke")
@click.argument("order_ids", metavar="ORDER...", type=int, nargs=-1, required=True)
@click.option("--owner", "owner_id", type=int, help="Only orders from assets of the user with this id.")
@now_option
def revoke(order_ids: tuple[int, ...], owner_id: int | None, now: datetime | None) -> None:
    """Take back orders whose slots have not begun: all that are named, or none."""
    moment = present(now)
    revoked = [revoke_order(db.session(), one, moment, owner_id) for one in order_ids]
    lines = [
        f"Revoked order {one.id} of {one.asset.name} from {format_instant(one.start)} on." for one in revoked
    ]
    assets = " ".join(f"--asset {asset}" for asset in sorted({one.asset_id for one in revoked}))
    db.session.commit()
    click.echo("\n".join([*lines, f"To plan without: flexmeasures add schedules {assets}"]))
