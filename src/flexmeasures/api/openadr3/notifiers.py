"""Which ways of telling changes there are, and the names of MQTT topics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Response, current_app
from sqlalchemy.orm import Session

from flexmeasures.api.door import json_response
from flexmeasures.data.tables import DrProgram, DrVen
from flexmeasures.domain.coordination.notifications import Viewer
from flexmeasures.domain.coordination.topics import Topics, topic_prefix
from flexmeasures.domain.errors import NotAllowed, NotFound
from flexmeasures.services.coordination.clients import Caller
from flexmeasures.services.coordination.objects import find_visible

__all__ = ["show_notifiers", "topic_services"]

View = Callable[..., Response]

_TARGETED = ("read_all", "read_targets")
_OWNED = ("read_all", "read_ven_objects")
_PATH = "/notifiers/mqtt/topics"


def show_notifiers(*_: object) -> Response:
    """Say by which ways changes are told."""
    ways: dict[str, Any] = {"WEBHOOK": True}
    config = current_app.config
    if config["FLEXMEASURES_MQTT_BROKER_URL"]:
        ways["MQTT"] = {
            "URIS": config["FLEXMEASURES_MQTT_URIS"] or [_public(config["FLEXMEASURES_MQTT_BROKER_URL"])],
            "serialization": "JSON",
            "authentication": _authentication(config),
        }
    return json_response(ways)


def _public(address: str) -> str:
    """Leave user and password out of an address."""
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _authentication(config: Mapping[str, Any]) -> dict[str, str]:
    method = config["FLEXMEASURES_MQTT_AUTHENTICATION"]
    if method == "OAUTH2_BEARER_TOKEN":
        return {"method": method, "username": "{clientID}"}
    if method == "CERTIFICATE":
        files = config["FLEXMEASURES_MQTT_CERTIFICATES"]
        names = {"caCert": "ca", "clientCert": "client_certificate", "clientKey": "client_key"}
        return {"method": method} | {
            field: Path(files[name]).read_text() for field, name in names.items() if name in files
        }
    return {"method": method}


def topic_services() -> Iterator[tuple[str, str, tuple[str, ...], View]]:
    """List the services that name topics: path, name, scopes that may ask, view."""
    for kind in ("events", "reports", "subscriptions", "vens", "resources"):
        yield f"{_PATH}/{kind}", f"topics_{kind}", ("read_all", *_TARGETED, *_OWNED), _of_kind(kind)
    yield f"{_PATH}/programs", "topics_programs", _TARGETED, _programs
    yield f"{_PATH}/programs/<object_id>", "topics_program", _TARGETED, _program
    yield f"{_PATH}/programs/<object_id>/events", "topics_program_events", _TARGETED, _program_events
    yield f"{_PATH}/vens/<object_id>", "topics_ven", _OWNED, _ven
    for kind in ("events", "programs", "resources"):
        yield f"{_PATH}/vens/<object_id>/{kind}", f"topics_ven_{kind}", _OWNED, _of_ven(kind)


def _answer(topics: Topics) -> Response:
    if not current_app.config["FLEXMEASURES_MQTT_BROKER_URL"]:
        raise NotFound("This server publishes to no MQTT broker. Use webhooks.")
    return json_response({"topics": topics.names()})


def _of_kind(kind: str) -> View:
    def view(_session: Session, caller: Caller) -> Response:
        """Name the topics of all objects of a kind, which the business logic alone may read."""
        if not caller.is_business_logic:
            raise NotAllowed(
                f"All {kind} are for the business logic. Ask for the topics of your VEN: {_PATH}/vens/<venID>."
            )
        return _answer(Topics(f"{topic_prefix(caller.viewer)}/{kind}"))

    return view


def _programs(_session: Session, caller: Caller) -> Response:
    """Name the topics of programmes."""
    return _answer(Topics(f"{topic_prefix(caller.viewer)}/programs"))


def _program(session: Session, caller: Caller, object_id: str) -> Response:
    """Name the topics of one programme."""
    program = find_visible(session, DrProgram, caller, object_id)
    return _answer(Topics(f"{topic_prefix(caller.viewer)}/programs/{program.id}", of_one=True))


def _program_events(session: Session, caller: Caller, object_id: str) -> Response:
    """Name the topics of the events of a programme."""
    program = find_visible(session, DrProgram, caller, object_id)
    return _answer(Topics(f"{topic_prefix(caller.viewer)}/programs/{program.id}/events"))


def _ven(session: Session, caller: Caller, object_id: str) -> Response:
    """Name the topics of one VEN."""
    ven = find_visible(session, DrVen, caller, object_id)
    return _answer(Topics(f"{_own_prefix(ven)}/vens/{ven.id}", of_one=True))


def _of_ven(kind: str) -> View:
    def view(session: Session, caller: Caller, object_id: str) -> Response:
        """Name the topics of what is meant for one VEN."""
        return _answer(Topics(f"{_own_prefix(find_visible(session, DrVen, caller, object_id))}/{kind}"))

    return view


def _own_prefix(ven: DrVen) -> str:
    return topic_prefix(Viewer(ven.client_id, ven.environment), own=True)
