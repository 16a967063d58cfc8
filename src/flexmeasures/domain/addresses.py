"""USEF entity addresses of type 1 (ea1).

``ea1.{YYYY-MM}.{reversed domain}:{locally unique string}``, where the local part names, with numbers that are ids:

============== =====================================================
connection     ``[{owner}:]{asset}``
event          ``[{owner}:]{asset}:{event}:{event type}``
market         ``{market name}``
weather sensor ``{weather sensor type}:{latitude}:{longitude}``
============== =====================================================

Only the local part says what is meant: host and date are checked for form, not against our own. For simulation a
connection may also be given as ``{owner}:{asset}``, ``{asset}`` or the asset's name.

Source: USEF Flexibility Trading Protocol Specifications 1.01, and RFC 3720 section 3.2.6.3.1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from flexmeasures.domain.errors import BadAddress
from flexmeasures.domain.quoting import quote

__all__ = [
    "ConnectionAddress",
    "EventAddress",
    "MarketAddress",
    "NamingAuthority",
    "WeatherSensorAddress",
    "parse_connection",
    "parse_event",
    "parse_market",
    "parse_weather_sensor",
]

_ID = r"\d{1,18}"
_NUMBER = r"-?\d{1,3}(?:\.\d{1,15})?"
_HEAD = re.compile(r"ea1\.\d{4}-\d{2}\.(?:\[[^\]]*\]|[^:]+):(?P<local>.+)", re.ASCII)
_CONNECTION = re.compile(rf"(?:{_ID}:)*?(?:(?P<owner>{_ID}):)?(?P<asset>{_ID})", re.ASCII)
_EVENT = re.compile(
    rf"(?:{_ID}:)*?(?:(?P<owner>{_ID}):)?(?P<asset>{_ID}):(?P<event>{_ID}):(?P<type>[\w-]+)", re.ASCII
)
_MARKET = re.compile(r"(?:\d{1,5}:)?(?P<name>[a-zA-Z][\w-]*)", re.ASCII)
_SENSOR = re.compile(
    rf"(?:\d{{1,5}}:)?(?P<type>[a-zA-Z]\w*):(?P<latitude>{_NUMBER}):(?P<longitude>{_NUMBER})", re.ASCII
)


@dataclass(frozen=True)
class NamingAuthority:
    """Naming authority: a host and the month since when its domain has its owner.

    Attributes:
        host: Host name, without port.
        since: First month of ownership, ``YYYY-MM``.
    """

    host: str
    since: str

    @classmethod
    def of_host(cls, host: str, ownership: Mapping[str, str], today: date) -> NamingAuthority:
        """Look up the authority behind a host.

        Args:
            host: Host as in a URL; scheme, credentials and port are dropped.
            ownership: Month of first ownership by host name.
            today: For localhost, which nobody owns, the month after this day is taken.

        Raises:
            BadAddress: If nobody said since when the host's domain is owned, or said it wrongly.
        """
        name = re.sub(r"^\w+://", "", host).split("/")[0].rsplit("@")[-1]
        name = re.sub(r":\d+$", "", name)
        since = ownership.get(name)
        if since is None and name in ("localhost", "127.0.0.1", "[::1]"):
            year, month = divmod(today.year * 12 + today.month, 12)
            since = f"{year:04d}-{month + 1:02d}"
        if since is None:
            raise BadAddress(
                f"Nobody has configured when authority {name} started. "
                f"Add it to FLEXMEASURES_HOSTS_AND_AUTH_START, for example {{'{name}': '2021-01'}}."
            )
        if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", since):
            raise BadAddress(f"The start of authority {name} is {quote(since)}; write it as YYYY-MM.")
        return cls(name, since)

    def __str__(self) -> str:
        # The labels of an IPv4 address stay in order: reversed they would name another host.
        is_address = re.fullmatch(r"[\d.]+|\[.*\]", self.host)
        labels = self.host if is_address else ".".join(reversed(self.host.split(".")))
        return f"ea1.{self.since}.{labels}"


@dataclass(frozen=True)
class ConnectionAddress:
    """Where an asset is connected to the grid; one of ``asset_id`` and ``name`` is given.

    Attributes:
        is_short: Whether it was written without saying who gives the names.
    """

    asset_id: int | None
    owner_id: int | None = None
    name: str | None = None
    is_short: bool = False

    def build(self, authority: NamingAuthority) -> str:
        """Write the address in full."""
        return f"{authority}:{self.owner_id}:{self.asset_id}"


@dataclass(frozen=True)
class EventAddress:
    """A UDI event (user-defined interaction): what the owner wants from a device."""

    asset_id: int
    event_id: int
    event_type: str
    owner_id: int | None = None

    def build(self, authority: NamingAuthority) -> str:
        """Write the address in full."""
        return f"{authority}:{self.owner_id}:{self.asset_id}:{self.event_id}:{self.event_type}"


@dataclass(frozen=True)
class MarketAddress:
    """A market, by name."""

    name: str

    def build(self, authority: NamingAuthority) -> str:
        """Write the address in full."""
        return f"{authority}:{self.name}"


@dataclass(frozen=True)
class WeatherSensorAddress:
    """A weather sensor, by quantity and place [degrees]."""

    type_name: str
    latitude: float
    longitude: float

    def build(self, authority: NamingAuthority) -> str:
        """Write the address in full."""
        # Never with an exponent, as Python writes numbers near zero.
        latitude, longitude = (format(Decimal(str(angle)), "f") for angle in (self.latitude, self.longitude))
        return f"{authority}:{self.type_name}:{latitude}:{longitude}"


def parse_connection(text: object, shorthand: bool = True) -> ConnectionAddress:
    """Read the address of a connection.

    Args:
        text: The address.
        shorthand: Whether ``owner:asset``, ``asset`` and names of assets are understood, too.

    Raises:
        BadAddress: If it is something else.

    >>> parse_connection("ea1.2021-02.io.flexmeasures.company:30:73")
    ConnectionAddress(asset_id=73, owner_id=30, name=None, is_short=False)
    """
    local = _local_part(text)
    found = _CONNECTION.fullmatch(local if local is not None else str(text))
    if found and (local is not None or shorthand):
        return ConnectionAddress(int(found["asset"]), _optional(found["owner"]), is_short=local is None)
    if (
        shorthand
        and isinstance(text, str)
        and text.strip()
        and text.isprintable()
        and not text.startswith("ea1")
        and ":" not in text
    ):
        return ConnectionAddress(None, name=text.strip(), is_short=True)
    raise _bad(text, "connection", "ea1.2021-02.io.flexmeasures.company:30:73")


def parse_event(text: object) -> EventAddress:
    """Read the address of a UDI event.

    Raises:
        BadAddress: If it is something else.

    >>> parse_event("ea1.2018-06.io.flexmeasures.company:7:10:203:soc")
    EventAddress(asset_id=10, event_id=203, event_type='soc', owner_id=7)
    """
    found = _EVENT.fullmatch(_local_part(text) or "")
    if not found:
        raise _bad(text, "UDI event", "ea1.2021-02.io.flexmeasures.company:7:10:203:soc")
    return EventAddress(int(found["asset"]), int(found["event"]), found["type"], _optional(found["owner"]))


def parse_market(text: object) -> MarketAddress:
    """Read the address of a market.

    Raises:
        BadAddress: If it is something else.
    """
    found = _MARKET.fullmatch(_local_part(text) or "")
    if not found:
        raise _bad(text, "market", "ea1.2021-02.io.flexmeasures.company:epex_da")
    return MarketAddress(found["name"])


def parse_weather_sensor(text: object) -> WeatherSensorAddress:
    """Read the address of a weather sensor.

    Raises:
        BadAddress: If it is something else.
    """
    found = _SENSOR.fullmatch(_local_part(text) or "")
    if not found:
        raise _bad(text, "weather sensor", "ea1.2021-02.io.flexmeasures.company:temperature:33.48:126.47")
    latitude, longitude = float(found["latitude"]), float(found["longitude"])
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise BadAddress(
            f"{quote(text)} names no place on earth: latitudes go from -90 to 90, longitudes from -180 to 180."
        )
    return WeatherSensorAddress(found["type"], latitude, longitude)


def _local_part(text: object) -> str | None:
    head = _HEAD.fullmatch(text) if isinstance(text, str) else None
    return head["local"] if head else None


def _optional(number: str | None) -> int | None:
    return None if number is None else int(number)


def _bad(text: object, kind: str, example: str) -> BadAddress:
    return BadAddress(f"{quote(text)} is not the entity address of a {kind}. Write it like {example}.")
