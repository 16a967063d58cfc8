"""Judging what is known of an asset: which prices, forecasts, states and wishes its plan is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from flexmeasures.domain.errors import NotEnoughData, UnknownPrices
from flexmeasures.domain.scheduling.asset_site import AssetSite, Situation, make_asset_site, with_usual_size
from flexmeasures.domain.scheduling.flex_model import CurtailableModel, FlexModel
from flexmeasures.domain.scheduling.linear import FloatArray
from flexmeasures.domain.scheduling.plan import PlanOptions
from flexmeasures.domain.scheduling.planning.facts import AssetFacts, MarketFacts, OnSlots, SlotGrid
from flexmeasures.domain.scheduling.planning.signals import as_asked
from flexmeasures.domain.scheduling.prices import PriceSeries, fill_prices, needed_until, until_forecast
from flexmeasures.domain.scheduling.rolling import power_on_grid
from flexmeasures.domain.scheduling.site import Commitment, Tariff
from flexmeasures.domain.scheduling.sitemodel import Objective

__all__ = ["PlanInput", "judge", "options_for", "price_series", "situation_of"]


@dataclass(frozen=True)
class PlanInput:
    """All that it takes to schedule an asset.

    Attributes:
        asset_id: The asset.
        asset_type: Name of its type.
        model: Its flex model.
        situation: What is known of it.
        site: The asset as devices with wishes.
        options: How to plan.
        agreements: What the asset has agreed to, as commitments of the site.
        currency: Of the prices.
        notes: What the owner should know: prices that were not known, and the like.
    """

    asset_id: int
    asset_type: str
    model: FlexModel
    situation: Situation
    site: AssetSite
    options: PlanOptions
    agreements: tuple[Commitment, ...]
    currency: str
    notes: tuple[str, ...]


def judge(facts: AssetFacts, options: PlanOptions, replanning_price: float) -> PlanInput:
    """Put together what the plan of an asset is made of.

    Args:
        facts: What is known of it.
        options: How to plan, as configured.
        replanning_price: What must be gained by a change of the previous plan [currency/MWh], as configured.

    Raises:
        UnknownPrices: If it has no market, or no price is known for any part of the window.
        BadFlexModel: If its limits contradict each other.
        BadValues: If its state of charge is needed and not known.
        NotEnoughData: If its forecast is needed and not known.
    """
    model = facts.model
    tariff, notes = _tariff(facts)
    slots = int(np.size(tariff.import_price))
    forecast = None if facts.forecast_mw is None else facts.forecast_mw.or_nan
    forecast = None if forecast is None else forecast[:slots]
    if isinstance(model, CurtailableModel):
        tariff, forecast = until_forecast(tariff, forecast, notes)
    situation, agreements = situation_of(facts, tariff, forecast, notes, replanning_price)
    situation, assumed = with_usual_size(model, situation)
    site = make_asset_site(model, situation)
    return PlanInput(
        facts.asset_id,
        facts.type_name,
        model,
        situation,
        site,
        options_for(model, options),
        agreements,
        "" if facts.bought is None else facts.bought.currency,
        (*notes, *assumed, *site.notes),
    )


def options_for(model: FlexModel, options: PlanOptions) -> PlanOptions:
    """Lay what a flex model says about planning over what is configured."""
    sooner = model.prefer_charging_sooner
    return replace(
        options,
        explain=True,
        objective=Objective.CO2 if model.objective == "co2" else options.objective,
        prefer_charging_sooner=options.prefer_charging_sooner if sooner is None else sooner,
        prefer_charging_later=model.prefer_charging_later,
    )


def situation_of(
    facts: AssetFacts,
    tariff: Tariff,
    forecast_mw: FloatArray | None,
    notes: list[str],
    replanning_price: float,
) -> tuple[Situation, tuple[Commitment, ...]]:
    """State what is known of an asset under a tariff, which fixes the number of slots n.

    Args:
        facts: What is known.
        tariff: What energy costs.
        forecast_mw: Expected power (n,) [MW], nan where unknown; None: unknown.
        notes: Get sentences about what was assumed.
        replanning_price: As configured [currency/MWh].

    Returns:
        The situation, and those of its commitments that were agreed.
    """
    grid, state = facts.grid, facts.state
    slots = int(np.size(tariff.import_price))
    tariff, connection = as_asked(facts.signals, tariff, grid.start, grid.resolution)
    stated = (one.on_grid(grid.start, grid.resolution, slots) for one in facts.agreed)
    agreements = tuple(one for one in stated if one is not None)
    situation = Situation(
        facts.name,
        facts.capacity_mw,
        grid.zone,
        grid.start,
        grid.resolution,
        tariff,
        soc_mwh=state.soc(grid.start),
        reported=state.reported(grid.start),
        soc_min_mwh=state.soc_min_mwh,
        soc_max_mwh=state.soc_max_mwh,
        targets=state.wanted(grid.start),
        forecast_mw=forecast_mw,
        usage_mw=_usage(facts, slots, notes),
        executed_mw=facts.executed_mw,
        connection=connection,
        commitments=(*agreements, *_previous_plan(facts, slots, replanning_price)),
    )
    return situation, agreements


def _tariff(facts: AssetFacts) -> tuple[Tariff, list[str]]:
    """Prices exactly on the grid of the schedule, as far as they are known, and what to say about them."""
    grid, model = facts.grid, facts.model
    if facts.bought is None:
        raise UnknownPrices(f"Prices unknown for planning window: {facts.name!r} has no market. Give it one.")
    until = needed_until(model, facts.state.wanted(grid.start), (grid.start, grid.end), grid.zone)
    least = 0 if until is None else -((grid.start - until) // grid.resolution)
    bought, notes = price_series(facts.bought, grid, least)
    price, sold, assumed = bought.price, None, bought.assumed
    if facts.sold is not None:
        paid, noted = price_series(facts.sold, grid, least)
        slots = min(price.size, paid.price.size)
        price, sold, assumed = price[:slots], paid.price[:slots], (assumed[:slots] | paid.assumed[:slots])
        notes += [note for note in noted if note not in notes]
    tariff = Tariff(price, sold, co2_price=model.co2_price, assumed=assumed)
    if facts.co2_kg_per_mwh is None:
        return tariff, notes
    return _with_emissions(tariff, facts, facts.co2_kg_per_mwh, notes), notes


def _with_emissions(tariff: Tariff, facts: AssetFacts, co2: OnSlots, notes: list[str]) -> Tariff:
    slots = int(np.size(tariff.import_price))
    intensity = co2.filled(slots)
    if intensity is None:
        if facts.model.objective == "co2":
            raise NotEnoughData(
                f"No CO₂ intensity is known for {facts.name} from {facts.grid.word(facts.grid.start)} on: post it "
                "first, or minimise cost."
            )
        notes.append("The CO₂ intensity of the grid is not known; emissions are not counted.")
        return tariff
    if co2.has_gaps(slots):
        notes.append("Missing CO₂ intensities were taken to be like the ones beside them.")
    return replace(tariff, co2_kg_per_mwh=intensity)


def price_series(market: MarketFacts, grid: SlotGrid, least: int) -> tuple[PriceSeries, list[str]]:
    """Take prices of a market [currency/MWh] as far as they are known, or for a least number of slots.

    Returns:
        The prices, and what to say about them.

    Raises:
        UnknownPrices: If none is known.
    """
    prices = market.prices
    if not prices.known.any():
        raise UnknownPrices(
            f"Prices unknown for planning window: market {market.name!r} has none from "
            f"{grid.word(grid.start)} to {grid.word(grid.end)}. Post them and send a new UDI event."
        )
    series = fill_prices(prices.values, prices.known, least)
    slots, known = series.price.size, int(np.flatnonzero(~series.assumed)[-1]) + 1
    notes = []
    if known < grid.slots:
        last = grid.word(market.known_until or grid.slot_start(known))
        end = "there" if slots == known else f"at {grid.word(grid.slot_start(slots))}"
        notes.append(f"Prices are known until {last}, so the schedule ends {end}.")
    notes += [
        f"Prices from {grid.word(grid.slot_start(first))} to {grid.word(grid.slot_start(until))} are not known: "
        f"the {'last known one before' if first else 'first known one'} was assumed."
        for first, until in Tariff(series.price, assumed=series.assumed).assumed_stretches
    ]
    return series, notes


def _usage(facts: AssetFacts, slots: int, notes: list[str]) -> FloatArray | None:
    if facts.usage_mw is None:
        return None
    usage = facts.usage_mw.filled(slots)
    if usage is None:
        raise NotEnoughData(
            f"Nothing is known about the usage of {facts.name} from {facts.grid.word(facts.grid.start)} on: post "
            "or forecast it first."
        )
    if facts.usage_mw.has_gaps(slots):
        notes.append("Missing values of usage were taken to be like the ones beside them.")
    return usage


def _previous_plan(facts: AssetFacts, slots: int, configured: float) -> tuple[Commitment, ...]:
    """Prefer the previous plan of the asset, if changing it has a price."""
    own = facts.model.replanning_price
    price, earlier, power = configured if own is None else own, facts.state.earlier, None
    if earlier is not None and price > 0:
        power = power_on_grid(earlier, facts.grid.start, facts.grid.resolution, slots)
    if power is None:
        return ()
    return (Commitment(f"previous plan of {facts.name}", power, price, price, is_paid=False),)
