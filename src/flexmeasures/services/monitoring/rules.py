"""Monitoring rules of sensors: the defaults, and those of the owner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from flexmeasures.data.tables import Asset, Sensor
from flexmeasures.domain.errors import FlexError
from flexmeasures.domain.monitoring import WatchRule, patience_for
from flexmeasures.domain.time import format_duration, parse_duration
from flexmeasures.domain.units import conversion_factor, is_power_unit
from flexmeasures.services.checks import Checks

__all__ = ["ATTRIBUTE", "OwnRule", "kw_per_value", "read_own_rule", "rule_of", "set_own_rule"]

ATTRIBUTE = "monitoring"
"""The attribute of a sensor in which its own rules are kept."""

MARGIN = 1.05
"""Multiple of the capacity up to which a power is not a breach: meters and nameplates are not more precise."""

IDLE_SHARE = 0.05
"""Consumption of up to this share of the capacity is that of something idle."""

LONGEST_GAP = timedelta(days=366)


@dataclass(frozen=True)
class OwnRule:
    """Rules of an owner for a sensor; None: the default holds.

    Attributes:
        lowest: No value is below this one [unit of the sensor].
        highest: No value is above this one.
        gap_after: Values that are missing for so long are missed.
        is_off: Whether the sensor is not watched at all.
    """

    lowest: float | None = None
    highest: float | None = None
    gap_after: timedelta | None = None
    is_off: bool = False


def kw_per_value(sensor: Sensor) -> float:
    """Tell how many kW a value of a power sensor stands for; forms ask for kW, rules are kept in the sensor's unit."""
    return conversion_factor(sensor.unit, "kW") if is_power_unit(sensor.unit) else 1.0


def read_own_rule(sensor: Sensor) -> OwnRule:
    """Read what is said of a sensor; what is not understood, such as what others wrote there, counts as not said."""
    said = (sensor.attributes or {}).get(ATTRIBUTE)
    if not isinstance(said, Mapping):
        return OwnRule()
    return OwnRule(
        lowest=_number(said.get("lowest")),
        highest=_number(said.get("highest")),
        gap_after=_duration(said.get("gap_after")),
        is_off=said.get("is_off") is True,
    )


def _number(said: Any) -> float | None:
    return float(said) if isinstance(said, int | float) and not isinstance(said, bool) else None


def _duration(said: Any) -> timedelta | None:
    try:
        found = parse_duration(said, "gap_after") if said else None
    except FlexError:
        return None
    return found if isinstance(found, timedelta) and timedelta(0) < found <= LONGEST_GAP else None


def rule_of(sensor: Sensor, asset: Asset) -> WatchRule | None:
    """Tell what is unusual for a sensor; None: it is not watched.

    By default the power of an asset keeps its capacity (with 5 % for the precision of meters), does not stay away, and
    of what may consume no more than 5 % of its capacity is not consumed day and night.
    """
    own = read_own_rule(sensor)
    if own.is_off:
        return None
    lowest, highest, idle = own.lowest, own.highest, None
    if asset.power_sensor_id == sensor.id and asset.capacity_in_mw and is_power_unit(sensor.unit):
        capacity = asset.capacity_in_mw / conversion_factor(sensor.unit, "MW")
        lowest = -capacity * MARGIN if lowest is None else lowest
        highest = capacity * MARGIN if highest is None else highest
        if not (asset.asset_type.is_producer and not asset.asset_type.is_consumer):
            idle = capacity * IDLE_SHARE
    hole = own.gap_after or max(timedelta(hours=1), 4 * sensor.event_resolution)
    silence = own.gap_after or patience_for(sensor.event_resolution)
    return WatchRule(lowest, highest, silence, hole, idle)


def set_own_rule(session: Session, sensor: Sensor, rule: OwnRule) -> None:
    """Keep what an owner says of a sensor; the caller commits.

    Raises:
        FieldErrors: If it contradicts itself.
    """
    checks = Checks()
    if rule.lowest is not None and rule.highest is not None:
        checks.that(rule.lowest < rule.highest, "highest", "Must be above the lowest value.")
    if rule.gap_after is not None:
        fits = sensor.event_resolution < rule.gap_after <= LONGEST_GAP
        checks.that(
            fits, "gap_after", "Must be longer than the resolution of the sensor, and at most a year."
        )
    checks.done()
    kept = {one.name: getattr(rule, one.name) for one in fields(rule) if getattr(rule, one.name)}
    kept |= {name: value for name in ("lowest", "highest") if (value := getattr(rule, name)) is not None}
    if rule.gap_after is not None:
        kept["gap_after"] = format_duration(rule.gap_after)
    others = {name: value for name, value in (sensor.attributes or {}).items() if name != ATTRIBUTE}
    sensor.attributes = {**others, **({ATTRIBUTE: kept} if kept else {})}
    session.flush()
