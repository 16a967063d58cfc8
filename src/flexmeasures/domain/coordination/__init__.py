"""Coordination with the grid, pure: what events ask for and when, limits, areas, reports and their compensation.

Message shapes, deliveries over the network and rows live elsewhere (api/, connectors/, data/).
"""

from flexmeasures.domain.coordination.areas import Polygon
from flexmeasures.domain.coordination.compensation import (
    CompensatedSlot,
    Compensation,
    compensate,
    is_in_time,
    round_money,
)
from flexmeasures.domain.coordination.deliveries import RETRIES, is_signed_by, retry_after, sign
from flexmeasures.domain.coordination.faults import Fault, InvalidReport, raise_faults
from flexmeasures.domain.coordination.intervals import (
    DrEvent,
    Interval,
    IntervalPeriod,
    Span,
    start_offset,
    unfold,
)
from flexmeasures.domain.coordination.limits import FailSafe, LimitState, LimitWatch, least_dimmed_power_kw
from flexmeasures.domain.coordination.signals import GridSignals, SignalKind
from flexmeasures.domain.coordination.targets import is_visible, shown_targets
from flexmeasures.domain.coordination.timeline import Claim, Rule, Segment, Timeline, overlay
from flexmeasures.domain.coordination.usage import EventSlots, UsagePoint, place_usage

__all__ = [
    "RETRIES",
    "Claim",
    "CompensatedSlot",
    "Compensation",
    "DrEvent",
    "EventSlots",
    "FailSafe",
    "Fault",
    "GridSignals",
    "Interval",
    "IntervalPeriod",
    "InvalidReport",
    "LimitState",
    "LimitWatch",
    "Polygon",
    "Rule",
    "Segment",
    "SignalKind",
    "Span",
    "Timeline",
    "UsagePoint",
    "compensate",
    "is_in_time",
    "is_signed_by",
    "is_visible",
    "least_dimmed_power_kw",
    "overlay",
    "place_usage",
    "raise_faults",
    "retry_after",
    "round_money",
    "shown_targets",
    "sign",
    "start_offset",
    "unfold",
]
