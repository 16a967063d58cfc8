"""Sensors of assets."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import ForeignKey, Integer, Interval, Sequence, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from flexmeasures.data.database import db
from flexmeasures.domain.beliefs import KnowledgeRule, parse_knowledge_rule

__all__ = ["NUMBERS", "Sensor", "SensorReference"]

NUMBERS = Sequence("sensor_id_seq", metadata=db.metadata)
"""Where assets and sensors get their numbers from: one never has a number of another's."""


class Sensor(db.Model):  # type: ignore[misc, name-defined]
    """Something that has a value for each of its events; values are stored in its unit.

    An asset of API v2_0, a market and a weather sensor share the number of their sensor, as clients know it.

    Attributes:
        event_resolution: Length of an event; zero: the values are instantaneous.
    """

    __tablename__ = "sensor"
    __table_args__ = (UniqueConstraint("asset_id", "name"),)

    id: Mapped[int] = mapped_column(Integer, NUMBERS, primary_key=True)
    asset_id: Mapped[int] = mapped_column(
        ForeignKey("asset.id", ondelete="CASCADE", deferrable=True, initially="DEFERRED")
    )
    name: Mapped[str] = mapped_column(String(120), default="")
    unit: Mapped[str] = mapped_column(String(80))
    event_resolution: Mapped[timedelta] = mapped_column(Interval)
    timezone: Mapped[str] = mapped_column(String(80), default="UTC")
    knowledge_horizon_fnc: Mapped[str] = mapped_column(String(80), default="ex_post")
    knowledge_horizon_par: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    attributes: Mapped[dict[str, Any]] = mapped_column(
        JSONB, default=dict, server_default=text("'{}'::jsonb")
    )

    @property
    def knowledge_rule(self) -> KnowledgeRule:
        """From when on its events are known."""
        return parse_knowledge_rule(self.knowledge_horizon_fnc, self.knowledge_horizon_par)


class SensorReference(db.Model):  # type: ignore[misc, name-defined]
    """That a flex model, a flex context or a graph of an asset names a sensor, which therefore cannot be deleted.

    Attributes:
        field: Where it is named, such as ``flex_model.co2_sensor_id``.
    """

    __tablename__ = "sensor_reference"

    asset_id: Mapped[int] = mapped_column(ForeignKey("asset.id", ondelete="CASCADE"), primary_key=True)
    field: Mapped[str] = mapped_column(String(120), primary_key=True)
    # Looked at when the transaction ends: an asset may go together with the sensor that it names.
    sensor_id: Mapped[int] = mapped_column(
        ForeignKey("sensor.id", deferrable=True, initially="DEFERRED"), primary_key=True, index=True
    )
