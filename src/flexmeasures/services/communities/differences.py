"""Where the grid operator's values differ from ours: a list for people to look at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from flexmeasures.data.tables import CommunityService
from flexmeasures.domain.communities.settlement import find_differences, settle_intervals
from flexmeasures.domain.errors import InvalidInput
from flexmeasures.domain.time import from_datetime64
from flexmeasures.services.communities.blocks import make_blocks, rounds_of_block
from flexmeasures.services.communities.metrics import default_range
from flexmeasures.services.communities.readings import read_readings

__all__ = ["OperatorDifference", "list_differences"]

_MOST_DAYS = 366


@dataclass(frozen=True)
class OperatorDifference:
    """An interval in which the grid operator says something else than we, by more than the tolerance.

    Attributes:
        start: Of the settlement interval, UTC.
        supply_point: Its id at the grid operator.
        operator_kwh: What the operator says that it used of the community's energy; this counts.
        computed_kwh: What we work out.
    """

    start: datetime
    supply_point: str
    operator_kwh: float
    computed_kwh: float


def list_differences(
    session: Session, service: CommunityService, first: date | None, last: date | None, now: datetime
) -> list[OperatorDifference]:
    """List where the grid operator's values differ from ours, in the order of time.

    Raises:
        InvalidInput: If the time is longer than a year.
    """
    span = default_range(session, service, first, last, now)
    if span is None:
        return []
    count = (span[1] - span[0]).days + 1
    if count > _MOST_DAYS:
        raise InvalidInput(
            f"Differences are listed for at most {_MOST_DAYS} days, not {count}. Ask for less."
        )
    found = []
    for block in make_blocks(session, service, [span[0] + timedelta(days=n) for n in range(count)]):
        readings = read_readings(session, service, block.inscriptions, block.plants, block.grid)
        computed = settle_intervals(readings, rounds_of_block(service, block)).computed
        differing = find_differences(readings, computed, service.tolerance_kwh)
        found += [
            OperatorDifference(
                from_datetime64(block.grid.starts[interval]),
                block.inscriptions[member].supply_point.cups,
                float(theirs),
                float(ours),
            )
            for interval, member, theirs, ours in zip(
                differing.intervals,
                differing.members,
                differing.operator_kwh,
                differing.computed_kwh,
                strict=True,
            )
        ]
    return found
