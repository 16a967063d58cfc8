"""A longer time, day by day: plans are made with what is known then, and carried out with what came."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from flexmeasures.domain.errors import BadValues
from flexmeasures.domain.scheduling.linear import FloatArray
from flexmeasures.domain.time import find_zone
from flexmeasures.domain.units import KW_PER_MW, KWH_PER_MWH
from flexmeasures.lab.home import Battery, Home
from flexmeasures.lab.planning import plan_window
from flexmeasures.lab.rules import RULES
from flexmeasures.lab.series import Series, frame_of, pandas
from flexmeasures.lab.showing import draw_bars, draw_lines, write_table

__all__ = ["Comparison", "Forecaster", "Run", "compare", "roll"]

Forecaster = Callable[[Home, datetime, int], Mapping[str, FloatArray]]
"""Gives what load and solar are expected to be (n,) [kW], by the home, the present and how many steps. It must not look
beyond the present."""

_PLANNED_AT = 13
"""First full hour of the day, local time, at which the prices of the next day are known; they end with that day."""
_BALANCED_KW = 1e-3


@dataclass(frozen=True)
class Run:
    """Outcome of a longer time; powers are means of steps [kW], consumption positive.

    Attributes:
        name: By which rule or forecast.
        prices: Of energy, on the steps.
        powers_kw: Name of the part → its power (n,) [kW].
        battery_kwh: What the battery holds at the start of each step and at the end (n+1,).
        cost: What it cost at the connection, with the wear of the battery, less what it holds more at the end than at
            the start at the mean price [currency].
    """

    name: str
    prices: Series
    powers_kw: Mapping[str, FloatArray]
    battery_kwh: FloatArray
    cost: float

    @property
    def connection_kw(self) -> FloatArray:
        """Power at the connection (n,) [kW]."""
        return np.asarray(sum(self.powers_kw.values()))

    @property
    def bought_kwh(self) -> float:
        """Energy bought [kWh]."""
        return float(np.maximum(self.connection_kw, 0.0).sum()) * self.prices.hours

    @property
    def sold_kwh(self) -> float:
        """Energy sold [kWh]."""
        return float(np.maximum(-self.connection_kw, 0.0).sum()) * self.prices.hours

    def to_frame(self) -> Any:
        """Give a pandas DataFrame: prices, powers [kW] and what the battery holds at the start of each step [kWh]."""
        columns: dict[str, ArrayLike] = {f"price [{self.prices.unit}]": self.prices.values}
        columns |= {f"{name} [kW]": power for name, power in self.powers_kw.items()}
        columns |= {"connection [kW]": self.connection_kw, "battery [kWh]": self.battery_kwh[:-1]}
        return frame_of(self.prices, columns)

    def to_svg(self) -> str:
        """Draw powers and what the battery holds, as an SVG image."""
        panels = {
            "kW": {**self.powers_kw, "connection": self.connection_kw},
            "kWh": {"battery": self.battery_kwh[:-1]},
        }
        return draw_lines(panels, self.prices.start, self.prices.resolution)

    def _repr_html_(self) -> str:
        return f"<p>{self.name}: {self.cost:.2f} {self.prices.unit.partition('/')[0]}</p>{self.to_svg()}"


@dataclass(frozen=True)
class Comparison:
    """Runs beside each other; the first one is what the others save beside."""

    runs: tuple[Run, ...]

    def __getitem__(self, name: str) -> Run:
        """Give a run by its name."""
        return next(one for one in self.runs if one.name == name)

    def saving(self, name: str) -> float:
        """Saving of each run beside the first one [currency]."""
        return self.runs[0].cost - self[name].cost

    def to_frame(self) -> Any:
        """Give a pandas DataFrame with a row a run."""
        return pandas().DataFrame(
            {
                "cost": [one.cost for one in self.runs],
                "saving": [self.saving(one.name) for one in self.runs],
                "bought [kWh]": [one.bought_kwh for one in self.runs],
                "sold [kWh]": [one.sold_kwh for one in self.runs],
            },
            index=pandas().Index([one.name for one in self.runs], name="run"),
        )

    def to_svg(self) -> str:
        """Draw the savings as bars, as an SVG image."""
        money = self.runs[0].prices.unit.partition("/")[0]
        return draw_bars({one.name: self.saving(one.name) for one in self.runs[1:]}, f"saving [{money}]")

    def _repr_html_(self) -> str:
        rows = [
            (
                one.name,
                f"{one.cost:.2f}",
                f"{self.saving(one.name):.2f}",
                f"{one.bought_kwh:.0f}",
                f"{one.sold_kwh:.0f}",
            )
            for one in self.runs
        ]
        return write_table(("", "Cost", "Saving", "Bought [kWh]", "Sold [kWh]"), rows) + self.to_svg()


def roll(
    home: Home,
    start: datetime,
    end: datetime,
    by: str | Forecaster = "perfect",
    *,
    every_hours: int = 24,
    name: str | None = None,
) -> Run:
    """Run a home from plan to plan, or by a simple rule.

    A plan is made when the prices of the next day are known, at 13:00 local time, and reaches until that day's end.
    Where a plan buys and sells nothing the battery balances what comes. Else it does what is planned as far as it can,
    but takes no more than the surplus if nothing was to be bought, and gives no more than is used if nothing was to be
    sold.

    Args:
        home: The home.
        start: Start of a step.
        end: End of a step.
        by: ``"perfect"`` (load and sun are known), ``"naive"`` (they are taken to be those of the last day), a function
            that forecasts them, or the name of a rule, see `RULES`.
        every_hours: How often to plan anew, with what is known then.
        name: Of the run; by default the rule or forecast.

    Raises:
        BadValues: If there is no such rule.
        NotEnoughData: If a series does not cover that time; forecasts by the last day need a day before it.
    """
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    steps = (end - start) // home.prices.resolution
    prices = Series(start, home.prices.resolution, home.prices.at(start, steps), home.prices.unit)
    came = {key: one.at(start, steps) for key, one in (("load", home.load), ("solar", home.solar)) if one}
    if isinstance(by, str) and by in RULES:
        asked, powers = _by_rule(home, prices, came, by)
    else:
        forecast = _forecaster(by)
        state = _Planned(np.zeros(steps), np.zeros(steps), np.zeros(steps))
        return _rolled(
            home, prices, came, forecast, every_hours, state, name or str(getattr(by, "__name__", by))
        )
    held, battery = _carry_out(home.battery, asked, np.full(steps, np.nan), powers, prices.hours)
    return _run(home, name or by, prices, {**powers, **battery}, held)


def compare(
    home: Home,
    start: datetime,
    end: datetime,
    runs: Sequence[str] = (*RULES, "naive", "perfect"),
    **options: Any,
) -> Comparison:
    """Run a home by several rules and forecasts; see `roll` for the names and options."""
    return Comparison(tuple(roll(home, start, end, by, **options) for by in runs))


@dataclass
class _Planned:
    """Planned power of the battery, at the connection, and of the car (n,) each [kW]."""

    battery: FloatArray
    connection: FloatArray
    car: FloatArray


def _forecaster(by: str | Forecaster) -> Forecaster:
    if callable(by):
        return by
    known: dict[str, Forecaster] = {"perfect": _perfect, "naive": _naive}
    if by not in known:
        raise BadValues(f"There is no rule or forecast {by!r}: choose one of {', '.join((*RULES, *known))}.")
    return known[by]


def _perfect(home: Home, now: datetime, steps: int) -> dict[str, FloatArray]:
    return {key: one.at(now, steps) for key, one in (("load", home.load), ("solar", home.solar)) if one}


def _naive(home: Home, now: datetime, steps: int) -> dict[str, FloatArray]:
    """Take load and sun to be those of the last day, again and again."""
    day = round(timedelta(days=1) / home.prices.resolution)
    seen = _perfect(home, now - timedelta(days=1), day)
    return {key: np.resize(values, steps) for key, values in seen.items()}


def _rolled(
    home: Home,
    prices: Series,
    came: Mapping[str, FloatArray],
    forecast: Forecaster,
    every_hours: int,
    planned: _Planned,
    name: str,
) -> Run:
    """Plan and carry out, in turns."""
    steps, held = prices.values.size, home.battery.start_kwh if home.battery else 0.0
    levels, powers = [np.array([held])], {"battery": np.zeros(steps)}
    for first, last, count in _turns(home, prices, every_hours):
        now = prices.start + first * prices.resolution
        _, plan = plan_window(
            home, now, prices.values[first : first + count], forecast(home, now, count), held
        )
        for key, one in plan.devices.items():
            if key.startswith("car"):
                planned.car[first:last] += KW_PER_MW * one.power_mw[: last - first]
        if home.battery:
            planned.battery[first:last] = KW_PER_MW * plan.devices["battery"].power_mw[: last - first]
            planned.connection[first:last] = KW_PER_MW * plan.net_mw[: last - first]
        turn = slice(first, last)
        rest = {key: sign * came[key][turn] for key, sign in (("load", 1.0), ("solar", -1.0)) if key in came}
        rest["car"] = planned.car[turn]
        battery = replace(home.battery, start_kwh=held) if home.battery else None
        level, used = _carry_out(battery, planned.battery[turn], planned.connection[turn], rest, prices.hours)
        powers["battery"][turn] = used["battery"]
        levels.append(level[1:])
        held = float(level[-1])
    signed = {key: sign * came[key] for key, sign in (("load", 1.0), ("solar", -1.0)) if key in came}
    return _run(home, name, prices, {**signed, "car": planned.car, **powers}, np.concatenate(levels))


def _turns(home: Home, prices: Series, every_hours: int) -> list[tuple[int, int, int]]:
    """List the turns: first step, step after the last that is carried out, and how many steps are planned.

    Plans for a car are carried out until the next 13:00, for it is planned once.
    """
    zone, steps, resolution = find_zone(home.zone), prices.values.size, prices.resolution
    every = 24 if home.car else every_hours
    turns, first = [], 0
    while first < steps:
        now = prices.start + first * resolution
        local = now.astimezone(zone)
        days = 2 if local.hour >= _PLANNED_AT else 1
        midnight = (local.replace(tzinfo=None, hour=0, minute=0, second=0) + timedelta(days=days)).replace(
            tzinfo=zone
        )
        noon = local.replace(tzinfo=None, hour=_PLANNED_AT, minute=0, second=0)
        noon = (noon + timedelta(days=local.hour >= _PLANNED_AT)).replace(tzinfo=zone)
        until = min(now + timedelta(hours=every), noon) if every < 24 else noon
        last = min(steps, max(first + 1, (until.astimezone(now.tzinfo) - prices.start) // resolution))
        known = min(steps, max(last, (midnight.astimezone(now.tzinfo) - prices.start) // resolution))
        turns.append((first, last, known - first))
        first = last
    return turns


def _by_rule(
    home: Home, prices: Series, came: Mapping[str, FloatArray], rule: str
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Ask a rule for the power of the battery, beside load, sun and a car that charges at once."""
    powers = {key: sign * came[key] for key, sign in (("load", 1.0), ("solar", -1.0)) if key in came}
    if home.car:
        powers["car"] = _charging_at_once(home, prices)
    rest = np.asarray(sum(powers.values(), np.zeros(prices.values.size)))
    inside = replace(home, prices=prices)
    return RULES[rule](inside, prices.values, rest), powers


def _charging_at_once(home: Home, prices: Series) -> FloatArray:
    """Power of a car that charges as soon as it comes (n,) [kW]."""
    power, car, zone = np.zeros(prices.values.size), home.car, find_zone(home.zone)
    if car is None:
        return power
    left, before = 0.0, None
    for step in range(power.size):
        local = (prices.start + step * prices.resolution).astimezone(zone)
        if local.time() >= car.arrival and before != local.date():
            left, before = car.needs_kwh, local.date()
        power[step] = min(car.power_kw, left / prices.hours)
        left -= power[step] * prices.hours
    return power


def _carry_out(
    battery: Battery | None,
    asked: FloatArray,
    connection: FloatArray,
    rest: Mapping[str, FloatArray],
    hours: float,
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Let a battery do what is asked of it as far as it can.

    Args:
        battery: The battery, as it is now.
        asked: Power that is asked of it (n,) [kW].
        connection: Power at the connection for which it was planned (n,) [kW]; nan where nobody planned.
        rest: What the rest of the home does, by part (n,) [kW].
        hours: Length of a step [h].

    Returns:
        What it holds (n+1,) [kWh], and its power (n,) [kW] by name.
    """
    power = np.zeros(asked.size)
    if battery is None:
        return np.zeros(asked.size + 1), {"battery": power}
    net = np.asarray(sum(rest.values(), np.zeros(asked.size)))
    charging = np.where(connection < _BALANCED_KW, np.minimum(asked, np.maximum(-net, 0.0)), asked)
    discharging = np.where(connection > -_BALANCED_KW, np.maximum(asked, -np.maximum(net, 0.0)), asked)
    followed = np.where(asked > 0, charging, discharging)
    wanted = np.where(np.abs(connection) < _BALANCED_KW, -net, followed).tolist()
    held, share, levels = battery.start_kwh, battery.one_way, [battery.start_kwh]
    for step, one in enumerate(wanted):
        most = min(battery.power_kw, (battery.capacity_kwh - held) / share / hours)
        least = -min(battery.power_kw, held * share / hours)
        done = min(max(one, least), most)
        held += hours * (done * share if done > 0 else done / share)
        held = min(max(held, 0.0), battery.capacity_kwh)
        power[step] = done
        levels.append(held)
    return np.array(levels), {"battery": power}


def _run(home: Home, name: str, prices: Series, powers: Mapping[str, FloatArray], held: FloatArray) -> Run:
    bought, sold = home.bought_and_sold(prices.values)
    net = np.asarray(sum(powers.values()))
    cost = float(np.sum(np.where(net > 0, bought, sold) * net)) * prices.hours / KWH_PER_MWH
    wear = home.battery.wear_per_kwh if home.battery else 0.0
    cost += wear * float(np.maximum(-powers["battery"], 0.0).sum()) * prices.hours
    cost -= float(bought.mean()) / KWH_PER_MWH * float(held[-1] - held[0])
    return Run(name, prices, dict(powers), held, cost)
