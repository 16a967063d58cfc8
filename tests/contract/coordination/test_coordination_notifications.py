"""The outbox of notifications: written with the change, taken once, seen by whom it concerns."""

from datetime import UTC, datetime

import pytest

from flexmeasures.data.database import db
from flexmeasures.data.tables import DrNotification, DrResource, DrResourceGroup, DrResourceGroupMember, DrVen
from flexmeasures.services.coordination.notifications import (
    Viewer,
    announce,
    from_row,
    read_published,
    take_for_broker,
    write_published,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TIMES = {"environment": "sandbox", "created_at": NOW, "modified_at": NOW, "content": {}}


@pytest.fixture
def session(app):
    """A database session with two VENs; the second has a resource two groups below a target."""
    with app.app_context():
        db.session.add(DrVen(id="ven-1", name="one", client_id="first", targets=["feeder-7"], **TIMES))
        db.session.add(DrVen(id="ven-2", name="two", client_id="second", targets=[], **TIMES))
        db.session.flush()
        db.session.add(
            DrResource(id="car", name="car", client_id="second", ven_id="ven-2", targets=[], **TIMES)
        )
        db.session.add(DrResourceGroup(id="station", name="station", targets=["station-3"], **TIMES))
        db.session.add(DrResourceGroup(id="feeder", name="feeder", targets=[], **TIMES))
        db.session.flush()
        db.session.add(DrResourceGroupMember(group_id="station", child_id="feeder"))
        db.session.add(DrResourceGroupMember(group_id="feeder", resource_id="car"))
        db.session.flush()
        yield db.session


def event(*targets):
    """An event as a document."""
    return {"id": "e", "objectType": "EVENT", "programID": "p", "targets": list(targets)}


def told(session, document, operation="CREATE"):
    """Announce a change and read it back, through the form in which it is published too."""
    announce(session, operation, document, environment="sandbox", program_id="p", now=NOW)
    session.flush()
    notification = from_row(session.query(DrNotification).order_by(DrNotification.id.desc()).first())
    assert read_published(write_published(notification)) == notification
    return notification


def test_untargeted_events_are_told_to_everybody(session):
    """An event without targets concerns every client of its environment, and none of another."""
    notification = told(session, event())
    assert notification.is_visible_to(Viewer("anybody", "sandbox"))
    assert not notification.is_visible_to(Viewer("anybody", "production"))


def test_targeted_events_are_told_to_whom_a_target_was_granted(session):
    """Only clients that were granted a target learn of it, and see no other target; the business logic sees all."""
    notification = told(session, event("feeder-7", "elsewhere"))
    assert notification.is_visible_to(Viewer("first", "sandbox"))
    assert not notification.is_visible_to(Viewer("second", "sandbox"))
    assert notification.body_for(Viewer("first", "sandbox")) == {
        "objectType": "EVENT",
        "operation": "CREATE",
        "object": event("feeder-7"),
        "targets": ["feeder-7"],
    }
    everything = notification.body_for(Viewer("bl", "sandbox", is_business_logic=True))
    assert everything["object"]["targets"] == ["feeder-7", "elsewhere"]


def test_targets_of_groups_are_granted_to_owners_of_descendants(session):
    """An event for a group above the group of a resource concerns the client of the resource."""
    notification = told(session, event("station-3"))
    assert notification.client_ids == ("second",)


def test_owned_objects_are_told_to_their_owner(session):
    """A report concerns its client and the business logic."""
    notification = told(session, {"id": "r", "objectType": "REPORT", "clientID": "first"})
    assert notification.is_visible_to(Viewer("first", "sandbox"))
    assert not notification.is_visible_to(Viewer("second", "sandbox"))
    assert notification.is_visible_to(Viewer("bl", "sandbox", is_business_logic=True))


def test_what_is_rolled_back_is_not_told(session):
    """The notification lives and dies with the transaction of the change."""
    announce(session, "CREATE", event(), environment="sandbox", program_id="p", now=NOW)
    session.rollback()
    assert session.query(DrNotification).count() == 0


def test_the_broker_gets_each_notification_once(session):
    """What was published is not taken again; what failed is, and in the order of the changes."""
    for operation in ("CREATE", "UPDATE"):
        announce(session, operation, event(), environment="sandbox", program_id="p", now=NOW)
    session.commit()

    def taken():
        with take_for_broker(db.engine, 10, NOW) as notifications:
            return [notification.operation for notification in notifications]

    with pytest.raises(OSError, match="away"), take_for_broker(db.engine, 10, NOW):
        raise OSError("away")
    assert taken() == ["CREATE", "UPDATE"]
    assert taken() == []
