"""Sensors that a flex model names, and who may let a plan read them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flexmeasures.domain.scheduling.flex_model import FlexModel, HeatBufferModel

__all__ = ["NamedSensor", "SensorReference", "may_read", "sensor_references"]


@dataclass(frozen=True)
class SensorReference:
    """A field of a flex model that names a sensor.

    Attributes:
        field: Name of the field.
        sensor_id: The sensor.
        meaning: What it is for the asset, for messages.
        is_market: Whether it must be a market.
    """

    field: str
    sensor_id: int
    meaning: str
    is_market: bool = False


@dataclass(frozen=True)
class NamedSensor:
    """What there is under an id that a flex model names.

    Attributes:
        owner_id: The owner of the asset whose power it is; None: it is public, as markets and weather are.
        is_market: Whether it is a market.
    """

    owner_id: int | None = None
    is_market: bool = False


def sensor_references(model: FlexModel) -> tuple[SensorReference, ...]:
    """List the sensors that a flex model names.

    >>> from flexmeasures.domain.scheduling.flex_model import read_flex_model
    >>> [one.field for one in sensor_references(read_flex_model({"kind": "storage", "export_market_id": 3}))]
    ['export_market_id']
    """
    usage = model.usage_sensor_id if isinstance(model, HeatBufferModel) else None
    named = (
        ("export_market_id", model.export_market_id, "export market", True),
        ("co2_sensor_id", model.co2_sensor_id, "CO₂ intensity", False),
        ("usage_sensor_id", usage, "usage", False),
    )
    return tuple(
        SensorReference(f, number, what, is_market) for f, number, what, is_market in named if number
    )


def may_read(
    reference: SensorReference, sensor: NamedSensor | None, owner_id: int, admins: Iterable[int] = ()
) -> bool:
    """Tell whether the plans of an owner's asset may read a sensor that its flex model names.

    Public sensors are open to all; the power of an asset is open to its owner and to admins.

    Args:
        reference: How it is named.
        sensor: What there is; None: nothing.
        owner_id: The owner of the asset that is planned.
        admins: Users who may read everything.
    """
    if sensor is None or (reference.is_market and not sensor.is_market):
        return False
    return sensor.owner_id is None or sensor.owner_id == owner_id or owner_id in admins
