"""Flexibility offers: what an asset could do otherwise in a slot, what that costs it, and how it rebounds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from flexmeasures.domain.errors import BadValues
from flexmeasures.domain.scheduling import (
    Commitment,
    Outcome,
    PlanOptions,
    Profile,
    Site,
    SitePlan,
    plan_site,
)

__all__ = ["FlexibilityOffer", "Regulation", "offers_for_slot", "order_as_commitment"]

FloatArray = NDArray[np.float64]
_LEAST_MWH = 1e-9
_URGENCY = 1000.0
"""How many times the highest price a deviation from the wanted power costs: more than any plan can gain by it."""


class Regulation(Enum):
    """Which way an activation moves the grid's frequency."""

    UP = "up"
    """Less consumption or more production."""
    DOWN = "down"
    """More consumption or less production."""


@dataclass(frozen=True)
class FlexibilityOffer:
    """What a device offers to do in one slot instead of its plan.

    Args:
        asset: Whose offer it is.
        slot: In which slot of the planning window.
        regulation: Up (less consumption) or down (more).
        volume_mwh: Energy of the change in that slot, > 0 [MWh].
        cost: What it costs the asset, its rebound included [currency]; may be negative.
        effect_mw: Change of power in all slots (n,) [MW]: the volume in its slot, the rebound elsewhere.
        planned_mw: Power of the asset in that slot if the offer is ordered [MW].
    """

    asset: str
    slot: int
    regulation: Regulation
    volume_mwh: float
    cost: float
    effect_mw: FloatArray
    planned_mw: float

    @property
    def price(self) -> float:
        """Cost of a unit [currency/MWh]."""
        return self.cost / self.volume_mwh

    @property
    def rebound_mw(self) -> FloatArray:
        """Change of power in the other slots (n,) [MW]."""
        rebound = self.effect_mw.copy()
        rebound[self.slot] = 0.0
        return rebound


def offers_for_slot(
    site: Site, planned: SitePlan, slot: int, *, resolution_hours: float, options: PlanOptions | None = None
) -> list[FlexibilityOffer]:
    """Find the greatest change that each controllable device of a site could make in a slot, each way.

    The site is planned again with the wish that the device uses as little (or as much) power in the slot as it can,
    while all its other wishes and limits hold. The extra cost of that plan is the price of the offer.

    Args:
        site: The site.
        planned: Its plan without activations.
        slot: In which slot (0 … n−1).
        resolution_hours: Duration of a slot [h].
        options: How `planned` was planned.

    Raises:
        BadValues: The slot lies outside the planning window.
    """
    options = options or PlanOptions()
    slots = planned.net_mw.size
    if not 0 <= slot < slots:
        raise BadValues(f"Slot {slot} lies outside a window of {slots} slots.")
    offers = []
    for device in site.devices:
        if not isinstance(device, Profile):
            for regulation in Regulation:
                pushed = _pushed(site, device.name, (slot, regulation), planned)
                changed = plan_site(pushed, resolution_hours=resolution_hours, options=options)
                offer = _offer(planned, changed, (device.name, slot, regulation), resolution_hours)
                if offer is not None:
                    offers.append(offer)
    return offers


def _pushed(site: Site, device: str, aim: tuple[int, Regulation], planned: SitePlan) -> Site:
    """Make the site wish for as little or as much power of a device in a slot as there can be."""
    slot, regulation = aim
    bought, sold = site.tariff.prices
    urgency = _URGENCY * max(1.0, float(np.max(np.abs(bought))), float(np.max(np.abs(sold))))
    powers = np.abs(np.concatenate([plan.power_mw for plan in planned.devices.values()]))
    far = 10.0 * max(1.0, float(np.max(powers))) * (-1.0 if regulation is Regulation.UP else 1.0)
    wanted = np.full(bought.size, np.nan)
    wanted[slot] = far
    push = Commitment(f"push {device}", wanted, urgency, urgency, device=device, is_paid=False)
    return replace(site, commitments=(*site.commitments, push))


def _offer(
    planned: SitePlan, changed: SitePlan, aim: tuple[str, int, Regulation], resolution_hours: float
) -> FlexibilityOffer | None:
    """Turn the difference of two plans into an offer; None if nothing (more) is given up or gained."""
    device, slot, regulation = aim
    if changed.outcome is Outcome.FALLBACK or len(changed.missed) > len(planned.missed):
        return None
    effect = changed.net_mw - planned.net_mw
    power = changed.devices[device].power_mw[slot]
    volume = float(abs(power - planned.devices[device].power_mw[slot]) * resolution_hours)
    if volume <= _LEAST_MWH:
        return None
    cost = changed.cost.total - planned.cost.total
    return FlexibilityOffer(device, slot, regulation, volume, cost, effect, float(power))


def order_as_commitment(offer: FlexibilityOffer, slots: int, price: float) -> Commitment:
    """Turn an ordered offer into the commitment that the next schedules keep.

    Args:
        offer: What was ordered.
        slots: Length of the planning window.
        price: What deviating from the order costs [currency/MWh].
    """
    agreed = np.full(slots, np.nan)
    agreed[offer.slot] = offer.planned_mw
    return Commitment(
        f"order of {offer.asset} in slot {offer.slot}", agreed, price, price, device=offer.asset
    )
