"""A site as values: devices behind one connection, what energy costs there, and what was agreed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from math import inf

import numpy as np
from numpy.typing import ArrayLike

from flexmeasures.domain.errors import BadFlexModel, BadValues, UnknownPrices
from flexmeasures.domain.scheduling.devices import StorageUse
from flexmeasures.domain.scheduling.linear import FloatArray, spread

__all__ = [
    "Commitment",
    "Connection",
    "Curtailable",
    "Device",
    "Direction",
    "Exclusion",
    "PeakPrice",
    "Profile",
    "ShiftableLoad",
    "Site",
    "Tariff",
    "check_prices",
    "stay_with",
]


@dataclass(frozen=True)
class Profile:
    """Consumption (positive) or production (negative) that nobody controls: the forecast of the rest.

    Args:
        name: How messages call it.
        power_mw: Expected power (n,) [MW].
        low_mw: Low quantile of the forecast (n,) [MW], kept as a margin on the export limit.
        high_mw: High quantile of the forecast (n,) [MW], kept as a margin on the import limit.
    """

    name: str
    power_mw: ArrayLike
    low_mw: ArrayLike | None = None
    high_mw: ArrayLike | None = None

    def margins(self, slots: int) -> tuple[FloatArray, FloatArray]:
        """Range by which the power may lie above and below what is expected, (n,) each, ≥ 0 [MW].

        Raises:
            BadValues: Series are too short or long, no finite numbers, or cross each other.
        """
        expected = finite_per_slot(self.name, self.power_mw, slots)
        high = expected if self.high_mw is None else finite_per_slot(self.name, self.high_mw, slots)
        low = expected if self.low_mw is None else finite_per_slot(self.name, self.low_mw, slots)
        if np.any(low > high):
            raise BadValues(
                f"A low quantile of {self.name} is above the high one: give them the other way round."
            )
        return np.maximum(high - expected, 0.0), np.maximum(expected - low, 0.0)


@dataclass(frozen=True)
class Curtailable:
    """Consumption or production that can be lowered, and is then lost.

    Args:
        name: How messages call it.
        forecast_mw: Power without curtailment (n,) [MW]; production is negative.
        minimum_mw: Size of the power that must remain, ≥ 0 [MW]; less where the forecast is less.
        price: What curtailing costs [currency/MWh].
    """

    name: str
    forecast_mw: ArrayLike
    minimum_mw: ArrayLike = 0.0
    price: float = 0.0

    def __post_init__(self) -> None:
        if not np.all(np.asarray(self.minimum_mw, dtype=float) >= 0) or not np.isfinite(self.price):
            raise BadFlexModel(f"{self.name} needs a minimum power of 0 or more [MW] and a finite price.")


@dataclass(frozen=True)
class ShiftableLoad:
    """A load that runs once, when it suits.

    Args:
        name: How messages call it.
        profile_mw: Power of each slot of the run (m,) [MW].
        earliest: First slot in which it may run.
        latest: Boundary by which it must have finished; None means the end of the window.
        interruptible: Whether it may run in pieces; its power must then be the same in every slot.
    """

    name: str
    profile_mw: tuple[float, ...]
    earliest: int = 0
    latest: int | None = None
    interruptible: bool = False

    def __post_init__(self) -> None:
        if not self.profile_mw or not np.all(np.isfinite(self.profile_mw)):
            raise BadFlexModel(f"The load {self.name} needs a power [MW] for each slot of its run.")
        if self.interruptible and len(set(self.profile_mw)) > 1:
            raise BadFlexModel(f"The load {self.name} can run in pieces only if its power is constant.")

    def window(self, slots: int) -> tuple[int, int]:
        """First slot and last boundary in which it may run.

        Raises:
            BadFlexModel: There is too little time for it.
        """
        end = slots if self.latest is None else self.latest
        if not 0 <= self.earliest <= end - len(self.profile_mw) or end > slots:
            raise BadFlexModel(
                f"The load {self.name} of {len(self.profile_mw)} slots does not fit between slot {self.earliest} "
                f"and boundary {end} of a window of {slots} slots: give it more time."
            )
        return self.earliest, end


Device = StorageUse | Curtailable | ShiftableLoad | Profile


@dataclass(frozen=True)
class Connection:
    """Where a site meets the grid.

    Args:
        import_limit_mw: Highest consumption of the whole site, a number or one a slot, ≥ 0 [MW].
        export_limit_mw: Highest production of the whole site, likewise [MW].
    """

    import_limit_mw: ArrayLike = inf
    export_limit_mw: ArrayLike = inf

    def __post_init__(self) -> None:
        limits = np.append(np.ravel(self.import_limit_mw), np.ravel(self.export_limit_mw)).astype(float)
        if not np.all(limits >= 0):
            raise BadFlexModel("The import and export limits of a connection must be 0 or more [MW].")

    @property
    def is_limited(self) -> bool:
        """Tell whether any limit exists."""
        return bool(np.any(np.isfinite(self.import_limit_mw)) or np.any(np.isfinite(self.export_limit_mw)))

    def per_slot(self, slots: int) -> tuple[FloatArray, FloatArray]:
        """Highest consumption and production of each slot, (n,) each [MW]; inf where there is no limit.

        Raises:
            BadValues: A limit has another number of values.
        """
        limits = []
        for limit in (self.import_limit_mw, self.export_limit_mw):
            given = np.asarray(limit, dtype=float)
            free = np.isinf(given)
            finite = finite_per_slot("the limit of a connection", np.where(free, 0.0, given), slots)
            limits.append(np.where(free, inf, finite))
        return limits[0], limits[1]


@dataclass(frozen=True)
class PeakPrice:
    """A price of the highest import in a set of slots.

    Several of them make a price that varies by time of day.

    Args:
        price: What a MW above the floor costs [currency/MW].
        floor_mw: Peak of the billing period so far, which costs nothing more [MW].
        weight: How much a slot counts (n,), 0 … 1; 0 leaves it out.
    """

    price: float
    floor_mw: float = 0.0
    weight: ArrayLike = 1.0

    def __post_init__(self) -> None:
        numbers = np.append(np.ravel(self.weight), (self.price, self.floor_mw)).astype(float)
        if not np.all((numbers >= 0) & np.isfinite(numbers)):
            raise BadFlexModel("A peak price, its floor and its weights must be finite numbers from 0.")


@dataclass(frozen=True)
class Tariff:
    """Prices and emissions of energy at the connection.

    Args:
        import_price: Price of consumption (n,) [currency/MWh].
        export_price: Price received for production (n,) [currency/MWh]; None means the import price.
        peaks: Prices of power.
        co2_kg_per_mwh: Emissions of a unit from the grid (n,) [kg/MWh]; what is exported avoids as much.
        co2_price: Price of emissions within the cost [currency/t].
        assumed: In which slots the prices are not known, but assumed (n,). Nothing is moved there if another slot is
            as good.
    """

    import_price: ArrayLike
    export_price: ArrayLike | None = None
    peaks: tuple[PeakPrice, ...] = ()
    co2_kg_per_mwh: ArrayLike | None = None
    co2_price: float = 0.0
    assumed: ArrayLike = False

    def __post_init__(self) -> None:
        if not np.isfinite(self.co2_price):
            raise BadFlexModel(f"The CO₂ price is {self.co2_price}: give a finite number [currency/t].")

    @property
    def prices(self) -> tuple[FloatArray, FloatArray]:
        """Import and export price, (n,) each [currency/MWh].

        Raises:
            UnknownPrices: A price is missing.
            BadValues: A price is infinite, or the series differ in length.
        """
        bought = check_prices(self.import_price)
        sold = bought if self.export_price is None else check_prices(self.export_price)
        if sold.size != bought.size:
            raise BadValues(
                f"There are {bought.size} import prices and {sold.size} export prices: give as many."
            )
        return bought, sold

    @property
    def assumed_stretches(self) -> tuple[tuple[int, int], ...]:
        """Runs of slots whose prices are assumed: the first slot, and the slot after the last."""
        flags = np.broadcast_to(np.asarray(self.assumed, dtype=bool), np.shape(self.import_price))
        edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(int)))
        return tuple(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))

    def co2(self, slots: int) -> FloatArray:
        """Emissions of a unit from the grid (n,) [kg/MWh]."""
        return finite_per_slot(
            "the CO₂ intensity", 0.0 if self.co2_kg_per_mwh is None else self.co2_kg_per_mwh, slots
        )


@dataclass(frozen=True)
class Commitment:
    """An agreed power profile and the price of deviating from it.

    Args:
        name: How messages call it.
        power_mw: Agreed power (n,) [MW]; nan where nothing was agreed.
        price_above: What more consumption (or less production) than agreed costs [currency/MWh].
        price_below: What less consumption (or more production) than agreed costs [currency/MWh].
        device: Whose power was agreed; None means the whole site's.
        is_paid: Whether a deviation costs money; a mere preference does not count in the cost of the plan.
    """

    name: str
    power_mw: ArrayLike
    price_above: float
    price_below: float
    device: str | None = None
    is_paid: bool = True

    def __post_init__(self) -> None:
        if not self.price_above + self.price_below >= 0:
            raise BadFlexModel(
                f"The prices of {self.name} ({self.price_above:g} above, {self.price_below:g} below) would pay for "
                "deviating both ways at once: their sum must be 0 or more."
            )
        if not np.isfinite([self.price_above, self.price_below]).all():
            raise BadFlexModel(f"The prices of {self.name} must be finite numbers [currency/MWh].")

    def per_slot(self, slots: int) -> FloatArray:
        """Agreed power of each slot (n,) [MW]; nan where nothing was agreed.

        Raises:
            BadValues: It has another number of values, or one is infinite.
        """
        power = np.asarray(self.power_mw, dtype=float)
        nothing = np.isnan(power)
        return np.where(nothing, np.nan, finite_per_slot(self.name, np.where(nothing, 0.0, power), slots))


def stay_with(previous_mw: Mapping[str, ArrayLike], price: float) -> tuple[Commitment, ...]:
    """Prefer the previous plan: a small price on changing it without a reason.

    Args:
        previous_mw: Device name → its power in the previous plan (n,) [MW]; nan where there was no plan.
        price: What must be gained by a change [currency/MWh].
    """
    return tuple(
        Commitment(f"previous plan of {name}", power, price, price, device=name, is_paid=False)
        for name, power in previous_mw.items()
    )


class Direction(Enum):
    """Use of a device that an exclusion speaks of."""

    ANY = "running"
    CONSUMING = "consuming"
    PRODUCING = "producing"


@dataclass(frozen=True)
class Exclusion:
    """Two devices which must not run in the same slot.

    Args:
        first: Name of a device.
        second: Name of another.
        first_use: Which use of the first excludes …
        second_use: … which use of the second.

    >>> Exclusion.never_feeds("battery", "car").first_use
    <Direction.PRODUCING: 'producing'>
    """

    first: str
    second: str
    first_use: Direction = Direction.ANY
    second_use: Direction = Direction.ANY

    @classmethod
    def never_feeds(cls, battery: str, car: str) -> Exclusion:
        """Say that a battery never discharges while a car charges."""
        return cls(battery, car, Direction.PRODUCING, Direction.CONSUMING)


@dataclass(frozen=True)
class Site:
    """Devices behind one connection.

    Args:
        devices: Storage in use, curtailable and shiftable devices, and profiles, with unique names.
        tariff: What energy costs; its import price fixes the number of slots n.
        connection: Limits of the whole site.
        commitments: What was agreed or is preferred.
        exclusions: Which devices must not run together.
        name: How messages call the connection.

    Raises:
        BadFlexModel: A name is used twice or unknown, or a device excludes itself.
    """

    devices: tuple[Device, ...]
    tariff: Tariff
    connection: Connection = Connection()
    commitments: tuple[Commitment, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    name: str = "site"

    def __post_init__(self) -> None:
        names = [device.name for device in self.devices]
        if len(set(names)) < len(names):
            raise BadFlexModel(f"Two devices have the same name: {', '.join(sorted(names))}.")
        wanted = [one.device for one in self.commitments if one.device is not None]
        wanted += [name for one in self.exclusions for name in (one.first, one.second)]
        for name in wanted:
            if name not in names:
                raise BadFlexModel(
                    f"There is no device {name} at {self.name}: use one of {', '.join(names)}."
                )
        for one in self.exclusions:
            if one.first == one.second:
                raise BadFlexModel(f"{one.first} cannot exclude itself: name two devices.")


def check_prices(prices: ArrayLike) -> FloatArray:
    """Refuse prices that cannot be planned with.

    Raises:
        UnknownPrices: A price is missing.
        BadValues: There is none at all, or one is infinite.
    """
    price = np.asarray(prices, dtype=float)
    if price.ndim != 1 or price.size == 0:
        raise BadValues("There are no prices: give one for each slot of the planning window.")
    if np.isfinite(price).all():
        return price
    missing = np.flatnonzero(np.isnan(price))
    if missing.size == price.size:
        raise UnknownPrices("Prices unknown for planning window.")
    if missing.size:
        raise UnknownPrices(
            f"Prices partially unknown for planning window: {missing.size} of {price.size} slots, the first is "
            f"slot {missing[0]}. Send prices for the whole window, or plan for a shorter one.",
            {"slots": missing.tolist()},
        )
    slot = int(np.flatnonzero(~np.isfinite(price))[0])
    raise BadValues(f"The price of slot {slot} is {price[slot]}: give a finite number.", {"slot": slot})


def finite_per_slot(name: str, value: ArrayLike, slots: int) -> FloatArray:
    """Spread a finite number or series over the slots (n,).

    Raises:
        BadValues: It has another number of values, or one is not a finite number.
    """
    numbers = np.asarray(value, dtype=float)
    if numbers.shape not in ((), (1,), (slots,)) or not np.isfinite(numbers).all():
        raise BadValues(
            f"The values of {name} must be finite numbers, one or {slots}; there are {numbers.size}."
        )
    return spread(numbers, slots)
