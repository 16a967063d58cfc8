"""Facts about an asset when it is planned, as values on the slots of its planning window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from flexmeasures.domain.coordination import GridSignals
from flexmeasures.domain.scheduling.flex_model import FlexModel
from flexmeasures.domain.scheduling.linear import FloatArray
from flexmeasures.domain.scheduling.prices import like_neighbours
from flexmeasures.domain.scheduling.rolling import AgreedPower, EarlierPlan, carry_soc
from flexmeasures.domain.time import format_in_zone

__all__ = ["AssetFacts", "MarketFacts", "OnSlots", "SlotGrid", "StateFacts"]


@dataclass(frozen=True)
class SlotGrid:
    """The slots of a planning window.

    Attributes:
        start: Start of the first slot.
        resolution: Length of a slot.
        slots: How many there are: n.
        zone: Time zone in which instants are written.
    """

    start: datetime
    resolution: timedelta
    slots: int
    zone: str

    @property
    def end(self) -> datetime:
        """End of the last slot."""
        return self.slot_start(self.slots)

    def slot_start(self, slot: int) -> datetime:
        """Start of a slot, or the end of the window for that after the last."""
        return self.start + slot * self.resolution

    def word(self, instant: datetime) -> str:
        """Write an instant with the offset of the time zone."""
        return format_in_zone(instant, self.zone)


@dataclass(frozen=True)
class OnSlots:
    """Values of a sensor on slots.

    Attributes:
        values: Shape ``(n,)``, in a unit that is said where they are used; anything where they are not known.
        known: In which slots the whole slot is known (n,).
    """

    values: FloatArray
    known: NDArray[np.bool_]

    def filled(self, slots: int) -> FloatArray | None:
        """Give the first values, with gaps like what is beside them; None if none of them is known."""
        places = np.flatnonzero(self.known[:slots])
        return like_neighbours(self.values[:slots], places) if places.size else None

    def has_gaps(self, slots: int) -> bool:
        """Tell whether some of the first values are not known."""
        return not bool(self.known[:slots].all())

    @property
    def or_nan(self) -> FloatArray | None:
        """The values, nan where they are not known; None if nothing is known at all."""
        return np.where(self.known, self.values, np.nan) if self.known.any() else None


@dataclass(frozen=True)
class MarketFacts:
    """Prices of a market.

    Attributes:
        name: Of the market.
        currency: Of its prices.
        prices: Of each slot [currency/MWh].
        known_until: When the last known price of the window ends; it need not end with a slot.
    """

    name: str
    currency: str
    prices: OnSlots
    known_until: datetime | None


@dataclass(frozen=True)
class StateFacts:
    """State of a store, and the wishes for it.

    Attributes:
        soc_min_mwh: Lowest state of charge by the asset itself [MWh].
        soc_max_mwh: Highest state of charge by the asset itself [MWh].
        soc_mwh: The last known state of charge [MWh] ...
        soc_at: ... and when that was; None: it is taken to be now.
        event_soc_mwh: State of charge that an event reports for the start [MWh]; None: there is no event.
        targets: Instant → state of charge wanted [MWh]; None: those of the earlier plan that are still to come.
        earlier: What was planned before.
        earlier_targets: What was wanted then.
    """

    soc_min_mwh: float | None = None
    soc_max_mwh: float | None = None
    soc_mwh: float | None = None
    soc_at: datetime | None = None
    event_soc_mwh: float | None = None
    targets: Mapping[datetime, float] | None = None
    earlier: EarlierPlan | None = None
    earlier_targets: Mapping[datetime, float] = field(default_factory=dict)

    def wanted(self, start: datetime) -> Mapping[datetime, float]:
        """States of charge that are wanted: what was asked for once holds until it is due, or asked for anew."""
        if self.targets is not None:
            return self.targets
        return {at: soc for at, soc in self.earlier_targets.items() if at > start}

    def soc(self, start: datetime) -> float | None:
        """State of charge at the start [MWh]: as reported, or carried on by the earlier plan; None: unknown."""
        if self.event_soc_mwh is not None:
            return self.event_soc_mwh
        known = None
        if self.soc_mwh is not None:
            known = (start if self.soc_at is None else self.soc_at, self.soc_mwh)
            if self.soc_at is None and self.earlier is not None and self.earlier.start <= start:
                known = (self.earlier.start, self.soc_mwh)
        return carry_soc(known, self.earlier, start)

    def reported(self, start: datetime) -> tuple[datetime, float] | None:
        """When a state of charge was last reported, and how much [MWh]: by the event that is planned for, or before."""
        if self.event_soc_mwh is not None:
            return start, self.event_soc_mwh
        return None if self.soc_mwh is None or self.soc_at is None else (self.soc_at, self.soc_mwh)


@dataclass(frozen=True)
class AssetFacts:
    """All that is known of an asset when it is planned.

    Attributes:
        asset_id: The asset.
        name: How messages call it.
        type_name: Name of its type.
        capacity_mw: Its largest power [MW].
        model: Its flex model.
        grid: The slots.
        state: Of its store.
        bought: Prices of consumption; None: it has no market.
        sold: Prices of production; None: those of consumption.
        co2_kg_per_mwh: CO₂ intensity of the grid [kg/MWh]; None: nobody asks for it.
        forecast_mw: Power expected before the fact [MW].
        usage_mw: What is drawn from its store [MW]; None: nobody asks for it.
        executed_mw: What it was scheduled to do in the day before the start (h,) [MW]; None: nothing.
        agreed: Powers that it has agreed to, such as ordered activations.
        signals: What the grid asks of it.
    """

    asset_id: int
    name: str
    type_name: str
    capacity_mw: float
    model: FlexModel
    grid: SlotGrid
    state: StateFacts = field(default_factory=StateFacts)
    bought: MarketFacts | None = None
    sold: MarketFacts | None = None
    co2_kg_per_mwh: OnSlots | None = None
    forecast_mw: OnSlots | None = None
    usage_mw: OnSlots | None = None
    executed_mw: FloatArray | None = None
    agreed: tuple[AgreedPower, ...] = ()
    signals: GridSignals | None = None
