"""What each version of the API offers and how it differs: a table to be read beside the API change log."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ALL_ROLES", "SERVICES", "VERSIONS", "Service", "Version"]

ALL_ROLES = ("Aggregator", "Supplier", "MDC", "DSO", "Prosumer", "ESCo")
_DEVICE_ROLES = ("Prosumer", "ESCo")


@dataclass(frozen=True)
class Version:
    """A version of the API.

    Attributes:
        prefix: Its part of the path.
        number: As in its service listing.
    """

    prefix: str
    number: str


@dataclass(frozen=True)
class Service:
    """A service, which is one endpoint in each version that offers it.

    Attributes:
        name: The last part of its path, and of its messages' types.
        method: HTTP method.
        access: Roles named in the listing.
        description: A phrase for the listing.
        versions: Prefixes of the versions that offer it.
        roles: Roles that may use it, if they are fewer than those named in the listing.
        public: Whether no account is needed; such a service is not listed.
    """

    name: str
    method: str
    access: tuple[str, ...]
    description: str
    versions: tuple[str, ...]
    roles: tuple[str, ...] | None = None
    public: bool = False

    @property
    def allowed_roles(self) -> tuple[str, ...]:
        """Roles that may use it."""
        return self.access if self.roles is None else self.roles

    @property
    def response_type(self) -> str:
        """The type of its answers."""
        return f"{self.name[0].upper()}{self.name[1:]}Response"


VERSIONS = {version.prefix: version for version in (Version("v2_0", "2.0"),)}

_V2 = ("v2_0",)

SERVICES = (
    Service("getService", "GET", (), "Obtain a service listing for this version", _V2, public=True),
    Service("getConnection", "GET", ALL_ROLES, "Request entity addresses of connections", _V2),
    Service("getMeterData", "GET", ALL_ROLES, "Request meter reading", _V2),
    Service("postMeterData", "POST", ALL_ROLES, "Send meter reading", _V2),
    Service("postPriceData", "POST", ALL_ROLES, "Send prices for market transactions", _V2),
    Service("getDeviceMessage", "GET", _DEVICE_ROLES, "Get an Active Demand & Supply (ADS) request", _V2),
    Service(
        "postUdiEvent",
        "POST",
        _DEVICE_ROLES,
        "Send a description of some flexible consumption or production process as a USEF Device Interface (UDI) event",
        _V2,
        roles=("Prosumer",),
    ),
)
