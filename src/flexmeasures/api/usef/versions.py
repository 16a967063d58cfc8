"""Versions of the API and their differences: a table to be read beside the API change log."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ALL_ROLES", "LISTED_REST", "SERVICES", "VERSIONS", "Service", "Version"]

ALL_ROLES = ("Aggregator", "Supplier", "MDC", "DSO", "Prosumer", "ESCo")
_DEVICE_ROLES = ("Prosumer", "ESCo")


@dataclass(frozen=True)
class Version:
    """A version of the API.

    Attributes:
        prefix: Its part of the path.
        number: As in its service listing.
        rolling_horizons: Whether the horizon of posted data always counts for each event (2.0-2). Before, it counted
            from the end of the whole series, unless it was written as a repeating interval (``R/PT6H``).
        takes_prior: Whether posts may say when they were recorded, and otherwise are recorded when they arrive (2.0-2).
            Before, data without a horizon were recorded right after each event (1.3-9).
        in_quarters: Whether series start on the hour or a multiple of 15 minutes after it, and last a multiple of
            that, unless the events of their sensors are shorter.
        plans_in_jobs: Whether a UDI event orders a schedule that a worker makes (1.3-0). Before, getDeviceMessage made
            it at once, for batteries only, and each event had to be later than the one before.
    """

    prefix: str
    number: str
    rolling_horizons: bool = False
    takes_prior: bool = False
    in_quarters: bool = True
    plans_in_jobs: bool = False


@dataclass(frozen=True)
class Service:
    """A service, which is one endpoint in each version that offers it.

    Attributes:
        name: The last part of its path, and of its messages' types.
        methods: HTTP methods.
        access: Roles named in the listing.
        description: A phrase for the listing.
        versions: Prefixes of the versions that offer it.
        roles: Roles that may use it, if they are fewer than those named in the listing.
        public: Whether no account is needed; such a service is not listed.
    """

    name: str
    methods: tuple[str, ...]
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


VERSIONS = {
    version.prefix: version
    for version in (
        Version("v1", "1.0"),
        Version("v1_1", "1.1"),
        Version("v1_2", "1.2"),
        Version("v1_3", "1.3", plans_in_jobs=True),
        Version(
            "v2_0", "2.0", plans_in_jobs=True, rolling_horizons=True, takes_prior=True, in_quarters=False
        ),
    )
}

_SINCE_1_0 = ("v1", "v1_1", "v1_2", "v1_3", "v2_0")
_SINCE_1_1 = _SINCE_1_0[1:]
_SINCE_1_2 = _SINCE_1_0[2:]

_GET, _POST = ("GET",), ("POST",)

# What a version lists besides its messages: name, roles and description.
LISTED_REST: dict[str, tuple[tuple[str, tuple[str, ...], str], ...]] = {
    "v2_0": (
        ("GET /assets", (), "List assets"),
        ("POST /assets", (), "Create an asset"),
        ("GET /asset/<id>", (), "Get an asset"),
        ("PATCH /asset/<id>", (), "Edit an asset"),
        ("DELETE /asset/<id>", (), "Delete an asset and its data"),
        ("GET /users", (), "List users"),
        ("GET /user/<id>", (), "Get a user"),
        ("PATCH /user/<id>", (), "Edit a user"),
        ("PATCH /user/<id>/password-reset", (), "Reset a user's password"),
        ("GET /charts/power", ("admin", "Prosumer"), "Get a power chart"),
    ),
}

SERVICES = (
    Service("getService", _GET, (), "Obtain a service listing for this version", _SINCE_1_0, public=True),
    Service("getConnection", _GET, ALL_ROLES, "Request entity addresses of connections", _SINCE_1_1),
    Service("getMeterData", ("GET", "POST"), ALL_ROLES, "Request meter reading", ("v1",)),
    Service("getMeterData", _GET, ALL_ROLES, "Request meter reading", _SINCE_1_1),
    Service("postMeterData", _POST, ALL_ROLES, "Send meter reading", _SINCE_1_0),
    Service("getPrognosis", _GET, ALL_ROLES, "Request prognosis of meter data", _SINCE_1_1),
    Service("postPrognosis", _POST, ALL_ROLES, "Send prognosis of meter data", _SINCE_1_1),
    Service("postPriceData", _POST, ALL_ROLES, "Send prices for market transactions", _SINCE_1_1),
    Service("postWeatherData", _POST, ALL_ROLES, "Send weather data", _SINCE_1_1),
    Service(
        "getDeviceMessage", _GET, _DEVICE_ROLES, "Get an Active Demand & Supply (ADS) request", _SINCE_1_2
    ),
    Service(
        "postUdiEvent",
        _POST,
        _DEVICE_ROLES,
        "Send a description of some flexible consumption or production process as a USEF Device Interface (UDI) event",
        _SINCE_1_2,
        roles=("Prosumer",),
    ),
)
