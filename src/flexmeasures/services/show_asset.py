"""What stands around an asset: its sensors, its parts, how much is known of it, and the fields of its flex model."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.stores.beliefs import count_up_to
from flexmeasures.data.tables import Asset, Sensor

__all__ = ["FLEX_FIELDS", "FlexField", "count_beliefs", "list_parts", "list_sensors"]


@dataclass(frozen=True)
class FlexField:
    """A field of a flex model that is a plain number.

    Attributes:
        label: For people.
        unit: Of the number; empty: it has none.
        hint: What it means if it is left out.
    """

    name: str
    label: str
    unit: str
    hint: str = ""


FLEX_FIELDS = (
    FlexField("max_consumption_mw", "Highest charging power", "MW", "Empty: the capacity of the asset."),
    FlexField("max_production_mw", "Highest discharging power", "MW", "Empty: the capacity of the asset."),
    FlexField("roundtrip_efficiency", "Efficiency of a round trip", "", "From 0 to 1. Empty: 1."),
    FlexField("loss_per_hour", "Loss of what is stored", "share/h", "Empty: nothing is lost."),
    FlexField("value_of_energy_left", "Value of energy left at the end", "currency/MWh", "Empty: 0."),
    FlexField(
        "replanning_price", "Gain needed to change a plan", "currency/MWh", "Empty: as the server is set."
    ),
)
"""Fields that the form of a store shows one by one; all others can be written as JSON."""


def list_sensors(session: Session, asset: Asset) -> list[Sensor]:
    """List the sensors of an asset by name."""
    return list(session.scalars(select(Sensor).where(Sensor.asset_id == asset.id).order_by(Sensor.name)))


def list_parts(session: Session, asset: Asset) -> list[Asset]:
    """List the direct parts of an asset by name."""
    return list(session.scalars(select(Asset).where(Asset.parent_id == asset.id).order_by(Asset.name)))


def count_beliefs(session: Session, asset: Asset) -> int:
    """Count what would be lost with an asset: readings, forecasts and schedules; stops at a million."""
    ids = list(session.scalars(select(Sensor.id).where(Sensor.asset_id == asset.id)))
    return count_up_to(session, ids, 1_000_000)
