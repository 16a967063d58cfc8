"""Operators' access to any community, without a role in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from flexmeasures.data.tables import Asset, CommunityService
from flexmeasures.services.communities.statements import check_prices
from flexmeasures.services.find import get_row

__all__ = ["find_any_service", "find_asset", "set_prices"]


def find_any_service(session: Session, service_id: int) -> CommunityService:
    """Get a service, drafts as well.

    Raises:
        NotFound: If there is none.
    """
    return get_row(session, CommunityService, service_id, "service")


def find_asset(session: Session, asset_id: int) -> Asset:
    """Get an asset.

    Raises:
        NotFound: If there is none.
    """
    return get_row(session, Asset, asset_id, "asset")


def set_prices(session: Session, service_id: int, prices: Mapping[str, Any]) -> None:
    """Set what energy costs the members of a service, in place of what was set before.

    Raises:
        NotFound: If there is no such service or sensor.
        InvalidInput: If a price is wrong.
    """
    service = find_any_service(session, service_id)
    check_prices(session, prices)
    service.prices = dict(prices)
    session.flush()
