"""Context of rules: the market's agreements, the time, and the messages exchanged before."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

from shapeshifter_uftp.isp_calendar import IspCalendar
from shapeshifter_uftp.reading import message_from_xml
from shapeshifter_uftp.sealing import SIGNATURE_BYTES, envelope_from_xml
from shapeshifter_uftp.store import Direction, Entry, Journal
from shapeshifter_uftp.uftp import MeteringProfileEnum, PayloadMessage, UsefRole

__all__ = ["Market", "RuleContext", "TradeBook", "message_of"]


@dataclass(frozen=True)
class Market:
    """Agreements of the participants outside the protocol.

    Attributes:
        time_zone: Zone whose days are the periods; others with the same offset are fine too.
        isp_duration: Length of an ISP.
        versions: Versions of UFTP that we speak.
        currencies: Currencies that we trade in; None: any.
        congestion_points: Where we are active; None: anywhere.
        barred_senders: Domains with which we do not trade.
        mutex_offers_supported: Whether offers may have several options, by congestion point.
        baseline_required: Whether an offer must name its baseline.
        highest_power: Largest power that is plausible [W], either sign; None: any.
        reservation_deadline: How long before the start of its day a reservation update must come.
        settlement_horizon: How far back a settlement may reach.
        metering_profiles: Profiles that every Metering must have.
        offers_within_band: Whether the powers of an offer must lie in the band of the request that it answers.
    """

    time_zone: str = "Europe/Amsterdam"
    isp_duration: dt.timedelta = dt.timedelta(minutes=15)
    versions: frozenset[str] = frozenset({"3.0.0", "3.1.0"})
    currencies: frozenset[str] | None = None
    congestion_points: frozenset[str] | None = None
    barred_senders: frozenset[str] = frozenset()
    mutex_offers_supported: Callable[[str], bool] = field(default=lambda congestion_point: True)
    baseline_required: bool = False
    highest_power: int | None = None
    reservation_deadline: dt.timedelta = dt.timedelta()
    settlement_horizon: dt.timedelta = dt.timedelta(days=730)
    metering_profiles: frozenset[MeteringProfileEnum] = frozenset()
    offers_within_band: bool = False

    @property
    def calendar(self) -> IspCalendar:
        """The ISP calendar of the market."""
        return IspCalendar(self.time_zone, self.isp_duration)


def message_of(entry: Entry) -> PayloadMessage:
    """Read the message of a journal entry; it was verified and validated when it came in."""
    return message_from_xml(envelope_from_xml(entry.envelope).body[SIGNATURE_BYTES:], validate=False)


class TradeBook:
    """The messages exchanged with one partner, found by their ids: what the references of a message lead to.

    Args:
        journal: Where they are kept.
        partner_domain: The partner; messages of others are not found.
    """

    def __init__(self, journal: Journal, partner_domain: str) -> None:
        self._journal, self._partner = journal, partner_domain

    def entry(
        self, direction: Direction, message_type: type[PayloadMessage], message_id: str | None
    ) -> Entry | None:
        """Find the entry of a message by type and id; None when it is not known."""
        if not message_id:
            return None
        found = self._journal.find(direction, message_id.lower(), self._partner)
        return found if found and found.message_type == message_type.wire_name else None

    def followers(
        self, direction: Direction, message_type: type[PayloadMessage], message_id: str
    ) -> list[Entry]:
        """List messages of a type that answer or follow a message, without rejected ones."""
        entries = self._journal.referring(direction, message_type.wire_name, message_id.lower())
        return [e for e in entries if e.outcome != "Rejected" and e.partner_domain == self._partner]

    def earlier(self, direction: Direction, message: PayloadMessage, topic: str | None) -> list[Entry]:
        """List messages of the same type about the same place and day, without the message itself and rejected ones."""
        if topic is None:
            return []
        entries = self._journal.about(direction, type(message).wire_name, topic, self._partner)
        return [e for e in entries if e.message_id != message.message_id and e.outcome != "Rejected"]

    def of_type(self, direction: Direction, message_type: type[PayloadMessage]) -> list[Entry]:
        """List all messages of a type exchanged with the partner, without rejected ones."""
        entries = self._journal.of_type(direction, message_type.wire_name, self._partner)
        return [e for e in entries if e.outcome != "Rejected"]


@dataclass(frozen=True, slots=True)
class RuleContext:
    """Facts that a rule may look at beside the message.

    Attributes:
        our_domain: Our domain.
        our_role: Our role.
        envelope_domain: The sender as the verified envelope names it.
        sender_role: The sender's role as the envelope names it.
        now: The instant of the check.
        market: The market's agreements.
        book: Messages exchanged with this sender; None: nothing is known, and rules about references do not apply.
    """

    our_domain: str
    our_role: UsefRole
    envelope_domain: str
    sender_role: UsefRole
    now: dt.datetime
    market: Market = field(default_factory=Market)
    book: TradeBook | None = None
