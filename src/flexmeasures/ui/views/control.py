"""Flexibility opportunities: what assets offer in a slot, its worth and effect; ordering and taking back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import current_app, flash, redirect, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response as BaseResponse

from flexmeasures.data.database import db
from flexmeasures.data.transactional import as_transaction
from flexmeasures.domain.errors import FlexError, NotFound
from flexmeasures.domain.flexibility import Regulation, profile_after
from flexmeasures.domain.time import format_instant, parse_instant
from flexmeasures.jobs.schedules import planning_of
from flexmeasures.services.flexibility.broker import (
    Enquiry,
    MarketTerms,
    Portfolio,
    make_order_books,
    open_portfolio,
)
from flexmeasures.services.flexibility.order import (
    OrderTerms,
    Trade,
    list_orders,
    place_orders,
    revoke_order,
    status_of,
)
from flexmeasures.services.users import has_role
from flexmeasures.ui.blueprint import blueprint, needs_roles
from flexmeasures.ui.csrf import csrf_fault
from flexmeasures.ui.forms import FormState, keeps_typed, read_number
from flexmeasures.ui.utils.view_utils import render_flexmeasures_template

_TRADERS = ("admin", "Aggregator", "Supplier")
"""Who sees the offers of all assets, and orders them; owners see those of their own assets."""

_ROLES = (*_TRADERS, "Prosumer")

_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class _Asked:
    """Which offers are looked at.

    Attributes:
        up_price: What the market pays for less consumption or more production [currency/MWh] ...
        down_price: ... and for the opposite.
    """

    start: datetime
    up_price: float
    down_price: float

    @property
    def values(self) -> dict[str, Any]:
        """As they stand in an address."""
        return {"start": format_instant(self.start), "up_price": self.up_price, "down_price": self.down_price}


def _read(form: FormState) -> _Asked:
    """Read what is asked for: the next full hour, if nothing is said."""
    now = datetime.now(UTC)
    usual = now.replace(minute=0, second=0, microsecond=0) + _HOUR
    start = usual
    if request.values.get("start"):
        try:
            start = parse_instant(request.values["start"], "start")
        except FlexError as error:
            form.add("", str(error))
    prices = [
        read_number(form, request.values, name, required=False) or 0.0 for name in ("up_price", "down_price")
    ]
    return _Asked(start, *prices)


def _owner() -> int | None:
    """Say whose assets are looked at: all for traders, their own for owners."""
    return None if has_role(current_user, *_TRADERS) else current_user.id


@blueprint.route("/control", methods=["GET", "POST"])
@needs_roles(*_ROLES)
def show_control() -> str:
    """Show the orders at once; the offers, which take some seconds to work out, come after."""
    form = FormState()
    asked = _read(form)
    now = datetime.now(UTC)
    hours = [now.replace(minute=0, second=0, microsecond=0) + n * _HOUR for n in range(1, 25)]
    orders = list_orders(db.session, owner_id=_owner(), start=now - timedelta(days=1))
    return render_flexmeasures_template(
        "pages/control.html",
        asked=asked,
        form=form,
        hours=hours,
        orders=[(order, status_of(order, now).value) for order in orders],
        is_trader=has_role(current_user, *_TRADERS),
        load_now="offers" in request.args,
        offers=_offers(asked) if "offers" in request.args else None,
    )


@blueprint.get("/control/offers")
@needs_roles(*_ROLES)
def show_offers() -> str:
    """Show the order book of a slot, as a part of a page."""
    form = FormState()
    asked = _read(form)
    return render_flexmeasures_template("pages/control_offers.html", **_offers(asked))


def _offers(asked: _Asked) -> dict[str, Any]:
    """Work out what is offered."""
    shown: dict[str, Any] = {"asked": asked, "is_trader": has_role(current_user, *_TRADERS), "fault": None}
    try:
        portfolio = _open(asked)
    except FlexError as error:
        return {**shown, "fault": str(error), "is_empty": isinstance(error, NotFound)}
    book = make_order_books(portfolio)[0]
    rows = []
    for listing in book.listings:
        after = profile_after(portfolio.profile_mw, [listing.offer])
        rows.append(
            {
                "listing": listing,
                "offer": listing.offer,
                "asset_id": portfolio.positions[listing.offer.asset].asset_id,
                "before": portfolio.profile_mw[: _shown(portfolio)],
                "after": after[: _shown(portfolio)],
                "spark": _spark(portfolio.profile_mw[: _shown(portfolio)], after[: _shown(portfolio)]),
            }
        )
    return {**shown, "rows": rows, "portfolio": portfolio, "failures": portfolio.failures}


def _shown(portfolio: Portfolio) -> int:
    """So many slots are drawn: a day."""
    return min(portfolio.grid.slots, timedelta(days=1) // portfolio.grid.slot)


def _spark(before: Any, after: Any) -> dict[str, str]:
    """Draw two profiles as the paths of a small picture, 240 × 48."""
    low, high = min(before.min(), after.min(), 0.0), max(before.max(), after.max(), 0.0)
    room = (high - low) or 1.0

    def path(values: Any) -> str:
        width = 240 / len(values)
        parts = []
        for n, value in enumerate(values):
            y = 46 - (value - low) / room * 44
            parts.append(f"{'M' if n == 0 else 'L'}{n * width:.1f} {y:.1f}H{(n + 1) * width:.1f}")
        return "".join(parts)

    return {"before": path(before), "after": path(after), "zero": f"{46 - (0 - low) / room * 44:.1f}"}


def _open(asked: _Asked, asset_ids: tuple[int, ...] = (), regulation: Regulation | None = None) -> Portfolio:
    config = current_app.config
    enquiry = Enquiry(
        asked.start,
        asked.start + _HOUR,
        config["FLEXMEASURES_PLANNING_HORIZON"],
        MarketTerms(asked.up_price, asked.down_price),
        asset_ids=asset_ids,
        owner_id=_owner(),
        regulation=regulation,
        slot=_HOUR,
    )
    return open_portfolio(db.session(), enquiry, planning_of(config), datetime.now(UTC))


@blueprint.post("/control/order")
@keeps_typed
@needs_roles(*_TRADERS)
def order_offer() -> BaseResponse:
    """Order what an asset offers in a slot; it is worked out anew, because it may have changed."""
    form = FormState()
    asked = _read(form)
    back = redirect(url_for("flexmeasures_ui.show_control", **asked.values))
    fault = csrf_fault() or "; ".join(form.errors.get("", []))
    text = request.form.get("asset", "")
    if fault or not (text.isascii() and text.isdigit() and len(text) < 10):
        flash(fault or "Choose an offer.", "error")
        return back
    try:
        regulation = Regulation(request.form.get("regulation"))
        placed = as_transaction(_place)(asked, int(text), regulation)
    except (FlexError, ValueError) as error:
        db.session.rollback()
        flash(str(error) if isinstance(error, FlexError) else "Choose an offer.", "error")
        return back
    flash(f"Ordered: {placed.volume_mwh:.3g} MWh of {placed.asset.display_name}. Its next schedule keeps it.")
    return back


def _place(asked: _Asked, asset_id: int, regulation: Regulation) -> Any:
    portfolio = _open(asked, (asset_id,), regulation)
    listings = make_order_books(portfolio)[0].listings
    if not listings:
        raise NotFound("This is not offered any more. Look at the offers again.")
    terms = OrderTerms(current_app.config["FLEXMEASURES_DEVIATION_PRICE"])
    trade = Trade(portfolio, terms, listings[:1], portfolio.profile_mw)
    return place_orders(db.session(), trade, datetime.now(UTC))[0]


@blueprint.post("/control/cancel")
@keeps_typed
@needs_roles(*_TRADERS)
def cancel_order() -> BaseResponse:
    """Take back an order before its slot begins."""
    text = request.form.get("order", "")
    fault = csrf_fault()
    if fault or not (text.isascii() and text.isdigit() and len(text) < 19):
        flash(fault or "Choose an order.", "error")
    else:
        try:
            as_transaction(revoke_order)(db.session(), int(text), datetime.now(UTC))
            flash(f"Order {text} was taken back.")
        except FlexError as error:
            db.session.rollback()
            flash(str(error), "error")
    return redirect(url_for("flexmeasures_ui.show_control"))
