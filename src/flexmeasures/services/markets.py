"""Markets: making them, with the sensor of their prices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.stores import assets as store
from flexmeasures.data.tables import Market
from flexmeasures.domain.addresses import parse_market
from flexmeasures.domain.beliefs import ExAnte, parse_knowledge_rule
from flexmeasures.domain.errors import BadAddress, FlexError
from flexmeasures.domain.names import machine_name
from flexmeasures.domain.quoting import LONGEST_QUOTE
from flexmeasures.services.checks import Checks
from flexmeasures.services.numbered import add_public_asset, add_sensor_to

__all__ = ["NewMarket", "create_market"]


@dataclass(frozen=True)
class NewMarket:
    """A new market.

    Attributes:
        knowledge_horizon: Name of the rule which says when its prices are known, and the rule's parameters.
    """

    name: str
    display_name: str
    market_type_name: str
    unit: str
    event_resolution: timedelta
    timezone: str = "UTC"
    knowledge_horizon: tuple[str, dict[str, Any]] = (ExAnte.name, {})


def create_market(session: Session, new: NewMarket) -> Market:
    """Make a market and its price sensor.

    Raises:
        FieldErrors: If fields are wrong; names all of them.
    """
    name = machine_name(new.name)
    checks = Checks()
    checks.resolution(new.event_resolution)
    checks.zone(new.timezone)
    checks.text("name", name, 80)
    checks.text("display_name", new.display_name, 80)
    checks.unit(new.unit)
    checks.that(_is_addressable(name), "name", "Use letters, digits, _ and -, and begin with a letter.")
    checks.that(
        store.find_market_type(session, new.market_type_name) is not None,
        "market_type_name",
        f"Market type {new.market_type_name[:LONGEST_QUOTE]} doesn't exist. Add structure first.",
    )
    taken = select(Market).where((Market.name == name) | (Market.display_name == new.display_name))
    checks.that(
        {"name", "display_name"} & checks.errors.keys() or session.scalar(taken) is None,
        "name",
        f"A market with the name {name} or the display name {new.display_name[:LONGEST_QUOTE]} already exists.",
    )
    try:
        parse_knowledge_rule(*new.knowledge_horizon)
    except FlexError as error:
        checks.that(False, "knowledge_horizon", str(error))
    checks.done()
    asset = add_public_asset(session, name, "market")
    sensor = add_sensor_to(
        session, asset, name, new.unit, new.event_resolution, new.timezone, new.knowledge_horizon
    )
    market = Market(
        id=sensor.id,
        sensor=sensor,
        name=name,
        display_name=new.display_name,
        market_type_name=new.market_type_name,
    )
    session.add(market)
    session.flush()
    return market


def _is_addressable(market_name: str) -> bool:
    """Tell whether a name can stand in the entity address of a market."""
    try:
        return parse_market(f"ea1.2021-01.io.flexmeasures:{market_name}").name == market_name
    except BadAddress:
        return False
