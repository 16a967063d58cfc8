"""Statements as plain data and as rows, for every door that shows them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from flexmeasures.domain.communities.compensation import to_cents
from flexmeasures.domain.communities.metrics import kwh
from flexmeasures.services.communities.statements import MonthlyStatement

__all__ = ["FORMULAS", "as_csv", "as_data"]

FORMULAS = {
    "consumption": "measured at the supply point, where readings of the plant are there as well",
    "allocated": "the supply point's part of the generation",
    "self_consumption": "per settlement interval the lesser of the part and the consumption",
    "surplus": "allocated - self_consumption",
    "from_grid": "consumption - self_consumption",
    "saved": "self_consumption × (price of energy - remaining grid fee) - paid_to_community",
    "credit": "Σ surplus × price of surplus",
    "credit_used": "the credit, at most the cost of the energy from the grid in the month",
    "credit_lost": "credit - credit_used; it is not carried over",
    "to_pay": "energy from the grid at its price - credit_used; without power term and taxes",
}
"""Formula of each figure of a statement."""


def as_data(one: MonthlyStatement) -> dict[str, Any]:
    """Write a statement as plain data: energies in kWh, money in units of its currency, to the cent."""
    made, money = one.statement, one.statement.compensation
    return {
        "service": one.service,
        "supply_point": made.supply_point,
        "first_day": made.first_day.isoformat(),
        "last_day": made.last_day.isoformat(),
        "consumption": kwh(made.consumed),
        "allocated": kwh(made.allocated),
        "self_consumption": kwh(made.self_consumed),
        "surplus": kwh(made.surplus),
        "from_grid": kwh(made.from_grid),
        "shared_of_consumption": one.share,
        "saved": float(to_cents(made.saved)),
        "paid_to_community": float(to_cents(made.paid_to_community)),
        "energy_cost": float(to_cents(money.energy_cost)),
        "credit": float(to_cents(money.credit)),
        "credit_used": float(to_cents(money.credit_used)),
        "credit_lost": float(to_cents(money.credit_lost)),
        "to_pay": float(to_cents(money.to_pay)),
        "currency": made.currency,
        "coverage": made.coverage,
        "provisional": one.is_provisional,
    }


def as_csv(statements: Sequence[MonthlyStatement]) -> str:
    """Write statements as CSV, a row each, with a header."""
    text = io.StringIO()
    rows = [as_data(one) for one in statements]
    fields = list(rows[0]) if rows else ["service", "supply_point", "first_day", "last_day"]
    writer = csv.DictWriter(text, fields)
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _harmless(value) for name, value in row.items()})
    return text.getvalue()


def _harmless(value: Any) -> Any:
    """Keep spreadsheets from taking a text for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
