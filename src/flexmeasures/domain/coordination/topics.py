"""MQTT topics: which ones a notification goes to, and which ones a client is told.

Three trees for each environment, so that a broker can keep clients apart by simple rules: ``all`` has everything and is
for the business logic, ``public`` has what is meant for everybody, and ``clients/{clientID}`` what one client may see.

Source: OpenADR 3.1.0 definition, section on MQTT notifiers (topics per object type, programme and VEN).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from flexmeasures.domain.coordination.notifications import Notification, Viewer

__all__ = ["Publication", "Topics", "publications", "topic_prefix"]

ROOT = "openadr3"

_PLURALS = {
    "PROGRAM": "programs",
    "EVENT": "events",
    "REPORT": "reports",
    "SUBSCRIPTION": "subscriptions",
    "VEN": "vens",
    "RESOURCE": "resources",
    "RESOURCE_GROUP": "resourceGroups",
}


@dataclass(frozen=True, slots=True)
class Publication:
    """A topic, and as whom to read the notification that goes there."""

    topic: str
    viewer: Viewer


@dataclass(frozen=True, slots=True)
class Topics:
    """The names of the topics for one kind of object.

    Attributes:
        base: What stands before the operation.
        of_one: Whether they are about one object, of whose creation nobody can ask to be told.
    """

    base: str
    of_one: bool = False

    def names(self) -> dict[str, str]:
        """Name the topic of each operation.

        >>> Topics("openadr3/sandbox/public/programs/p1", of_one=True).names()["ALL"]
        'openadr3/sandbox/public/programs/p1/+'
        """
        operations = ("UPDATE", "DELETE") if self.of_one else ("CREATE", "UPDATE", "DELETE")
        return {one: f"{self.base}/{one.lower()}" for one in operations} | {"ALL": f"{self.base}/+"}


def topic_prefix(viewer: Viewer, *, own: bool = False) -> str:
    """Name the tree that a client reads.

    Args:
        viewer: The client.
        own: What it alone may see, rather than what is meant for everybody.

    >>> topic_prefix(Viewer("ven/1", "sandbox"), own=True)
    'openadr3/sandbox/clients/ven%2F1'
    """
    if own:
        return f"{ROOT}/{viewer.environment}/clients/{quote(viewer.client_id, safe='')}"
    return f"{ROOT}/{viewer.environment}/{'all' if viewer.is_business_logic else 'public'}"


def publications(notification: Notification) -> Iterator[Publication]:
    """List the topics to which a notification goes, each with the client as whom it is written."""
    environment = notification.environment
    readers = [(Viewer("", environment, is_business_logic=True), False)]
    if notification.client_ids is None:
        readers.append((Viewer("", environment), False))
    else:
        readers += [(Viewer(client_id, environment), True) for client_id in notification.client_ids]
    for viewer, own in readers:
        prefix = topic_prefix(viewer, own=own)
        for base in _bases(notification):
            yield Publication(f"{prefix}/{base}/{notification.operation.lower()}", viewer)


def _bases(notification: Notification) -> Iterator[str]:
    """List what a notification is about: the objects of its kind, and by itself or by its programme."""
    kind, one = _PLURALS[notification.object_type], str(notification.object["id"])
    yield kind
    if notification.object_type == "EVENT" and notification.program_id is not None:
        yield f"programs/{notification.program_id}/events"
    elif notification.object_type in {"PROGRAM", "VEN"} and notification.operation != "CREATE":
        yield f"{kind}/{one}"
