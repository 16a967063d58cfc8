"""Sensors that a flex model names, and who may let a plan read them."""

from __future__ import annotations

from dataclasses import dataclass

from flexmeasures.domain.rights import Action, Actor, Kind, Thing, may
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
    """The thing behind an id that a flex model names.

    Attributes:
        account_id: The account of its asset; None: it is public, as markets and weather are.
        owner_id: The owner of its asset, if that has one.
        is_market: Whether it is a market.
    """

    account_id: int | None = None
    owner_id: int | None = None
    is_market: bool = False

    @property
    def is_public(self) -> bool:
        """Tell whether everybody may read it."""
        return self.account_id is None


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


def may_read(reference: SensorReference, sensor: NamedSensor | None, reader: Actor) -> bool:
    """Tell whether plans that are made for somebody may read a sensor that a flex model names.

    Args:
        reference: How it is named.
        sensor: What there is; None: nothing.
        reader: The owner of the asset that is planned, or who writes the flex model.
    """
    if sensor is None or (reference.is_market and not sensor.is_market):
        return False
    return may(reader, Action.READ, Thing(Kind.SENSOR, sensor.account_id, sensor.owner_id))
