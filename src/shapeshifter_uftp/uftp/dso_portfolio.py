"""DSOPortfolioUpdate and DSOPortfolioQuery: grid operator and reference operator about congestion points."""

# ruff: noqa: RUF009  the calls return dataclasses.field(): they are declarations, not shared defaults

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from shapeshifter_uftp.uftp.enumerations import RedispatchBy, UsefRole
from shapeshifter_uftp.uftp.lexical import (
    BOOLEAN,
    DOMAIN,
    ENTITY_ADDRESS,
    PERIOD,
    REDISPATCH_BY,
    TIME_ZONE,
    UUID,
)
from shapeshifter_uftp.uftp.payload import DEFAULT_TIME_ZONE, PayloadMessage, PayloadMessageResponse
from shapeshifter_uftp.uftp.structure import Converted, attribute, child, children, element, optional

__all__ = [
    "DsoPortfolioQuery",
    "DsoPortfolioQueryCongestionPoint",
    "DsoPortfolioQueryConnection",
    "DsoPortfolioQueryResponse",
    "DsoPortfolioUpdate",
    "DsoPortfolioUpdateCongestionPoint",
    "DsoPortfolioUpdateConnection",
    "DsoPortfolioUpdateResponse",
]


@dataclass(kw_only=True, slots=True)
class DsoPortfolioUpdateConnection(Converted):
    """A connection behind a congestion point, from one day to another (both included)."""

    entity_address: str = attribute("EntityAddress", ENTITY_ADDRESS, "the connection")
    start_period: dt.date = attribute("StartPeriod", PERIOD, "first day behind the congestion point")
    end_period: dt.date | None = optional("EndPeriod", PERIOD, "last day; absent: until further notice")


@dataclass(kw_only=True, slots=True)
class DsoPortfolioUpdateCongestionPoint(Converted):
    """A place in the grid where the operator wants to trade flexibility, and what may be traded there."""

    connections: list[DsoPortfolioUpdateConnection] = children(
        "Connection", DsoPortfolioUpdateConnection, "connections behind it"
    )
    entity_address: str = attribute("EntityAddress", ENTITY_ADDRESS, "the congestion point")
    start_period: dt.date = attribute("StartPeriod", PERIOD, "first day of trading there")
    end_period: dt.date | None = optional("EndPeriod", PERIOD, "last day; absent: until further notice")
    mutex_offers_supported: bool = attribute(
        "MutexOffersSupported", BOOLEAN, "whether offers may have several, mutually exclusive options"
    )
    day_ahead_redispatch_by: RedispatchBy = attribute(
        "DayAheadRedispatchBy", REDISPATCH_BY, "who redispatches for day-ahead trade"
    )
    intraday_redispatch_by: RedispatchBy | None = optional(
        "IntradayRedispatchBy",
        REDISPATCH_BY,
        "who redispatches for intraday trade; absent: no intraday trade there",
    )


@element("DSOPortfolioUpdate", UsefRole.DSO, UsefRole.CRO)
@dataclass(kw_only=True, slots=True)
class DsoPortfolioUpdate(PayloadMessage):
    """The congestion points on which a grid operator wants to trade flexibility."""

    congestion_points: list[DsoPortfolioUpdateCongestionPoint] = children(
        "CongestionPoint", DsoPortfolioUpdateCongestionPoint, "congestion points to register"
    )
    time_zone: str = attribute(
        "TimeZone", TIME_ZONE, "zone whose days are meant", default=DEFAULT_TIME_ZONE, required=True
    )


@element("DSOPortfolioUpdateResponse", UsefRole.CRO, UsefRole.DSO)
@dataclass(kw_only=True, slots=True)
class DsoPortfolioUpdateResponse(PayloadMessageResponse):
    """Response that tells whether the congestion points were registered."""

    # The schema really spells it so, and it holds the id of the update, not of this response.
    dso_portfolio_update_message_id: str = attribute(
        "DSOPortfolioUpdateResponseMessageID", UUID, "the update answered"
    )


@element("DSOPortfolioQuery", UsefRole.DSO, UsefRole.CRO)
@dataclass(kw_only=True, slots=True)
class DsoPortfolioQuery(PayloadMessage):
    """A grid operator asks which aggregators represent connections at a congestion point on one day."""

    time_zone: str = attribute(
        "TimeZone", TIME_ZONE, "zone whose days are meant", default=DEFAULT_TIME_ZONE, required=True
    )
    period: dt.date = attribute("Period", PERIOD, "the day asked about")
    entity_address: str = attribute("EntityAddress", ENTITY_ADDRESS, "the congestion point asked about")


@dataclass(kw_only=True, slots=True)
class DsoPortfolioQueryConnection(Converted):
    """A connection behind the congestion point, and who represents it."""

    entity_address: str = attribute("EntityAddress", ENTITY_ADDRESS, "the connection")
    agr_domain: str | None = optional("AGR-Domain", DOMAIN, "its aggregator; absent: nobody")


@dataclass(kw_only=True, slots=True)
class DsoPortfolioQueryCongestionPoint(Converted):
    """The congestion point asked about."""

    connections: list[DsoPortfolioQueryConnection] = children(
        "Connection", DsoPortfolioQueryConnection, "connections behind it"
    )
    entity_address: str = attribute("EntityAddress", ENTITY_ADDRESS, "the congestion point")


@element("DSOPortfolioQueryResponse", UsefRole.CRO, UsefRole.DSO)
@dataclass(kw_only=True, slots=True)
class DsoPortfolioQueryResponse(PayloadMessageResponse):
    """Aggregators of the connections at the congestion point asked about."""

    dso_portfolio_query_message_id: str = attribute("DSOPortfolioQueryMessageID", UUID, "the query answered")
    congestion_point: DsoPortfolioQueryCongestionPoint | None = child(
        "CongestionPoint", DsoPortfolioQueryCongestionPoint, "the answer; absent when nothing is registered"
    )
    time_zone: str = attribute(
        "TimeZone", TIME_ZONE, "as in the query", default=DEFAULT_TIME_ZONE, required=True
    )
    period: dt.date = attribute("Period", PERIOD, "as in the query")
