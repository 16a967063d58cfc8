"""Read what was measured or forecast: the one way out for power, prices and weather."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.data.stores.beliefs import SourceFilter, Window, read_latest
from flexmeasures.data.stores.users import user_ids_with_role
from flexmeasures.data.tables import User
from flexmeasures.domain.beliefs import bin_edges, mean_per_bin
from flexmeasures.domain.errors import NotFound, ResolutionMismatch
from flexmeasures.domain.ids import is_id
from flexmeasures.domain.quoting import quote
from flexmeasures.domain.sensors import SensorFacts
from flexmeasures.domain.time import format_duration

__all__ = ["Question", "check_resolution", "choose_sources", "read_values"]

_USER_ID = re.compile(r"\d{1,10}", re.ASCII)

Values = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Question:
    """Question about a sensor.

    Attributes:
        start: From the event that covers this instant ...
        end: ... up to this instant (exclusive).
        resolution: Length of the intervals in the answer; None: the sensor's own.
        min_horizon: Only beliefs held at least this long before the end of their event.
        max_horizon: Only beliefs held at most this long before the end of their event.
        held_by: Only beliefs held at this time or earlier.
        sources: Whose beliefs count.
    """

    start: datetime
    end: datetime
    resolution: timedelta | None = None
    min_horizon: timedelta | None = None
    max_horizon: timedelta | None = None
    held_by: datetime | None = None
    sources: SourceFilter = field(default_factory=SourceFilter)


def check_resolution(sensor: SensorFacts, resolution: timedelta | None) -> None:
    """Make sure that a sensor's values can be averaged to a resolution.

    Raises:
        ResolutionMismatch: If it is not a multiple of the sensor's own.
    """
    own = sensor.event_resolution
    if resolution is not None and (resolution <= timedelta(0) or resolution % own):
        raise ResolutionMismatch(
            f"Values of {sensor.name!r} cannot be given at {format_duration(resolution)}. "
            f"Ask for {format_duration(own)} or a multiple of it.",
            {"required": format_duration(own)},
        )


def read_values(session: Session, sensor: SensorFacts, question: Question) -> Values:
    """Read the most recent allowed belief about each event, averaged to the asked resolution.

    Events (or bins) about which nothing is known are left out; the values follow each other in time.

    Returns:
        Shape ``(n,)``, in the sensor's unit.

    Raises:
        ResolutionMismatch: If the asked resolution is not a multiple of the sensor's own.
    """
    check_resolution(sensor, question.resolution)
    starts, values = read_latest(
        session,
        Window(
            sensor.id,
            sensor.event_resolution,
            start=question.start,
            end=question.end,
            min_horizon=question.min_horizon,
            max_horizon=question.max_horizon,
            held_by=question.held_by,
            rule=sensor.knowledge_rule,
            sources=question.sources,
        ),
    )
    if question.resolution in (None, sensor.event_resolution) or not len(starts):
        return values
    edges = bin_edges(question.start, question.end, question.resolution, sensor.timezone)
    means, covered = mean_per_bin(starts, values, sensor.event_resolution, edges)
    return means[covered > 0]


def choose_sources(
    session: Session,
    user: User,
    named: Sequence[str | int] | None,
    default: Sequence[str] | None,
    types: tuple[str, ...],
) -> SourceFilter:
    """Work out whose beliefs a request wants.

    The user's own data always count, and programs that are not excluded by their type.

    Args:
        session: For looking up users and roles.
        user: Who asks.
        named: Ids of users and names of roles, as sent; None: those of ``default``.
        default: Names of roles that count if nobody is named; None: all users.
        types: Types of sources that are considered at all.

    Raises:
        NotFound: If a named user or role does not exist, or no active user has the role.
    """
    if named is None and default is None:
        return SourceFilter(types=types)
    wanted = list(default or ()) if named is None else list(named)
    ids, roles = set(), []
    for name in wanted:
        # Not str.isdigit: it takes the digits of all scripts, and as many of them as there are.
        if isinstance(name, int) or _USER_ID.fullmatch(name):
            ids.add(int(name))
        else:
            roles.append(name)
    by_role = user_ids_with_role(session, roles)
    if named is not None:
        unknown = [quote(role) for role in roles if role not in by_role]
        unknown += [str(i) for i in ids if not is_id(i) or session.get(User, i) is None]
        if unknown:
            raise NotFound(
                f"No data source is known as {', '.join(unknown[:5])}. Name user ids, or roles such as MDC."
            )
    chosen = ids.union([user.id], *by_role.values())
    return SourceFilter(types=types, user_ids=tuple(sorted(chosen)))
