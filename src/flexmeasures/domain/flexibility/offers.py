"""Flexibility offers: what an asset could do otherwise in a slot, what that costs it, and how it rebounds.

A market slot may be several slots of a plan long: *width* is how many. Market slots are counted from the start of the
planning window, as the slots of the plan are.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flexmeasures.domain.errors import BadValues
from flexmeasures.domain.flexibility.activation import Effect, effect_of
from flexmeasures.domain.scheduling import (
    Commitment,
    Curtailable,
    Outcome,
    PlanOptions,
    Site,
    SitePlan,
    StorageUse,
    cost_of,
    plan_site,
)

__all__ = [
    "FlexibilityOffer",
    "Regulation",
    "SlotEnquiry",
    "offers_for_slot",
    "order_as_commitment",
    "plan_along",
]

FloatArray = NDArray[np.float64]
_LEAST_MWH = 1e-6
_BEYOND_REACH_MW = 1e9
_URGENCY = 100.0
"""Cost of deviating from the wanted power, as a multiple of the highest price: more than any plan can gain by it."""
_FIRMNESS = 10.0
"""Cost of deviating from earlier orders, as a multiple of that."""


class Regulation(Enum):
    """Direction in which an activation moves the grid's frequency."""

    UP = "up"
    """Less consumption or more production."""
    DOWN = "down"
    """More consumption or less production."""

    @property
    def sign(self) -> float:
        """Sign of the change of power, which is consumption-positive."""
        return -1.0 if self is Regulation.UP else 1.0


@dataclass(frozen=True)
class SlotEnquiry:
    """Enquiry to a site: a change in a market slot.

    Args:
        slot: In which market slot.
        width: How many slots of the plan a market slot has.
        volume_mwh: The most that is wanted, evenly over the slot, > 0 [MWh]; None: as much as there is.

    Raises:
        BadValues: No volume is wanted.
    """

    slot: int
    width: int = 1
    volume_mwh: float | None = None

    def __post_init__(self) -> None:
        if self.volume_mwh is not None and not (np.isfinite(self.volume_mwh) and self.volume_mwh > 0):
            raise BadValues(f"The volume is {self.volume_mwh:g} MWh: give one above 0.")

    @property
    def when(self) -> slice:
        """Its slots in the plan."""
        return slice(self.slot * self.width, (self.slot + 1) * self.width)


@dataclass(frozen=True)
class FlexibilityOffer:
    """Offer of an asset: another power in a market slot than planned.

    Args:
        asset: Whose offer it is.
        slot: In which market slot.
        regulation: Up (less consumption) or down (more).
        volume_mwh: Energy of the change in that slot, > 0 [MWh].
        cost: What it costs the asset, its rebound included [currency]; negative if the asset gains by it.
        planned: The plan without it.
        changed: The plan if it is ordered.
        resolution_hours: Duration of a slot of the plans [h].
        width: How many slots of the plans a market slot has.
    """

    asset: str
    slot: int
    regulation: Regulation
    volume_mwh: float
    cost: float
    planned: SitePlan
    changed: SitePlan
    resolution_hours: float = 1.0
    width: int = 1

    @property
    def price(self) -> float:
        """Cost of a unit [currency/MWh]."""
        return self.cost / self.volume_mwh

    @property
    def when(self) -> slice:
        """Its slots in the plans."""
        return slice(self.slot * self.width, (self.slot + 1) * self.width)

    @property
    def planned_mw(self) -> FloatArray:
        """Power in its slots without it (width,) [MW]."""
        return np.asarray(self.planned.net_mw[self.when])

    @property
    def agreed_mw(self) -> FloatArray:
        """Power in its slots if it is ordered (width,) [MW]."""
        return np.asarray(self.changed.net_mw[self.when])

    @property
    def effect_mw(self) -> FloatArray:
        """Change of power in all slots (n,) [MW]: the volume in its own, the rebound in the others."""
        return self.changed.net_mw - self.planned.net_mw

    @property
    def rebound_mw(self) -> FloatArray:
        """Change of power in the other slots (n,) [MW]."""
        rebound = self.effect_mw
        rebound[self.when] = 0.0
        return rebound

    @property
    def rebound_mwh(self) -> float:
        """Energy of the rebound, positive if more is consumed [MWh]."""
        return float(np.sum(self.rebound_mw)) * self.resolution_hours

    @property
    def effect(self) -> Effect:
        """Return the energy that it shifts, curtails and adds."""
        are_stores = [one.soc_mwh is not None for one in self.changed.devices.values()]
        can_curtail = not are_stores or not all(are_stores)
        return effect_of(
            self.changed.net_mw, self.planned.net_mw, self.resolution_hours, can_curtail=can_curtail
        )

    @property
    def co2_kg(self) -> float:
        """Change of emissions [kg]; negative if it avoids some."""
        return self.changed.cost.co2_kg - self.planned.cost.co2_kg

    def effect_by_market_slot(self, slots: int) -> FloatArray:
        """Average change of power in each of the market slots (m,) [MW]; 0 after the end of the plan."""
        effect = np.zeros(slots * self.width)
        known = self.effect_mw[: effect.size]
        effect[: known.size] = known
        return np.asarray(effect.reshape(slots, self.width).mean(axis=1))


def plan_along(
    site: Site,
    power_mw: ArrayLike,
    *,
    resolution_hours: float,
    options: PlanOptions | None = None,
    firm: Collection[str] = (),
) -> SitePlan:
    """Plan a site so that it follows a given power as closely as its limits, wishes and orders allow.

    Args:
        site: The site.
        power_mw: Power of the whole site (n,) [MW]; nan where it may do what is best.
        resolution_hours: Duration of a slot [h].
        options: How to plan.
        firm: Names of commitments that go before.

    Returns:
        The plan, with its cost at the prices of the site.
    """
    urged = _urge(site, np.asarray(power_mw, dtype=float), resolution_hours, firm)
    return _judged(
        site, plan_site(urged, resolution_hours=resolution_hours, options=options), resolution_hours
    )


def offers_for_slot(
    site: Site,
    planned: SitePlan,
    enquiry: SlotEnquiry,
    *,
    resolution_hours: float,
    options: PlanOptions | None = None,
    firm: Collection[str] = (),
) -> list[FlexibilityOffer]:
    """Find the greatest change that a site could make in a market slot, each way.

    The site is planned again with the wish that it uses as little (or as much) power in the slot as it can, while all
    its other wishes and limits hold. The extra cost of that plan is what the offer costs.

    Args:
        site: The site.
        planned: Its plan without activations.
        enquiry: In which slot, and how much at most.
        resolution_hours: Duration of a slot of the plan [h].
        options: How `planned` was planned.
        firm: Names of commitments that are kept in any case: what was ordered before.

    Raises:
        BadValues: The slot does not lie in the planning window.
    """
    slots, slot, width, when = planned.net_mw.size, enquiry.slot, enquiry.width, enquiry.when
    if not 0 <= slot < slots // width:
        raise BadValues(
            f"Slot {slot} lies outside a window of {slots // width} slots: plan further, or take an earlier slot."
        )
    offers = []
    for regulation in Regulation:
        wanted = np.full(slots, np.nan)
        if enquiry.volume_mwh is None:
            wanted[when] = regulation.sign * _BEYOND_REACH_MW
        else:
            change = enquiry.volume_mwh / (width * resolution_hours)
            wanted[when] = planned.net_mw[when] + regulation.sign * change
        changed = plan_along(site, wanted, resolution_hours=resolution_hours, options=options, firm=firm)
        energy = float(np.sum((changed.net_mw - planned.net_mw)[when])) * resolution_hours
        worse = changed.outcome is Outcome.FALLBACK or len(changed.missed) > len(planned.missed)
        if energy * regulation.sign > _LEAST_MWH and not worse:
            cost = changed.cost.total - planned.cost.total
            offers.append(
                FlexibilityOffer(
                    site.name, slot, regulation, abs(energy), cost, planned, changed, resolution_hours, width
                )
            )
    return offers


def _urge(site: Site, power_mw: FloatArray, resolution_hours: float, firm: Collection[str]) -> Site:
    """Make a site wish for a power before all that its prices say, and to keep firm commitments before that."""
    bought, sold = site.tariff.prices
    prices = [1.0, float(np.max(np.abs(bought))), float(np.max(np.abs(sold)))]
    co2 = np.abs(site.tariff.co2(bought.size)).max(initial=0.0)
    prices += [co2, co2 / 1000.0 * abs(site.tariff.co2_price)]
    for device in site.devices:
        if isinstance(device, StorageUse):
            prices += [
                abs(device.value_of_energy_left),
                abs(device.final_soc_price),
                device.device.wear_price,
            ]
        elif isinstance(device, Curtailable):
            prices.append(abs(device.price))
    for peak in site.tariff.peaks:
        prices.append(peak.price / resolution_hours)
    for one in site.commitments:
        if one.name not in firm:
            prices += [abs(one.price_above), abs(one.price_below)]
    urgency = _URGENCY * max(prices)
    # What a single device does is what the site does; stated of the device, it takes a smaller model.
    only = site.devices[0].name if len(site.devices) == 1 else None
    kept = []
    for one in site.commitments:
        of = one.device or only
        if one.name in firm:
            price = _FIRMNESS * urgency
            kept.append(replace(one, device=of, price_above=price, price_below=price))
        else:
            kept.append(replace(one, device=of))
    wish = Commitment(f"wanted of {site.name}", power_mw, urgency, urgency, only, is_paid=False)
    return replace(site, commitments=(*kept, wish))


def _judged(site: Site, plan: SitePlan, resolution_hours: float) -> SitePlan:
    """Give a plan its cost at the site as it is, without what it was urged to do."""
    powers = {name: one.power_mw for name, one in plan.devices.items()}
    soc = {name: one.soc_mwh for name, one in plan.devices.items() if one.soc_mwh is not None}
    hours = np.full(plan.net_mw.size, resolution_hours)
    return replace(plan, cost=cost_of(site, hours, powers, soc))


def order_as_commitment(offer: FlexibilityOffer, price: float) -> Commitment:
    """Turn an ordered offer into the commitment that the next schedules of its site keep.

    Args:
        offer: What was ordered.
        price: What deviating from the order costs [currency/MWh].
    """
    agreed = np.full(offer.changed.net_mw.size, np.nan)
    agreed[offer.when] = offer.agreed_mw
    return Commitment(f"order of {offer.asset} in slot {offer.slot}", agreed, price, price)
