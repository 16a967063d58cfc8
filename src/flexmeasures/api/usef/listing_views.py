"""Services that list: what there is in a version, and what a user is connected with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flexmeasures.api.usef import statuses
from flexmeasures.api.usef.call import Body, Call
from flexmeasures.api.usef.versions import LISTED_REST, SERVICES
from flexmeasures.domain.addresses import ConnectionAddress
from flexmeasures.domain.quoting import quote
from flexmeasures.services.assets import visible_assets

__all__ = ["get_connection", "get_service"]


def get_service(call: Call, raw: Mapping[str, Any]) -> Body:
    """List the services of this version; those of one role, if ``access`` names one."""
    services = [
        {"name": s.name, "access": list(s.access), "description": s.description}
        for s in SERVICES
        if call.version.prefix in s.versions and not s.public
    ]
    services += [
        {"name": name, "access": list(access), "description": description}
        for name, access, description in LISTED_REST.get(call.version.prefix, ())
    ]
    role = raw.get("access")
    if role is not None:
        services = [service for service in services if role in service["access"]]
        if not services:
            raise statuses.INVALID_ROLE(f"'access' is {quote(role)}. Name a role such as Prosumer.")
    return {"version": call.version.number, "services": services}


def get_connection(call: Call, raw: Mapping[str, Any]) -> Body:
    """List the user's connections, the newest first."""
    assets = visible_assets(call.session, call.user)
    authority = call.authority
    return {
        "connections": [ConnectionAddress(a.id, a.owner_id).build(authority) for a in assets],
        "names": [a.name if call.plays else a.display_name for a in assets],
        "status": 200,
    }
