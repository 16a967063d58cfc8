"""Beliefs of trusted sources about public sensors, such as markets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.data.stores.portfolio import PortfolioWindow, read_latest_by_source
from flexmeasures.data.stores.users import find_speakers
from flexmeasures.data.tables import Sensor
from flexmeasures.domain.beliefs import (
    TRUSTED_ROLES,
    Beliefs,
    Speaker,
    latest_per_event,
    trusted_source_ids,
)
from flexmeasures.domain.time import Instants

__all__ = ["PublicBeliefs", "TrustedRoles", "read_public_beliefs", "roles_trusted_by"]

Values = np.ndarray[Any, np.dtype[np.float64]]

TrustedRoles = Mapping[str, Sequence[str]]
"""Name of a public sensor → the roles whose users it trusts; those that are not named trust `TRUSTED_ROLES`."""


@dataclass(frozen=True)
class PublicBeliefs:
    """The newest beliefs of each source about public sensors.

    Attributes:
        beliefs: By sensor.
        speakers: Who holds them, by sensor.
        roles: Which roles each sensor trusts.
    """

    beliefs: Mapping[int, Beliefs] = field(default_factory=dict)
    speakers: Mapping[int, Sequence[Speaker]] = field(default_factory=dict)
    roles: Mapping[int, frozenset[str]] = field(default_factory=dict)

    def sources_for(self, sensor_id: int, reader_id: int | None) -> frozenset[int]:
        """Choose the sources that count for a reader; the same set means the same values."""
        return trusted_source_ids(
            self.speakers.get(sensor_id, ()), reader_id=reader_id, roles=self.roles[sensor_id]
        )

    def latest(self, sensor_id: int, source_ids: frozenset[int]) -> tuple[Instants, Values]:
        """Give the most recent belief of these sources about each event: starts and values, (n,) each."""
        if sensor_id not in self.beliefs:
            return np.empty(0, "datetime64[us]"), np.empty(0)
        beliefs = self.beliefs[sensor_id]
        chosen = latest_per_event(beliefs.take(np.isin(beliefs.source_ids, list(source_ids))))
        return chosen.event_starts, chosen.values


def roles_trusted_by(sensor: Sensor, configured: TrustedRoles) -> frozenset[str]:
    """Look up which roles a public sensor trusts."""
    return frozenset(configured[sensor.name]) if sensor.name in configured else TRUSTED_ROLES


def read_public_beliefs(
    session: Session, sensors: Sequence[Sensor], window: PortfolioWindow, configured: TrustedRoles
) -> PublicBeliefs:
    """Read what each source believes about public sensors, in two queries."""
    roles = {sensor.id: roles_trusted_by(sensor, configured) for sensor in sensors}
    beliefs = read_latest_by_source(session, sensors, window)
    sources = {sensor_id: set(np.unique(one.source_ids).tolist()) for sensor_id, one in beliefs.items()}
    known = {one.source_id: one for one in find_speakers(session, set().union(*sources.values()))}
    speakers = {
        sensor_id: tuple(known[number] for number in sorted(numbers) if number in known)
        for sensor_id, numbers in sources.items()
    }
    return PublicBeliefs(beliefs, speakers, roles)
