"""The connection of a site: what energy costs there, how much may flow, and what flows without anybody's control."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from flexmeasures.domain.coordination import GridSignals
from flexmeasures.domain.errors import UnknownPrices
from flexmeasures.domain.scheduling.flex_context import FlexContext, Quantity
from flexmeasures.domain.scheduling.linear import FloatArray
from flexmeasures.domain.scheduling.planning.facts import AssetFacts, MarketFacts, OnSlots, SlotGrid
from flexmeasures.domain.scheduling.planning.inputs import price_series
from flexmeasures.domain.scheduling.prices import PriceSeries, needed_until
from flexmeasures.domain.scheduling.site import Connection, PeakPrice, Tariff

__all__ = ["InflexibleFacts", "SiteFacts", "forecast_bounds", "inflexible_powers", "limits_of", "tariff_of"]


_NOISE_MW = 1e-6
"""Differences of power that do not count."""


@dataclass(frozen=True)
class InflexibleFacts:
    """Power that nobody controls.

    Attributes:
        name: What it is.
        power_mw: Expected power [MW, consumption positive].
        bounds_mw: Power that it stays above, and below, with the probability of the margin [MW]; None: nobody asks.
        is_rest: Whether it is what the meter of the site has beyond its parts.
    """

    name: str
    power_mw: OnSlots | None
    is_rest: bool = False
    bounds_mw: tuple[OnSlots, OnSlots] | None = None


@dataclass(frozen=True)
class SiteFacts:
    """All that is known of a site when it is planned.

    Attributes:
        asset_id: The asset with the devices below it.
        name: How messages call it.
        context: Its flex context.
        grid: The slots, which all devices share.
        devices: What is known of each device, on the same slots.
        bought: Prices of consumption; None: they are fixed by the context.
        sold: Prices of production; None: fixed by the context, or those of consumption.
        series: Field of the context → what its sensor says: limits [MW], CO₂ intensity [kg/MWh].
        inflexible: What nobody controls.
        slots_of_run: Asset → how many slots one value of the profile of a run stands for.
        signals: What the grid asks of the connection.
        peak_so_far_mw: Highest consumption that its meter has measured in this month [MW]; None: nothing is measured.
    """

    asset_id: int
    name: str
    context: FlexContext
    grid: SlotGrid
    devices: tuple[AssetFacts, ...]
    bought: MarketFacts | None = None
    sold: MarketFacts | None = None
    series: Mapping[str, OnSlots] = field(default_factory=dict)
    inflexible: tuple[InflexibleFacts, ...] = ()
    slots_of_run: Mapping[int, int] = field(default_factory=dict)
    signals: GridSignals | None = None
    peak_so_far_mw: float | None = None


def tariff_of(facts: SiteFacts, notes: list[str]) -> tuple[Tariff, str]:
    """Prices on the slots as far as they are known, with surcharges, peaks and emissions; and their currency."""
    context = facts.context
    currency = _currency(facts)
    bought = _prices(facts, facts.bought, context.consumption_price, currency, notes)
    if bought is None:
        raise UnknownPrices(
            f"Prices unknown for planning window: {facts.name!r} has neither a consumption-price in its flex context "
            "nor a market. Give it one."
        )
    sold = _prices(facts, facts.sold, context.production_price, currency, notes)
    slots = min(one.price.size for one in (bought, sold) if one is not None)
    price, assumed = bought.price[:slots], bought.assumed[:slots]
    paid = price if sold is None else sold.price[:slots]
    surcharges = [
        0.0 if one is None else one.amount_in(f"{currency}/MWh") or 0.0
        for one in (context.consumption_surcharge, context.production_surcharge)
    ]
    peaks: tuple[PeakPrice, ...] = ()
    if context.site_peak_consumption_price is not None:
        price_of_power = context.site_peak_consumption_price.amount_in(f"{currency}/MW") or 0.0
        peaks = (PeakPrice(price_of_power, _peak_so_far(facts, notes)),)
    intensity = _per_slot(facts, "co2-intensity", slots, "kg/MWh")
    if context.co2_intensity is not None and intensity is None:
        notes.append("The CO₂ intensity of the grid is not known; emissions are not counted.")
    elif intensity is not None and np.isnan(intensity).any():
        notes.append("Missing CO₂ intensities were taken to be the mean of the known ones.")
        intensity = np.where(np.isnan(intensity), np.nanmean(intensity), intensity)
    emission_price = 0.0 if context.co2_price is None else context.co2_price.amount_in(f"{currency}/t") or 0.0
    has_own_sale = sold is not None or any(surcharges)
    tariff = Tariff(
        price + surcharges[0],
        paid + surcharges[1] if has_own_sale else None,
        peaks,
        intensity,
        emission_price if intensity is not None else 0.0,
        assumed,
    )
    return tariff, currency


def _peak_so_far(facts: SiteFacts, notes: list[str]) -> float:
    """Peak that costs nothing more [MW]: the higher one of what is stated and what the meter measured in this month."""
    stated = facts.context.site_peak_consumption
    known = [0.0 if stated is None else stated.amount_in("MW") or 0.0, facts.peak_so_far_mw or 0.0]
    if stated is None and facts.peak_so_far_mw is None:
        notes.append(
            f"{facts.name} pays for its peak, but has no meter that says how high that was in this month, so it "
            "counts as 0: give it a sensor of its power, or a site-peak-consumption."
        )
    return max(known)


def _currency(facts: SiteFacts) -> str:
    named = {one.currency for _, one in facts.context.quantities if one.currency is not None}
    named |= {one.currency for one in (facts.bought, facts.sold) if one is not None}
    if len(named) > 1:
        raise UnknownPrices(
            f"The prices of {facts.name} are in {' and '.join(sorted(named))}: give all in one currency."
        )
    return next(iter(named), "")


def _prices(
    facts: SiteFacts, market: MarketFacts | None, fixed: Quantity | None, currency: str, notes: list[str]
) -> PriceSeries | None:
    """Prices of a direction [currency/MWh]: those of a market, or fixed ones."""
    slots = facts.grid.slots
    if market is None:
        amount = None if fixed is None else fixed.amount_in(f"{currency}/MWh")
        return None if amount is None else PriceSeries(np.full(slots, amount), np.zeros(slots, dtype=bool))
    grid = facts.grid
    until = [
        instant
        for one in facts.devices
        if (
            instant := needed_until(
                one.model, one.state.wanted(grid.start), (grid.start, grid.end), one.grid.zone
            )
        )
    ]
    least = max((-((grid.start - instant) // grid.resolution) for instant in until), default=0)
    series, said = price_series(market, grid, least)
    notes += [note for note in said if note not in notes]
    return series


def _per_slot(facts: SiteFacts, name: str, slots: int, unit: str) -> FloatArray | None:
    """What a field of the context says for each slot (n,), nan where nothing; None if nothing at all."""
    quantity = dict(facts.context.quantities).get(name)
    if quantity is None:
        return None
    amount = quantity.amount_in(unit)
    values = np.full(slots, np.nan if amount is None else amount)
    if name in facts.series:
        known = facts.series[name]
        values = np.where(known.known[:slots], known.values[:slots], values)
    return None if np.isnan(values).all() else values


def limits_of(facts: SiteFacts, asked: Connection, slots: int, notes: list[str]) -> Connection:
    """The tightest limits of each direction in each slot, less the margin."""
    margin = facts.context.reserve_margin
    kept = 0.0 if margin is None else margin.amount_in("MW") or 0.0
    by_grid = asked.per_slot(slots)
    limits = []
    for way, signal in zip(("consumption", "production"), by_grid, strict=True):
        limit = signal
        for name in ("site-power-capacity", f"site-{way}-capacity"):
            given = _per_slot(facts, name, slots, "MW")
            if given is not None:
                limit = np.minimum(limit, np.where(np.isnan(given), np.inf, given))
        if np.any(limit < kept):
            notes.append(
                f"The reserve margin is larger than the limit of {way} in some slots, which becomes 0 there."
            )
        limits.append(np.maximum(limit - kept, 0.0))
    return Connection(*limits)


def inflexible_powers(facts: SiteFacts, slots: int, notes: list[str]) -> dict[str, FloatArray]:
    """Power that nobody controls (n,) [MW], by name; where nothing is known it counts as 0, and that is said."""
    powers: dict[str, FloatArray] = {}
    for one in facts.inflexible:
        filled = None if one.power_mw is None else one.power_mw.filled(slots)
        if filled is None or one.power_mw is None:
            notes.append(
                f"Nothing is known about the power of {one.name}, so it counts as 0: forecast it first."
            )
            continue
        if one.power_mw.has_gaps(slots):
            notes.append(f"Missing values of {one.name} were taken to be like the ones beside them.")
        if one.is_rest and filled.min() < -_NOISE_MW:
            slot = int(filled.argmin())
            notes.append(
                f"The meter of {facts.name} is expected to use up to {-filled[slot]:.4g} MW less than its parts,"
                f" as at {facts.grid.word(facts.grid.slot_start(slot))}. That counts as production: if there is none,"
                " check signs and units of their sensors."
            )
        powers[one.name] = filled
    return powers


def forecast_bounds(
    facts: SiteFacts, powers: Mapping[str, FloatArray], notes: list[str]
) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Low and high power of what nobody controls (n,) each [MW], by name, for the margin of the connection."""
    bounds: dict[str, tuple[FloatArray, FloatArray]] = {}
    for one in facts.inflexible:
        if one.bounds_mw is None or one.name not in powers:
            continue
        power = powers[one.name]
        low, high = (edge.filled(power.size) for edge in one.bounds_mw)
        if low is None or high is None:
            notes.append(
                f"No forecast of {one.name} says between which powers it lies with a probability of "
                f"{facts.context.margin_probability:g}, so it has no margin: forecast it with these quantiles."
            )
        else:
            bounds[one.name] = np.minimum(low, power), np.maximum(high, power)
    return bounds
