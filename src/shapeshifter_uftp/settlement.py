"""Settlement: what was ordered, measured, delivered and is to be paid.

For each ISP, with baseline B, ordered flexibility F (signed) and actual power A, all in watts:

* delivered: ``max(F, min(0, A - B))`` when F < 0, ``min(F, max(0, A - B))`` when F > 0, with the sign of F;
* deficiency: ``max(0, A - (B + F))`` when F < 0, ``max(0, (B + F) - A)`` when F > 0, never negative, and not capped.

More than was ordered is neither paid nor punished. ``NetSettlement = Price - Penalty``.
Source: UFTP specification 3.1.0, "FlexSettlement".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from shapeshifter_uftp.exceptions import InvalidValue
from shapeshifter_uftp.trading import span_of
from shapeshifter_uftp.uftp import (
    AcceptedDisputed,
    ContractSettlement,
    ContractSettlementISP,
    ContractSettlementPeriod,
    DPrognosis,
    FlexOrder,
    FlexOrderSettlement,
    FlexOrderSettlementISP,
    FlexOrderSettlementStatus,
    FlexSettlement,
    Metering,
    MeteringProfileEnum,
)
from shapeshifter_uftp.writing import currency_digits

__all__ = [
    "SettlementTerms", "baseline_of", "deficiency", "delivered", "item_problem", "measured_power", "no_contracts",
    "settle_order", "statuses_of",
]  # fmt: skip


def delivered(baseline: int, ordered: int, actual: int) -> int:
    """Give the flexibility delivered [W], with the sign of the order.

    >>> delivered(10, -2, 9), delivered(10, -2, 7), delivered(10, -2, 11), delivered(10, 3, 12)
    (-1, -2, 0, 2)
    """
    change = actual - baseline
    return max(ordered, min(0, change)) if ordered < 0 else min(ordered, max(0, change))


def deficiency(baseline: int, ordered: int, actual: int) -> int:
    """Give the shortfall against the order [W], never negative; nothing is short where nothing was ordered.

    >>> deficiency(10, -2, 9), deficiency(10, -2, 7), deficiency(10, -2, 11), deficiency(10, 0, 99)
    (1, 0, 3, 0)
    """
    if ordered == 0:
        return 0
    short = actual - (baseline + ordered)
    return max(0, short if ordered < 0 else -short)


@dataclass(frozen=True, slots=True)
class SettlementTerms:
    """Terms of payment of an order.

    Attributes:
        penalty_per_mw: Price of one megawatt missing during one ISP, in the order's currency.
        price_per_mw: Price of one megawatt delivered during one ISP; None: the order's price, shared evenly over what
            was ordered.
    """

    penalty_per_mw: Decimal = Decimal(0)
    price_per_mw: Decimal | None = None


def baseline_of(prognosis: DPrognosis) -> dict[int, int]:
    """Give the power of every ISP of a prognosis [W]."""
    return {n: isp.power for isp in prognosis.isps for n in span_of(isp)}


def measured_power(messages: Iterable[Metering]) -> dict[int, int]:
    """Add up the metering of several connections: mean power of every ISP [W], positive for consumption.

    The power profile is used where there is one, else imported minus exported energy.

    Raises:
        InvalidValue: A message has neither.
    """
    total: dict[int, Decimal] = {}
    for message in messages:
        for isp, kilowatts in _kilowatts(message).items():
            total[isp] = total.get(isp, Decimal(0)) + kilowatts
    return {isp: int((kw * 1000).quantize(Decimal(1), ROUND_HALF_EVEN)) for isp, kw in total.items()}


def _kilowatts(message: Metering) -> dict[int, Decimal]:
    profiles = {
        profile.profile_type: {isp.start: isp.value for isp in profile.isps} for profile in message.profiles
    }
    if MeteringProfileEnum.POWER in profiles:
        return profiles[MeteringProfileEnum.POWER]
    imported = profiles.get(MeteringProfileEnum.IMPORT_ENERGY, {})
    exported = profiles.get(MeteringProfileEnum.EXPORT_ENERGY, {})
    if not imported and not exported:
        raise InvalidValue(f"The metering of {message.ean} has neither power nor energy")
    per_hour = Decimal(3600) / Decimal(str(message.isp_duration.total_seconds()))
    nothing = Decimal(0)
    return {
        n: (imported.get(n, nothing) - exported.get(n, nothing)) * per_hour for n in {*imported, *exported}
    }


def settle_order(
    order: FlexOrder,
    baseline: Mapping[int, int],
    actual: Mapping[int, int],
    terms: SettlementTerms | None = None,
) -> FlexOrderSettlement:
    """Settle one order.

    Args:
        order: The order.
        baseline: Power expected without flexibility, by ISP [W].
        actual: Power measured, by ISP [W].
        terms: How it is paid; None: the order's price for what was delivered, no penalty.

    Raises:
        InvalidValue: Baseline or measurement lacks an ISP of the order.
    """
    terms = terms or SettlementTerms()
    isps = []
    ordered = {n: isp.power for isp in order.isps for n in span_of(isp)}
    for number, power in sorted(ordered.items()):
        if number not in baseline or number not in actual:
            raise InvalidValue(f"ISP {number} of {order.period} has no baseline or no measurement")
        isps.append(
            FlexOrderSettlementISP(
                start=number,
                baseline_power=baseline[number],
                ordered_flex_power=power,
                actual_power=actual[number],
                delivered_flex_power=delivered(baseline[number], power, actual[number]),
                power_deficiency=deficiency(baseline[number], power, actual[number]),
            )
        )
    price, penalty = _amounts(order, isps, terms)
    return FlexOrderSettlement(
        isps=isps,
        order_reference=order.order_reference,
        period=order.period,
        contract_id=order.contract_id,
        d_prognosis_message_id=order.d_prognosis_message_id,
        baseline_reference=order.baseline_reference,
        congestion_point=order.congestion_point,
        price=price,
        penalty=penalty,
        net_settlement=price - penalty,
    )


def _amounts(
    order: FlexOrder, isps: list[FlexOrderSettlementISP], terms: SettlementTerms
) -> tuple[Decimal, Decimal]:
    unit = Decimal(1).scaleb(-currency_digits(order.currency))
    paid_for = sum(abs(isp.delivered_flex_power) for isp in isps)
    if terms.price_per_mw is not None:
        price = terms.price_per_mw * paid_for / 1_000_000
    else:
        ordered = sum(abs(isp.ordered_flex_power) for isp in isps)
        price = order.price * paid_for / ordered if ordered else order.price
    penalty = terms.penalty_per_mw * sum(isp.power_deficiency for isp in isps) / 1_000_000
    return price.quantize(unit, ROUND_HALF_EVEN), penalty.quantize(unit, ROUND_HALF_EVEN)


def no_contracts(period: dt.date) -> list[ContractSettlement]:
    """Give the settlement of no contract: the schemas of 3.x want one even where there is none."""
    nothing = ContractSettlementISP(start=1, reserved_power=0)
    return [ContractSettlement(periods=[ContractSettlementPeriod(period=period, isps=[nothing])])]


def item_problem(item: FlexOrderSettlement, order: FlexOrder | None) -> str | None:
    """Tell what is wrong with a settlement item, seen by the aggregator; None when nothing is.

    Checked are the sums (net = price - penalty), the arithmetic of each ISP, and that ordered powers are the order's.
    """
    if order is None:
        return f"Unknown reference OrderReference: {item.order_reference}"
    if item.net_settlement != item.price - item.penalty:
        return f"NetSettlement {item.net_settlement} is not Price {item.price} minus Penalty {item.penalty}"
    ordered = {n: isp.power for isp in order.isps for n in span_of(isp)}
    settled = {n: isp for isp in item.isps for n in span_of(isp)}
    if set(ordered) != set(settled):
        return "The ISPs are not those of the order"
    for number, isp in sorted(settled.items()):
        given = (isp.baseline_power, isp.ordered_flex_power, isp.actual_power)
        if isp.ordered_flex_power != ordered[number]:
            return f"ISP {number}: {ordered[number]} W were ordered, not {isp.ordered_flex_power} W"
        if abs(isp.delivered_flex_power) != abs(delivered(*given)) or isp.power_deficiency != deficiency(
            *given
        ):
            return f"ISP {number}: delivered power or deficiency does not follow from baseline, order and actual power"
    return None


def statuses_of(
    settlement: FlexSettlement, orders: Mapping[str, FlexOrder]
) -> list[FlexOrderSettlementStatus]:
    """Accept or dispute each item of a settlement.

    Args:
        settlement: The settlement received.
        orders: The orders that we accepted, by OrderReference.
    """
    statuses = []
    for item in settlement.flex_order_settlements:
        problem = item_problem(item, orders.get(item.order_reference or ""))
        disposition = AcceptedDisputed.DISPUTED if problem else AcceptedDisputed.ACCEPTED
        statuses.append(
            FlexOrderSettlementStatus(
                order_reference=item.order_reference, disposition=disposition, dispute_reason=problem
            )
        )
    return statuses
