"""Targets granted to clients: by their VENs, their resources, and the groups that these are in.

Beside what the business logic granted, a client has the targets that mean it by name: ``VEN_NAME:`` and
``RESOURCE_NAME:`` with a name of its own. They are written so that nobody gets the label of somebody else by a name.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

from flexmeasures.domain.coordination.former import typed_target

__all__ = ["find_granted", "find_grantees"]

_GRANTED = text("""
with recursive above (group_id) as (
    select member.group_id from dr_resource_group_member member
        join dr_resource resource on resource.id = member.resource_id
        where resource.environment = :environment and resource.client_id = :client_id
    union
    select member.group_id from above join dr_resource_group_member member on member.child_id = above.group_id
)
select distinct target from (
    select targets from dr_ven where environment = :environment and client_id = :client_id
    union all
    select targets from dr_resource where environment = :environment and client_id = :client_id
    union all
    select targets from dr_resource_group where id in (select group_id from above)
    union all
    select array['VEN_NAME:' || name] from dr_ven where environment = :environment and client_id = :client_id
    union all
    select array['RESOURCE_NAME:' || name] from dr_resource
        where environment = :environment and client_id = :client_id
) granting, unnest(granting.targets) target
""")

_GRANTEES = text("""
with recursive below (group_id, targets) as (
    select id, targets from dr_resource_group where environment = :environment and targets && :targets
    union
    select member.child_id, below.targets from below
        join dr_resource_group_member member on member.group_id = below.group_id
        where member.child_id is not null
), granting (client_id, targets) as (
    select client_id, targets from dr_ven where environment = :environment and targets && :targets
    union all
    select client_id, targets from dr_resource where environment = :environment and targets && :targets
    union all
    select resource.client_id, below.targets from below
        join dr_resource_group_member member on member.group_id = below.group_id
        join dr_resource resource on resource.id = member.resource_id
    union all
    select client_id, array['VEN_NAME:' || name] from dr_ven
        where environment = :environment and name = any(:ven_names)
    union all
    select client_id, array['RESOURCE_NAME:' || name] from dr_resource
        where environment = :environment and name = any(:resource_names)
)
select client_id, array_agg(distinct target) from granting, unnest(granting.targets) target
where target = any(:targets) group by client_id order by client_id
""")


def find_granted(session: Session, environment: str, client_id: str) -> frozenset[str]:
    """Find the targets that a client may see."""
    found = session.scalars(_GRANTED, {"environment": environment, "client_id": client_id})
    return frozenset(found)


def find_grantees(session: Session, environment: str, targets: Sequence[str]) -> dict[str, list[str]]:
    """Find who may see any of some targets, and which of them each may see."""
    if not targets:
        return {}
    names = [typed_target(target) for target in targets]
    found = session.execute(
        _GRANTEES,
        {
            "environment": environment,
            "targets": list(targets),
            "ven_names": [name for kind, name in names if kind == "VEN_NAME"],
            "resource_names": [name for kind, name in names if kind == "RESOURCE_NAME"],
        },
    )
    return {client_id: list(granted) for client_id, granted in found}
