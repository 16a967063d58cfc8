"""Views of VENs, resources and resource groups."""

from __future__ import annotations

from typing import Any, ClassVar

from flask import Response, request
from sqlalchemy.orm import Session

from flexmeasures.api.client_door import read_object
from flexmeasures.api.door import json_response, read_clock
from flexmeasures.api.openadr3 import shapes
from flexmeasures.api.openadr3.queries import read_id, read_listing, read_name
from flexmeasures.api.openadr3.views import Views
from flexmeasures.data.tables import DrResource, DrResourceGroup, DrVen
from flexmeasures.domain.errors import InvalidInput, NotFound
from flexmeasures.domain.quoting import quote
from flexmeasures.services.coordination import resources, vens
from flexmeasures.services.coordination.clients import Caller
from flexmeasures.services.coordination.objects import Sent, find_visible

__all__ = ["FormerResourceViews", "GroupViews", "ResourceViews", "VenViews"]


class _FormViews(Views):
    """Services of what has a form for the business logic and one for VENs."""

    forms: ClassVar[dict[str, type[Any]]]

    def read_form(self, caller: Caller) -> tuple[str, Sent]:
        """Read which form is sent, and what it says.

        Raises:
            InvalidInput: If it is neither form, or not as the form has it.
        """
        body = read_object()
        if self.version.is_former:
            sent = self.version.read(self.kind, body)
            role = "BL" if caller.is_business_logic else "VEN"
            if not caller.is_business_logic:
                sent = Sent(
                    {name: value for name, value in sent.content.items() if name != "targets"}, sent.former
                )
            return f"{role}_{self.kind}_REQUEST", sent
        form = body.get("objectType")
        if form == self.kind and request.method == "PUT":  # as it was answered: read, changed, and sent back
            form = f"{'BL' if caller.is_business_logic else 'VEN'}_{self.kind}_REQUEST"
            body = {**body, "objectType": form}
        if not isinstance(form, str) or form not in self.forms:
            raise InvalidInput(f"objectType is {quote(form)}; use {' or '.join(self.forms)}.")
        content = shapes.check(self.forms[form], body)
        del content["objectType"]
        return form, Sent(content)


class VenViews(_FormViews):
    """Services of VENs."""

    model, kind = DrVen, "VEN"
    forms: ClassVar[dict[str, type[Any]]] = {"BL_VEN_REQUEST": shapes.BlVen, "VEN_VEN_REQUEST": shapes.VenVen}

    def search(self, session: Session, caller: Caller) -> Response:
        """List VENs."""
        found = vens.list_vens(session, caller, read_listing(self.version), read_name("venName"))
        return self.show_list(session, caller, found)

    def create(self, session: Session, caller: Caller) -> Response:
        """Register a VEN; one that the business logic registers through 3.0.1 is of the client of its name."""
        form, sent = self.read_form(caller)
        if self.version.is_former and caller.is_business_logic:
            sent = Sent({"clientID": sent.content["venName"], **sent.content}, sent.former)
        return self.show(session, caller, vens.create_ven(session, caller, form, sent, read_clock()), 201)

    def update(self, session: Session, caller: Caller, object_id: str) -> Response:
        """Change a VEN."""
        form, sent = self.read_form(caller)
        return self.show(
            session, caller, vens.update_ven(session, caller, object_id, form, sent, read_clock())
        )

    def delete(self, session: Session, caller: Caller, object_id: str) -> Response:
        """Delete a VEN with its resources."""
        return self.show(session, caller, vens.delete_ven(session, caller, object_id, read_clock()))


class ResourceViews(_FormViews):
    """Services of resources."""

    model, kind = DrResource, "RESOURCE"
    forms: ClassVar[dict[str, type[Any]]] = {
        "BL_RESOURCE_REQUEST": shapes.BlResource,
        "VEN_RESOURCE_REQUEST": shapes.VenResource,
    }

    def search(self, session: Session, caller: Caller) -> Response:
        """List resources."""
        wanted = resources.ResourceFilter(read_name("resourceName"), read_id("venID"))
        found = resources.list_resources(session, caller, read_listing(self.version), wanted)
        return self.show_list(session, caller, found)

    def create(self, session: Session, caller: Caller) -> Response:
        """Make a resource."""
        form, sent = self.read_form(caller)
        made = resources.create_resource(session, caller, form, sent, read_clock())
        return self.show(session, caller, made, 201)

    def update(self, session: Session, caller: Caller, object_id: str) -> Response:
        """Change a resource."""
        form, sent = self.read_form(caller)
        changed = resources.update_resource(session, caller, object_id, form, sent, read_clock())
        return self.show(session, caller, changed)

    def delete(self, session: Session, caller: Caller, object_id: str) -> Response:
        """Delete a resource."""
        return self.show(session, caller, resources.delete_resource(session, caller, object_id, read_clock()))


class FormerResourceViews(ResourceViews):
    """Services of resources in 3.0.1, where the VEN stands in the path."""

    def search(self, session: Session, caller: Caller, ven_id: str) -> Response:  # type: ignore[override]
        """List the resources of a VEN."""
        find_visible(session, DrVen, caller, ven_id)
        wanted = resources.ResourceFilter(read_name("resourceName"), ven_id)
        found = resources.list_resources(session, caller, read_listing(self.version), wanted)
        return self.show_list(session, caller, found)

    def create(self, session: Session, caller: Caller, ven_id: str) -> Response:  # type: ignore[override]
        """Make a resource of a VEN."""
        find_visible(session, DrVen, caller, ven_id)
        form, sent = self.read_form(caller)
        made = resources.create_resource(session, caller, form, _of_ven(sent, ven_id), read_clock())
        return self.show(session, caller, made, 201)

    def find(self, session: Session, caller: Caller, object_id: str, ven_id: str = "") -> Response:
        """Show a resource of a VEN."""
        _check_ven(session, caller, object_id, ven_id)
        return super().find(session, caller, object_id)

    def update(self, session: Session, caller: Caller, object_id: str, ven_id: str = "") -> Response:
        """Change a resource of a VEN."""
        form, sent = self.read_form(caller)
        _check_ven(session, caller, object_id, ven_id)
        changed = resources.update_resource(
            session, caller, object_id, form, _of_ven(sent, ven_id), read_clock()
        )
        return self.show(session, caller, changed)

    def delete(self, session: Session, caller: Caller, object_id: str, ven_id: str = "") -> Response:
        """Delete a resource of a VEN."""
        _check_ven(session, caller, object_id, ven_id)
        return super().delete(session, caller, object_id)


def _of_ven(sent: Sent, ven_id: str) -> Sent:
    return Sent({**sent.content, "venID": ven_id}, sent.former)


def _check_ven(session: Session, caller: Caller, resource_id: str, ven_id: str) -> None:
    if find_visible(session, DrResource, caller, resource_id).ven_id != ven_id:
        raise NotFound(f"The ven has no resource with the id {quote(resource_id)}.")


class GroupViews(Views):
    """Services of resource groups, an extension of OpenADR."""

    model, kind = DrResourceGroup, "RESOURCE_GROUP"

    def search(self, session: Session, caller: Caller) -> Response:
        """List groups."""
        name = read_name("resourceGroupName")
        found = resources.list_groups(session, caller, read_listing(self.version), name)
        return json_response(resources.group_documents(session, caller, found))

    def find(self, session: Session, caller: Caller, object_id: str) -> Response:
        """Show a group with its children."""
        return self._answer(session, caller, resources.find_group(session, caller, object_id))

    def create(self, session: Session, caller: Caller) -> Response:
        """Make a group."""
        made = resources.create_group(session, caller, self._read(), read_clock())
        return self._answer(session, caller, made, 201)

    def update(self, session: Session, caller: Caller, object_id: str) -> Response:
        """Change a group."""
        changed = resources.update_group(session, caller, object_id, self._read(), read_clock())
        return self._answer(session, caller, changed)

    def delete(self, session: Session, caller: Caller, object_id: str) -> Response:
        """Delete a group; what is in it stays."""
        group = resources.find_group(session, caller, object_id)
        (document,) = resources.group_documents(session, caller, [group])
        resources.delete_group(session, caller, object_id, read_clock())
        return json_response(document)

    def _read(self) -> Sent:
        return Sent(shapes.check(shapes.ResourceGroup, read_object()))

    def _answer(
        self, session: Session, caller: Caller, group: DrResourceGroup, status: int = 200
    ) -> Response:
        (document,) = resources.group_documents(session, caller, [group])
        return json_response(document, status)
