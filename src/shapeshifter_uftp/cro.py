"""A reference CRO: the registry of congestion points and connections, as a service that runs.

The registry keeps nothing of its own: it is the sum of the accepted updates in the service's journal, so it survives a
crash with them. In *open* mode anybody may register; in *closed* mode only the participants named beforehand.

Source: UFTP specification 3.1.0, "Contract phase", "Plan phase".
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from shapeshifter_uftp.exceptions import (
    ConnectionConflictException,
    InvalidMessageException,
    InvalidValue,
    PeriodOutOfBoundsException,
    Rejection,
    SubordinateSequenceNumberException,
    UnauthorizedException,
)
from shapeshifter_uftp.isp_calendar import instant_of
from shapeshifter_uftp.references import make_response
from shapeshifter_uftp.rules.context import message_of
from shapeshifter_uftp.service import ShapeshifterCroService
from shapeshifter_uftp.store import Direction
from shapeshifter_uftp.uftp import (
    AgrPortfolioQuery,
    AgrPortfolioQueryResponse,
    AgrPortfolioQueryResponseCongestionPoint,
    AgrPortfolioQueryResponseConnection,
    AgrPortfolioQueryResponseDSOPortfolio,
    AgrPortfolioQueryResponseDSOView,
    AgrPortfolioUpdate,
    AgrPortfolioUpdateConnection,
    DsoPortfolioQuery,
    DsoPortfolioQueryCongestionPoint,
    DsoPortfolioQueryConnection,
    DsoPortfolioQueryResponse,
    DsoPortfolioUpdate,
    DsoPortfolioUpdateCongestionPoint,
    PayloadMessage,
)

__all__ = ["ReferenceCro", "Registry"]

_NOTHING = "No connections available"


def _valid_on(record: Any, day: dt.date) -> bool:
    return bool(record.start_period <= day and (record.end_period is None or day <= record.end_period))


def _overlap(one: Any, other: Any) -> bool:
    first_end, second_end = one.end_period or dt.date.max, other.end_period or dt.date.max
    return bool(one.start_period <= second_end and other.start_period <= first_end)


@dataclass
class Registry:
    """Congestion points by grid operator, connections by aggregator; times are days, both ends included.

    Attributes:
        members: Domains that may take part; None: anybody (open mode).
    """

    members: frozenset[str] | None = None
    _points: dict[tuple[str, str], DsoPortfolioUpdateCongestionPoint] = field(default_factory=dict)
    _represented: dict[tuple[str, str], AgrPortfolioUpdateConnection] = field(default_factory=dict)
    _latest: dict[str, dt.datetime] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def check_member(self, message: PayloadMessage) -> None:
        """Refuse strangers in closed mode."""
        if self.members is not None and message.sender_domain not in self.members:
            raise UnauthorizedException(str(message.sender_domain))

    def _check_order(self, message: PayloadMessage) -> dt.datetime:
        """Refuse an update that is older than the last one: there is no sequence number, so the time stamp counts."""
        try:
            made = instant_of(message.time_stamp or "")
        except InvalidValue as error:
            raise InvalidMessageException(f"TimeStamp: {error}") from error
        latest = self._latest.get(message.sender_domain or "")
        if latest is not None and made < latest:
            raise SubordinateSequenceNumberException(
                f"made at {message.time_stamp}, an update of {latest} is known"
            )
        return made

    def update_congestion_points(self, message: DsoPortfolioUpdate) -> None:
        """Register congestion points, replacing what was known about each of them; all of them or none."""
        with self._lock:
            self.check_member(message)
            made = self._check_order(message)
            dso = message.sender_domain or ""
            for point in message.congestion_points:
                _check_dates(point)
                for connection in point.connections:
                    self._check_conflict(dso, point, connection)
            self._points.update({(dso, point.entity_address): point for point in message.congestion_points})
            self._latest[dso] = made

    def _check_conflict(self, dso: str, point: DsoPortfolioUpdateCongestionPoint, connection: Any) -> None:
        for (owner, address), other in self._points.items():
            if (owner, address) == (dso, point.entity_address):
                continue
            for known in other.connections:
                if known.entity_address == connection.entity_address and _overlap(known, connection):
                    raise ConnectionConflictException(connection.entity_address, address)

    def update_connections(self, message: AgrPortfolioUpdate) -> None:
        """Register connections, replacing what was known about each of them; no grid operator needs to know them."""
        with self._lock:
            self.check_member(message)
            made = self._check_order(message)
            for connection in message.connections:
                _check_order_of_dates(connection)
            agr = message.sender_domain or ""
            self._represented.update({(agr, c.entity_address): c for c in message.connections})
            self._latest[agr] = made

    def view_of_aggregator(self, query: AgrPortfolioQuery) -> list[AgrPortfolioQueryResponseDSOView]:
        """Group an aggregator's own connections by grid operator and congestion point, on one day.

        Raises:
            Rejection: None of them stands behind a congestion point on that day.
        """
        with self._lock:
            self.check_member(query)
            agr, day = query.sender_domain or "", query.period
            own = {
                address for (who, address), c in self._represented.items() if who == agr and _valid_on(c, day)
            }
            portfolios, placed = self._portfolios(own, day)
        if not portfolios:
            raise Rejection(_NOTHING, detail=f"none of {len(own)} stands behind a congestion point on {day}")
        rest = [
            AgrPortfolioQueryResponseConnection(entity_address=address) for address in sorted(own - placed)
        ]
        return [AgrPortfolioQueryResponseDSOView(dso_portfolios=portfolios, connections=rest)]

    def _portfolios(
        self, own: set[str], day: dt.date
    ) -> tuple[list[AgrPortfolioQueryResponseDSOPortfolio], set[str]]:
        by_dso: dict[str, list[AgrPortfolioQueryResponseCongestionPoint]] = {}
        placed: set[str] = set()
        for (dso, address), point in sorted(self._points.items(), key=lambda item: item[0]):
            here = {c.entity_address for c in point.connections if _valid_on(c, day)} & own
            if not here or not _valid_on(point, day):
                continue
            placed |= here
            by_dso.setdefault(dso, []).append(
                AgrPortfolioQueryResponseCongestionPoint(
                    entity_address=address,
                    mutex_offers_supported=point.mutex_offers_supported,
                    day_ahead_redispatch_by=point.day_ahead_redispatch_by,
                    intraday_redispatch_by=point.intraday_redispatch_by,
                    connections=[
                        AgrPortfolioQueryResponseConnection(entity_address=each) for each in sorted(here)
                    ],
                )
            )
        portfolios = [
            AgrPortfolioQueryResponseDSOPortfolio(dso_domain=dso, congestion_points=points)
            for dso, points in by_dso.items()
        ]
        return portfolios, placed

    def view_of_congestion_point(self, query: DsoPortfolioQuery) -> DsoPortfolioQueryCongestionPoint:
        """List the connections at a grid operator's own congestion point with their aggregators, on one day.

        Raises:
            Rejection: The congestion point is not the asking operator's, or has no connections on that day.
        """
        with self._lock:
            self.check_member(query)
            point = self._points.get((query.sender_domain or "", query.entity_address))
            if point is None or not _valid_on(point, query.period):
                raise Rejection(_NOTHING, detail=query.entity_address)
            connections = [
                DsoPortfolioQueryConnection(
                    entity_address=c.entity_address,
                    agr_domain=self._aggregator_of(c.entity_address, query.period),
                )
                for c in point.connections
                if _valid_on(c, query.period)
            ]
        if not connections:
            raise Rejection(_NOTHING, detail=query.entity_address)
        return DsoPortfolioQueryCongestionPoint(entity_address=query.entity_address, connections=connections)

    def _aggregator_of(self, connection: str, day: dt.date) -> str | None:
        """Find who represents a connection; of several, the one who registered last."""
        found = [
            who
            for (who, address), c in self._represented.items()
            if address == connection and _valid_on(c, day)
        ]
        return max(found, key=lambda who: self._latest[who]) if found else None


def _check_order_of_dates(record: Any) -> None:
    if not isinstance(record.start_period, dt.date) or not isinstance(record.end_period, dt.date | None):
        raise PeriodOutOfBoundsException(record.entity_address)
    if record.end_period is not None and record.end_period < record.start_period:
        raise PeriodOutOfBoundsException(f"{record.entity_address} ends before it starts")


def _check_dates(point: DsoPortfolioUpdateCongestionPoint) -> None:
    _check_order_of_dates(point)
    for connection in point.connections:
        _check_order_of_dates(connection)
        end = connection.end_period
        if connection.start_period < point.start_period or (
            point.end_period and (end is None or end > point.end_period)
        ):
            raise PeriodOutOfBoundsException(f"{connection.entity_address} exceeds its congestion point")


class ReferenceCro(ShapeshifterCroService):
    """A common reference operator that keeps a registry and answers from it.

    Args:
        args: As for `ShapeshifterCroService`.
        members: Domains that may take part; None: anybody.
        kwargs: As for `ShapeshifterCroService`.
    """

    def __init__(self, *args: Any, members: Iterable[str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.registry = Registry(frozenset(members) if members is not None else None)
        self._replay()

    def _replay(self) -> None:
        """Build the registry from the updates that were accepted before."""
        everybody = Registry()
        for entry in self.journal.audit():
            if entry.direction is not Direction.IN or entry.outcome != "Accepted":
                continue
            message = message_of(entry) if entry.message_type.endswith("PortfolioUpdate") else None
            if isinstance(message, DsoPortfolioUpdate):
                everybody.update_congestion_points(message)
            elif isinstance(message, AgrPortfolioUpdate):
                everybody.update_connections(message)
        everybody.members = self.registry.members
        self.registry = everybody

    def process_dso_portfolio_update(self, message: DsoPortfolioUpdate) -> None:
        """Register congestion points."""
        self.registry.update_congestion_points(message)

    def process_agr_portfolio_update(self, message: AgrPortfolioUpdate) -> None:
        """Register connections."""
        self.registry.update_connections(message)

    def process_agr_portfolio_query(self, message: AgrPortfolioQuery) -> AgrPortfolioQueryResponse:
        """Tell an aggregator where its connections stand."""
        response: Any = make_response(message, dso_views=self.registry.view_of_aggregator(message))
        answer: AgrPortfolioQueryResponse = response
        return answer

    def process_dso_portfolio_query(self, message: DsoPortfolioQuery) -> DsoPortfolioQueryResponse:
        """Tell a grid operator who represents which connection."""
        response: Any = make_response(
            message, congestion_point=self.registry.view_of_congestion_point(message)
        )
        answer: DsoPortfolioQueryResponse = response
        return answer
