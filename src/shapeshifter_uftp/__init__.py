"""UFTP, the flexibility-trading protocol of Shapeshifter (USEF): messages, sealing, clients, services, trading.

The messages are here and in `shapeshifter_uftp.uftp`; what sends them is in `client`, what receives them in `service`,
ways to and from bytes in `transport`, errors in `exceptions`. Clients and services are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import Any

from shapeshifter_uftp import exceptions, uftp
from shapeshifter_uftp.uftp import *  # noqa: F403  the messages are public here by promise

_LAZY = {
    "ShapeshifterAgrCroClient": "client",
    "ShapeshifterAgrDsoClient": "client",
    "ShapeshifterCroAgrClient": "client",
    "ShapeshifterCroDsoClient": "client",
    "ShapeshifterDsoAgrClient": "client",
    "ShapeshifterDsoCroClient": "client",
    "AsyncShapeshifterAgrCroClient": "client",
    "AsyncShapeshifterAgrDsoClient": "client",
    "AsyncShapeshifterCroAgrClient": "client",
    "AsyncShapeshifterCroDsoClient": "client",
    "AsyncShapeshifterDsoAgrClient": "client",
    "AsyncShapeshifterDsoCroClient": "client",
    "ShapeshifterAgrService": "service",
    "ShapeshifterCroService": "service",
    "ShapeshifterDsoService": "service",
    "OAuthClient": "oauth",
    "IspCalendar": "isp_calendar",
    "Market": "rules",
}
_MODULES = ("client", "cro", "oauth", "rules", "service", "settlement", "trading", "transport")

__all__ = ["exceptions", "uftp", *uftp.__all__, *_LAZY]  # noqa: PLE0604  all are texts


def __getattr__(name: str) -> Any:
    """Load clients, services and their modules when they are first asked for: a start takes a tenth of a second."""
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"{__name__} has no {name}")
