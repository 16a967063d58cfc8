"""What beliefs are about: sensors, one for each asset, market and weather sensor."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Integer, Interval, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from flexmeasures.data.database import db
from flexmeasures.domain.beliefs import KnowledgeRule, parse_knowledge_rule

__all__ = ["Sensor"]


class Sensor(db.Model):  # type: ignore[misc, name-defined]
    """Something that has a value for each of its events.

    Assets, markets and weather sensors share the id of their sensor, so an id means one thing in the whole platform.
    """

    __tablename__ = "sensor"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(120), default="")
    unit: Mapped[str] = mapped_column(String(80))
    event_resolution: Mapped[timedelta] = mapped_column(Interval)
    timezone: Mapped[str] = mapped_column(String(80), default="UTC")
    knowledge_horizon_fnc: Mapped[str] = mapped_column(String(80), default="ex_post")
    knowledge_horizon_par: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)

    @property
    def knowledge_rule(self) -> KnowledgeRule:
        """From when on its events are known."""
        return parse_knowledge_rule(self.knowledge_horizon_fnc, self.knowledge_horizon_par)
