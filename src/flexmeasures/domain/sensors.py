"""Properties of a sensor that are needed to read and store its beliefs."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from flexmeasures.domain.beliefs import KnowledgeRule

__all__ = ["SensorFacts"]


class SensorFacts(Protocol):
    """A sensor as a row of the database, or as a value beside it."""

    @property
    def id(self) -> int:
        """Its number."""

    @property
    def name(self) -> str:
        """Its name, for messages."""

    @property
    def unit(self) -> str:
        """The unit in which its values are stored."""

    @property
    def event_resolution(self) -> timedelta:
        """Length of an event; zero: the values are instantaneous."""

    @property
    def timezone(self) -> str:
        """The zone in which its days begin."""

    @property
    def knowledge_rule(self) -> KnowledgeRule:
        """From when on its events are known."""
