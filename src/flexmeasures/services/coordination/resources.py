"""Resources of VENs, and groups of resources that mirror the grid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session

from flexmeasures.data.tables import DrResource, DrResourceGroup, DrResourceGroupMember, DrVen
from flexmeasures.domain.errors import Conflict, InvalidInput, NotAllowed, NotFound
from flexmeasures.domain.quoting import quote
from flexmeasures.services.coordination.clients import Caller
from flexmeasures.services.coordination.objects import (
    Listing,
    Sent,
    announce_change,
    check_free,
    document_of,
    find_own,
    find_visible,
    list_rows,
    live,
    new_metadata,
    touch,
)
from flexmeasures.services.coordination.vens import check_form

__all__ = [
    "ResourceFilter",
    "create_group",
    "create_resource",
    "delete_group",
    "delete_resource",
    "find_group",
    "group_documents",
    "list_groups",
    "list_resources",
    "update_group",
    "update_resource",
]

_DEEPEST = 16
"""So many levels of groups are shown."""


@dataclass(frozen=True, slots=True)
class ResourceFilter:
    """Selection of resources."""

    name: str | None = None
    ven_id: str | None = None


def list_resources(
    session: Session, caller: Caller, listing: Listing, wanted: ResourceFilter
) -> Sequence[DrResource]:
    """List the resources that a client may see."""
    query = live(DrResource)
    if wanted.name is not None:
        query = query.where(DrResource.name == wanted.name)
    if wanted.ven_id is not None:
        query = query.where(DrResource.ven_id == wanted.ven_id)
    return list_rows(session, query, DrResource, caller, listing)


def create_resource(session: Session, caller: Caller, form: str, sent: Sent, now: datetime) -> DrResource:
    """Make a resource of a VEN.

    Raises:
        NotAllowed: If the form is not the client's.
        InvalidInput: If the client sees no VEN of that id.
        Conflict: If the VEN has a resource of that name.
    """
    check_form(caller, form)
    ven = _named_ven(session, caller, sent.content["venID"])
    sent = _complete(sent, ven.client_id, [])
    _check_name(session, ven.id, sent.content["resourceName"], None)
    resource = DrResource(
        **new_metadata(caller, sent, now),
        name=sent.content["resourceName"],
        client_id=sent.content["clientID"],
        ven_id=ven.id,
    )
    session.add(resource)
    session.flush()
    announce_change(session, "CREATE", resource, now)
    return resource


def update_resource(
    session: Session, caller: Caller, resource_id: str, form: str, sent: Sent, now: datetime
) -> DrResource:
    """Change a resource; it stays with its VEN, and unless the business logic changes it, its targets stay.

    Raises:
        NotAllowed: If the form is not the client's.
        NotFound: If the client sees none of that id.
        InvalidInput: If another VEN or client is named.
        Conflict: If the VEN has another resource of that name.
    """
    check_form(caller, form)
    resource = find_own(session, DrResource, caller, resource_id)
    sent = _complete(sent, resource.client_id, resource.targets)
    for name, own in (("venID", resource.ven_id), ("clientID", resource.client_id)):
        if sent.content[name] != own:
            raise InvalidInput(
                f"{name} {quote(sent.content[name])} is not that of the resource, and it cannot change. "
                "Delete the resource and make a new one."
            )
    _check_name(session, resource.ven_id, sent.content["resourceName"], resource.id)
    touch(resource, sent, now)
    resource.name = sent.content["resourceName"]
    session.flush()
    announce_change(session, "UPDATE", resource, now)
    return resource


def delete_resource(session: Session, caller: Caller, resource_id: str, now: datetime) -> DrResource:
    """Delete a resource.

    Raises:
        NotFound: If the client sees none of that id.
    """
    resource = find_own(session, DrResource, caller, resource_id)
    announce_change(session, "DELETE", resource, now)
    session.delete(resource)
    session.flush()
    return resource


def _named_ven(session: Session, caller: Caller, ven_id: str) -> DrVen:
    try:
        return find_visible(session, DrVen, caller, ven_id)
    except NotFound as error:
        raise InvalidInput(f"venID {quote(ven_id)} is not a ven of yours. Register the ven first.") from error


def _complete(sent: Sent, client_id: str, targets: Sequence[str]) -> Sent:
    return Sent({"clientID": client_id, "targets": list(targets), **sent.content}, sent.former)


def _check_name(session: Session, ven_id: str, name: str, own_id: str | None) -> None:
    check_free(
        session,
        select(DrResource.id).where(DrResource.ven_id == ven_id, DrResource.name == name),
        own_id,
        f"The ven has a resource {quote(name)} already. Choose another resourceName.",
    )


_VISIBLE_GROUPS = text("""
with recursive above (group_id) as (
    select member.group_id from dr_resource_group_member member
        join dr_resource resource on resource.id = member.resource_id
        where resource.environment = :environment and resource.client_id = :client_id
    union
    select member.group_id from above join dr_resource_group_member member on member.child_id = above.group_id
)
select group_id from above
""")


def list_groups(
    session: Session, caller: Caller, listing: Listing, name: str | None
) -> Sequence[DrResourceGroup]:
    """List the groups that a client may see: those with a resource of its own somewhere below."""
    query = live(DrResourceGroup)
    if name is not None:
        query = query.where(DrResourceGroup.name == name)
    if not caller.is_business_logic:
        query = query.where(DrResourceGroup.id.in_(_groups_of(session, caller)))
    return list_rows(session, query, DrResourceGroup, caller, listing)


def find_group(session: Session, caller: Caller, group_id: str) -> DrResourceGroup:
    """Find a group.

    Raises:
        NotFound: If there is none that the client may see.
    """
    group = find_visible(session, DrResourceGroup, caller, group_id)
    if not caller.is_business_logic and group.id not in _groups_of(session, caller):
        raise NotFound(f"There is no resource group with the id {quote(group_id)}.")
    return group


def _groups_of(session: Session, caller: Caller) -> list[str]:
    found = session.scalars(
        _VISIBLE_GROUPS, {"environment": caller.environment, "client_id": caller.client_id}
    )
    return list(found)


def create_group(session: Session, caller: Caller, sent: Sent, now: datetime) -> DrResourceGroup:
    """Make a group.

    Raises:
        NotAllowed: If the client is not of the business logic.
        InvalidInput: If a child does not exist.
        Conflict: If the name is taken.
    """
    _check_business_logic(caller)
    name = sent.content["resourceGroupName"]
    _check_group_name(session, caller, name, None)
    content = {key: value for key, value in sent.content.items() if key != "children"}
    group = DrResourceGroup(**new_metadata(caller, Sent(content), now), name=name)
    session.add(group)
    session.flush()
    _set_children(session, caller, group, sent.content.get("children") or ())
    announce_change(session, "CREATE", group, now)
    return group


def update_group(
    session: Session, caller: Caller, group_id: str, sent: Sent, now: datetime
) -> DrResourceGroup:
    """Change a group; its children stay as they are unless some are named.

    Raises:
        NotAllowed: If the client is not of the business logic.
        NotFound: If there is none.
        InvalidInput: If a child does not exist.
        Conflict: If the name is taken, or the group would be within itself.
    """
    _check_business_logic(caller)
    group = find_own(session, DrResourceGroup, caller, group_id)
    _check_group_name(session, caller, sent.content["resourceGroupName"], group.id)
    content = {key: value for key, value in sent.content.items() if key != "children"}
    touch(group, Sent(content), now)
    group.name = content["resourceGroupName"]
    if "children" in sent.content:
        _set_children(session, caller, group, sent.content["children"])
    session.flush()
    announce_change(session, "UPDATE", group, now)
    return group


def delete_group(session: Session, caller: Caller, group_id: str, now: datetime) -> DrResourceGroup:
    """Delete a group; what is in it stays.

    Raises:
        NotAllowed: If the client is not of the business logic.
        NotFound: If there is none.
    """
    _check_business_logic(caller)
    group = find_own(session, DrResourceGroup, caller, group_id)
    announce_change(session, "DELETE", group, now)
    session.delete(group)
    session.flush()
    return group


def _check_business_logic(caller: Caller) -> None:
    if not caller.is_business_logic:
        raise NotAllowed("Only the business logic makes, changes and deletes resource groups.")


def _check_group_name(session: Session, caller: Caller, name: str, own_id: str | None) -> None:
    taken = select(DrResourceGroup.id).where(
        DrResourceGroup.environment == caller.environment, DrResourceGroup.name == name
    )
    check_free(
        session, taken, own_id, f"There is a resource group {quote(name)} already. Choose another name."
    )


def _set_children(
    session: Session, caller: Caller, group: DrResourceGroup, children: Iterable[Mapping[str, Any]]
) -> None:
    session.execute(delete(DrResourceGroupMember).where(DrResourceGroupMember.group_id == group.id))
    for child_id in dict.fromkeys(str(child["id"]) for child in children):
        resource = session.get(DrResource, child_id)
        nested = session.get(DrResourceGroup, child_id)
        found = resource or nested
        if found is None or found.environment != caller.environment:
            raise InvalidInput(f"children: {quote(child_id)} is not a resource or a resource group.")
        member = {"child_id": child_id} if resource is None else {"resource_id": child_id}
        session.add(DrResourceGroupMember(group_id=group.id, **member))
    session.flush()
    if group.id in _below(session, group.id):
        raise Conflict("children: a group cannot be within itself.")


_BELOW = text("""
with recursive below (child_id) as (
    select child_id from dr_resource_group_member where group_id = :group_id and child_id is not null
    union
    select member.child_id from below join dr_resource_group_member member on member.group_id = below.child_id
        where member.child_id is not null
)
select child_id from below
""")


def _below(session: Session, group_id: str) -> set[str]:
    return set(session.scalars(_BELOW, {"group_id": group_id}))


def group_documents(
    session: Session, caller: Caller, groups: Sequence[DrResourceGroup]
) -> list[dict[str, Any]]:
    """Write groups as documents with their children, nested; a VEN sees only what leads to its own resources."""
    visible = None if caller.is_business_logic else set(_groups_of(session, caller))
    return [_with_children(session, caller, group, visible, _DEEPEST) for group in groups]


def _with_children(
    session: Session, caller: Caller, group: DrResourceGroup, visible: set[str] | None, depth: int
) -> dict[str, Any]:
    nested = session.scalars(
        select(DrResourceGroup)
        .join(DrResourceGroupMember, DrResourceGroupMember.child_id == DrResourceGroup.id)
        .where(DrResourceGroupMember.group_id == group.id)
        .order_by(DrResourceGroup.serial)
    ).all()
    resources = session.scalars(
        select(DrResource)
        .join(DrResourceGroupMember, DrResourceGroupMember.resource_id == DrResource.id)
        .where(DrResourceGroupMember.group_id == group.id)
        .order_by(DrResource.serial)
    ).all()
    children = [
        {
            "type": "resource_group",
            "id": child.id,
            "ResourceGroup": _with_children(session, caller, child, visible, depth - 1),
        }
        for child in nested
        if depth > 0 and (visible is None or child.id in visible)
    ]
    children += [
        {"type": "ven_resource", "id": resource.id, "VENResource": document_of(resource)}
        for resource in resources
        if caller.is_business_logic or resource.client_id == caller.client_id
    ]
    return {**document_of(group), "children": children}
