"""AGRPortfolioUpdate and AGRPortfolioQuery: aggregator and reference operator about connections."""

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
from shapeshifter_uftp.uftp.structure import Converted, attribute, children, element, optional

__all__ = [
    "AgrPortfolioQuery",
    "AgrPortfolioQueryResponse",
    "AgrPortfolioQueryResponseCongestionPoint",
    "AgrPortfolioQueryResponseConnection",
    "AgrPortfolioQueryResponseDSOPortfolio",
    "AgrPortfolioQueryResponseDSOView",
    "AgrPortfolioUpdate",
    "AgrPortfolioUpdateConnection",
    "AgrPortfolioUpdateResponse",
]


@dataclass(kw_only=True, slots=True)
class AgrPortfolioUpdateConnection(Converted):
    """A connection whose prosumer the aggregator represents, from one day to another (both included)."""

    entity_address: str = attribute("EntityAddress", ENTITY_ADDRESS, "the connection")
    start_period: dt.date = attribute("StartPeriod", PERIOD, "first day of representing the prosumer")
    end_period: dt.date | None = optional("EndPeriod", PERIOD, "last day; absent: until further notice")


@element("AGRPortfolioUpdate", UsefRole.AGR, UsefRole.CRO)
@dataclass(kw_only=True, slots=True)
class AgrPortfolioUpdate(PayloadMessage):
    """The connections on which an aggregator represents prosumers."""

    connections: list[AgrPortfolioUpdateConnection] = children(
        "Connection", AgrPortfolioUpdateConnection, "connections to register"
    )
    time_zone: str = attribute(
        "TimeZone", TIME_ZONE, "zone whose days are meant", default=DEFAULT_TIME_ZONE, required=True
    )


@element("AGRPortfolioUpdateResponse", UsefRole.CRO, UsefRole.AGR)
@dataclass(kw_only=True, slots=True)
class AgrPortfolioUpdateResponse(PayloadMessageResponse):
    """Response that tells whether the connections were registered."""

    agr_portfolio_update_message_id: str = attribute(
        "AGRPortfolioUpdateMessageID", UUID, "the update answered"
    )


@element("AGRPortfolioQuery", UsefRole.AGR, UsefRole.CRO)
@dataclass(kw_only=True, slots=True)
class AgrPortfolioQuery(PayloadMessage):
    """An aggregator asks where its connections stand in the grid on one day."""

    time_zone: str = attribute(
        "TimeZone", TIME_ZONE, "zone whose days are meant", default=DEFAULT_TIME_ZONE, required=True
    )
    period: dt.date = attribute("Period", PERIOD, "the day asked about")


@dataclass(kw_only=True, slots=True)
class AgrPortfolioQueryResponseConnection(Converted):
    """A connection of the asking aggregator."""

    entity_address: str = attribute("EntityAddress", ENTITY_ADDRESS, "the connection")


@dataclass(kw_only=True, slots=True)
class AgrPortfolioQueryResponseCongestionPoint(Converted):
    """A congestion point with the asking aggregator's connections, and what may be traded there."""

    connections: list[AgrPortfolioQueryResponseConnection] = children(
        "Connection", AgrPortfolioQueryResponseConnection, "the aggregator's connections there"
    )
    entity_address: str = attribute("EntityAddress", ENTITY_ADDRESS, "the congestion point")
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


@dataclass(kw_only=True, slots=True)
class AgrPortfolioQueryResponseDSOPortfolio(Converted):
    """The congestion points of one grid operator."""

    congestion_points: list[AgrPortfolioQueryResponseCongestionPoint] = children(
        "CongestionPoint", AgrPortfolioQueryResponseCongestionPoint, "its congestion points"
    )
    dso_domain: str = attribute("DSO-Domain", DOMAIN, "the grid operator")


@dataclass(kw_only=True, slots=True)
class AgrPortfolioQueryResponseDSOView(Converted):
    """An aggregator's connections, grouped by grid operator; then those that no grid operator declared."""

    dso_portfolios: list[AgrPortfolioQueryResponseDSOPortfolio] = children(
        "DSO-Portfolio", AgrPortfolioQueryResponseDSOPortfolio, "one for each grid operator"
    )
    connections: list[AgrPortfolioQueryResponseConnection] = children(
        "Connection", AgrPortfolioQueryResponseConnection, "connections in no congestion point", at_least=0
    )


@element("AGRPortfolioQueryResponse", UsefRole.CRO, UsefRole.AGR)
@dataclass(kw_only=True, slots=True)
class AgrPortfolioQueryResponse(PayloadMessageResponse):
    """Where the aggregator's connections stand on the day asked about.

    The schema demands a DSO-View even in a rejection; see the page on interoperability.
    """

    agr_portfolio_query_message_id: str = attribute("AGRPortfolioQueryMessageID", UUID, "the query answered")
    dso_views: list[AgrPortfolioQueryResponseDSOView] = children(
        "DSO-View", AgrPortfolioQueryResponseDSOView, "the answer; empty only in a rejection"
    )
    time_zone: str = attribute(
        "TimeZone", TIME_ZONE, "as in the query", default=DEFAULT_TIME_ZONE, required=True
    )
    period: dt.date = attribute("Period", PERIOD, "as in the query")
