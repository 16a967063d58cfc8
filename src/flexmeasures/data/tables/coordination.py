"""Coordination with the grid: clients, programmes, events, VENs, reports and subscriptions.

What clients make is kept as the document of OpenADR 3.1.0 that it is, beside the columns that queries need.
Those of the sandbox and of production never meet: everything has an environment, which is that of the credential.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from flexmeasures.data.database import db

__all__ = [
    "EMPTY_ARRAY",
    "ENVIRONMENT_LENGTH",
    "NAME_LENGTH",
    "DrClient",
    "DrDelivery",
    "DrEvent",
    "DrEventVersion",
    "DrNotification",
    "DrProgram",
    "DrReport",
    "DrSubscription",
    "DrVen",
    "OpenAdrObject",
]

NAME_LENGTH = 128
ENVIRONMENT_LENGTH = 10
EMPTY_ARRAY = text("'{}'")
_NOTHING = text("'{}'::jsonb")


class DrClient(db.Model):  # type: ignore[misc, name-defined]
    """A program of a partner or of the business logic, with its credential.

    Attributes:
        client_id: By which it asks for tokens; the ``clientID`` of what it makes.
        secret_hash: Salted hash of its secret.
        role: ``bl`` (business logic of the operator) or ``ven`` (partner).
        scopes: Those that it may ask for.
        environment: ``sandbox`` or ``production``.
        account_id: The organisation that it belongs to.
    """

    __tablename__ = "dr_client"

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    client_id: Mapped[str] = mapped_column(String(NAME_LENGTH), unique=True)
    secret_hash: Mapped[str] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(3))
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    environment: Mapped[str] = mapped_column(String(ENVIRONMENT_LENGTH))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)
    active: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=text("now()"))


class OpenAdrObject:
    """Common columns of the objects of OpenADR.

    Attributes:
        id: As clients know it.
        serial: Order in which objects were made, for lists.
        content: The document as it was sent, without nulls, in the words of 3.1.0.
        former: Fields in the words of 3.0.1 that 3.1.0 has no place for.
        targets: Those of the document.
    """

    id: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    serial: Mapped[int] = mapped_column(BigInteger, Identity(), unique=True)
    environment: Mapped[str] = mapped_column(String(ENVIRONMENT_LENGTH))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    modified_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    content: Mapped[dict[str, Any]] = mapped_column(JSONB)
    former: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=_NOTHING)
    targets: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=EMPTY_ARRAY)


class DrProgram(OpenAdrObject, db.Model):  # type: ignore[misc, name-defined]
    """A programme under which events are sent.

    Attributes:
        deleted_at: Deleted programmes stay, because reports about their events do.
    """

    __tablename__ = "dr_program"
    __table_args__ = (
        Index(
            "dr_program_name_key",
            "environment",
            "name",
            unique=True,
            postgresql_where=text("deleted_at is null"),
        ),
    )

    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class DrEvent(OpenAdrObject, db.Model):  # type: ignore[misc, name-defined]
    """An event: a price curve, a power limit, or anything else that OpenADR can say.

    Attributes:
        version: Counts the changes, from 1.
        starts_at: Start of its first interval; None: it has none.
        ends_at: End of its last one; None: without end or without intervals.
        payload_type: What partners call it: PriceCurve, LocationLPC, ResourceLPC, UserEligibility; None: not theirs.
        deleted_at: When it was cancelled.
    """

    __tablename__ = "dr_event"
    __table_args__ = (
        Index(
            "dr_event_list_idx",
            "environment",
            "priority",
            text("serial desc"),  # the newest first, in one walk along the index
            postgresql_where=text("deleted_at is null"),
        ),
        Index("dr_event_targets_idx", "targets", postgresql_using="gin"),
    )

    program_id: Mapped[str] = mapped_column(ForeignKey("dr_program.id"), index=True)
    version: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    priority: Mapped[int | None] = mapped_column(BigInteger)
    starts_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ends_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    payload_type: Mapped[str | None] = mapped_column(String(40))
    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class DrEventVersion(db.Model):  # type: ignore[misc, name-defined]
    """Former version of an event that was changed or cancelled."""

    __tablename__ = "dr_event_version"

    event_id: Mapped[str] = mapped_column(ForeignKey("dr_event.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    content: Mapped[dict[str, Any]] = mapped_column(JSONB)
    held_until: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class DrVen(OpenAdrObject, db.Model):  # type: ignore[misc, name-defined]
    """A VEN; its targets are granted to its client."""

    __tablename__ = "dr_ven"
    __table_args__ = (
        UniqueConstraint("environment", "name", name="dr_ven_name_key"),
        UniqueConstraint("environment", "client_id", name="dr_ven_client_id_key"),
    )

    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    client_id: Mapped[str] = mapped_column(String(NAME_LENGTH))


class DrReport(OpenAdrObject, db.Model):  # type: ignore[misc, name-defined]
    """A report about an event.

    Attributes:
        partner: What a partner sent through the partner API; None: it came through OpenADR.
        digest: Of that, so that repeats are known.
        idempotency_key: Under which the sender filed it.
    """

    __tablename__ = "dr_report"
    __table_args__ = (
        Index(
            "dr_report_idempotency_key_key",
            "environment",
            "client_id",
            "idempotency_key",
            unique=True,
            postgresql_where=text("idempotency_key is not null"),
        ),
        Index("dr_report_list_idx", "environment", "client_id", "serial"),
    )

    client_id: Mapped[str] = mapped_column(String(NAME_LENGTH))
    client_name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    event_id: Mapped[str] = mapped_column(ForeignKey("dr_event.id"), index=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("dr_program.id"), index=True)
    partner: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    digest: Mapped[str | None] = mapped_column(String(64))
    idempotency_key: Mapped[str | None] = mapped_column(String(255))


class DrSubscription(OpenAdrObject, db.Model):  # type: ignore[misc, name-defined]
    """Whom to tell what by webhook.

    Attributes:
        face: ``3.1.0``, ``3.0.1`` or ``partner``: in whose words.
        program_id: Tell only of this programme and what belongs to it.
        secrets: Bearer tokens and the secret of signatures, encrypted.
        failures: Deliveries in a row that were given up.
        broken_at: When the endpoint was found to be dead; it is told nothing until it is changed or tested.
    """

    __tablename__ = "dr_subscription"
    __table_args__ = (Index("dr_subscription_list_idx", "environment", "client_id", "serial"),)

    client_id: Mapped[str] = mapped_column(String(NAME_LENGTH))
    client_name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    program_id: Mapped[str | None] = mapped_column(
        ForeignKey("dr_program.id", ondelete="CASCADE"), index=True
    )
    face: Mapped[str] = mapped_column(String(10))
    secrets: Mapped[bytes | None] = mapped_column(LargeBinary)
    failures: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    broken_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class DrNotification(db.Model):  # type: ignore[misc, name-defined]
    """Something that changed, written with the change: the outbox of webhooks, MQTT and WebSocket.

    Attributes:
        object_type: PROGRAM, EVENT, REPORT, SUBSCRIPTION, VEN, RESOURCE or RESOURCE_GROUP.
        operation: CREATE, UPDATE or DELETE.
        object: The document, in the words of 3.1.0.
        client_ids: Who may see it beside the business logic; None: everybody.
        granted: The targets of it that each of these clients may see, by client.
        webhooks_at: When its webhooks were addressed; None: they wait.
        mqtt_at: When the broker had it; None: it waits.
    """

    __tablename__ = "dr_notification"
    __table_args__ = (
        Index("dr_notification_webhooks_idx", "id", postgresql_where=text("webhooks_at is null")),
        Index("dr_notification_mqtt_idx", "id", postgresql_where=text("mqtt_at is null")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    environment: Mapped[str] = mapped_column(String(ENVIRONMENT_LENGTH))
    object_type: Mapped[str] = mapped_column(String(20))
    operation: Mapped[str] = mapped_column(String(10))
    object_id: Mapped[str] = mapped_column(String(NAME_LENGTH))
    program_id: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    object: Mapped[dict[str, Any]] = mapped_column(JSONB)
    targets: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=EMPTY_ARRAY)
    client_ids: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    granted: Mapped[dict[str, list[str]]] = mapped_column(JSONB, server_default=_NOTHING)
    announced_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    webhooks_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    mqtt_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class DrDelivery(db.Model):  # type: ignore[misc, name-defined]
    """A webhook to be sent or sent.

    Attributes:
        position: Which of the subscription's callbacks.
        state: ``waiting``, ``delivered`` or ``failed``.
        due_at: When to try next.
        answer: What the endpoint answered last, or why it could not be reached.
    """

    __tablename__ = "dr_delivery"
    __table_args__ = (
        Index("dr_delivery_due_idx", "due_at", postgresql_where=text("state = 'waiting'")),
        Index("dr_delivery_notification_id_idx", "notification_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    notification_id: Mapped[int] = mapped_column(ForeignKey("dr_notification.id", ondelete="CASCADE"))
    subscription_id: Mapped[str] = mapped_column(
        ForeignKey("dr_subscription.id", ondelete="CASCADE"), index=True
    )
    position: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(10), server_default=text("'waiting'"))
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    due_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    delivered_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    answer: Mapped[str | None] = mapped_column(String(255))
