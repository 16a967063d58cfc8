"""The desk: takes stored messages one after another, checks them by the rules, asks the application, answers.

A message and its answer are finished in one transaction, so after a crash either both are there or neither, and then
the message is handled again. Handling may therefore happen twice, answering not.
"""

from __future__ import annotations

import copy
import datetime as dt
import logging
import time
from typing import TYPE_CHECKING, Any

from shapeshifter_uftp.exceptions import (
    ClientTransportException,
    DuplicateIdentifierException,
    InvalidValue,
    Rejection,
    TransportError,
)
from shapeshifter_uftp.exchange import complete, seal_for_post
from shapeshifter_uftp.isp_calendar import instant_of
from shapeshifter_uftp.lanes import Lanes
from shapeshifter_uftp.outbox import outgoing_entry
from shapeshifter_uftp.references import main_reference, make_response
from shapeshifter_uftp.rules import RuleContext, TradeBook
from shapeshifter_uftp.rules.context import message_of
from shapeshifter_uftp.store import Direction, Entry, State
from shapeshifter_uftp.uftp import (
    AcceptedRejected,
    PayloadMessage,
    PayloadMessageResponse,
    UsefRole,
    is_response,
    request_response_map,
    routing_map,
    snake_name,
)

if TYPE_CHECKING:
    from shapeshifter_uftp.service.base import ShapeshifterService

__all__ = ["ANSWER_LATER", "MessageDesk"]

_log = logging.getLogger("shapeshifter_uftp.service")
_PAUSE, _MOST_ATTEMPTS = 0.5, 6
_PATIENCE = 5.0


class _AnswerLater:
    """The type of `ANSWER_LATER`."""


ANSWER_LATER = _AnswerLater()
"""What a hook returns when it will answer a request some other time, with `ShapeshifterService.send`."""


class MessageDesk:
    """Handles the stored messages of a service."""

    def __init__(self, service: ShapeshifterService) -> None:
        self._service, self._journal = service, service.journal
        self._lanes = Lanes("uftp-inbox", service.journal, Direction.IN, self.handle, service.clock)

    def start(self) -> None:
        """Start handling in the background, beginning with what an earlier process left."""
        self._lanes.start()

    def stop(self) -> None:
        """Stop handling; what is left waits for the next start."""
        self._lanes.stop()

    # --- during the request ------------------------------------------------------------------------------------------

    def conflicting(self, message: PayloadMessage, entry: Entry) -> None:
        """Reject a message whose id was used before for another content."""
        if type(message) in request_response_map:
            reply = make_response(message, DuplicateIdentifierException().reason)
            self._journal.add_outgoing([self.outgoing(reply, entry.partner_role, entry.partner_domain)])

    def answers_immediately(self, message_type: type[PayloadMessage]) -> bool:
        """Tell whether the application has a ``pre_process_`` hook for a type."""
        return hasattr(self._service, f"pre_process_{snake_name(message_type)}")

    def immediate_answer(self, message: PayloadMessage, entry: Entry) -> bytes | None:
        """Answer the 1.x way, when the application has a ``pre_process_`` hook for this type."""
        hook = getattr(self._service, f"pre_process_{snake_name(type(message))}", None)
        if hook is None:
            return None
        known = self._journal.find(Direction.IN, entry.message_id, entry.partner_domain)
        if known is not None and known.answer is not None:
            return known.answer
        broken = self._broken(message, entry)
        verdict = _verdict(broken) if broken else hook(message)
        answer = complete(
            verdict or PayloadMessageResponse(),
            self._service.sender_domain,
            entry.partner_domain,
            message.version,
        )
        answer.conversation_id = message.conversation_id
        sealed = seal_for_post(answer, self._service.identity)
        self._journal.remember_answer(
            entry.message_id,
            entry.partner_domain,
            sealed,
            str(getattr(answer, "result", AcceptedRejected.ACCEPTED)),
        )
        return sealed

    # --- afterwards --------------------------------------------------------------------------------------------------

    def handle(self, entry: Entry) -> bool:
        """Handle one stored message; False when it must be tried again later."""
        self._let_others_in(entry)
        try:
            return self._handle(entry)
        except Exception as error:  # noqa: BLE001  the application's hook may raise anything
            return self._try_again(entry, error)

    def _handle(self, entry: Entry) -> bool:
        message = message_of(entry)
        broken = self._broken(message, entry)
        if is_response(type(message)):
            return self._handle_response(message, entry, broken)
        if entry.outcome == AcceptedRejected.REJECTED:  # by the pre_process_ hook, which has answered
            self._journal.finish(entry, AcceptedRejected.REJECTED, entry.reason)
            return True
        if broken:
            return self._reject(message, entry, "; ".join(rejection.reason for rejection in broken))
        try:
            answer = self._ask_application(message, entry)
        except Rejection as rejection:
            return self._reject(message, entry, rejection.reason)
        return self._finish(message, entry, answer)

    def _let_others_in(self, entry: Entry) -> None:
        """Wait while messages pour in: a sender waits for its 200, and nobody for an answer of seconds ago.

        The standard gives business answers minutes to hours; a message that has waited for `_PATIENCE` waits no more.
        """
        while self._service.receiver.busy and self._service.clock() - entry.at < _PATIENCE:
            time.sleep(0.005)

    def _broken(self, message: PayloadMessage, entry: Entry) -> list[Rejection]:
        now = dt.datetime.fromtimestamp(self._service.clock(), dt.UTC)
        service = self._service
        context = RuleContext(
            service.sender_domain, service.sender_role, entry.partner_domain, entry.partner_role, now, service.market,
            TradeBook(self._journal, entry.partner_domain),
        )  # fmt: skip
        return service.rules.broken(message, context)

    def _ask_application(self, message: PayloadMessage, entry: Entry) -> Any:
        hook = getattr(self._service, f"process_{snake_name(type(message))}")
        return hook(message, entry.partner_role) if entry.message_type == "TestMessage" else hook(message)

    def _handle_response(self, message: PayloadMessage, entry: Entry, broken: list[Rejection]) -> bool:
        if broken:
            # An invalid response is not answered: the two would go on for ever.
            reason = "; ".join(rejection.reason for rejection in broken)
            _log.warning("A %s of %s is ignored: %s", entry.message_type, entry.partner_domain, reason)
            self._journal.finish(entry, AcceptedRejected.REJECTED, reason)
            return True
        reference, outcome = main_reference(message), getattr(message, "result", None)
        if reference and outcome:
            reason_given = getattr(message, "rejection_reason", None)
            self._journal.answered(reference.lower(), entry.partner_domain, str(outcome), reason_given)
        self._ask_application(message, entry)
        self._journal.finish(entry, None, None)
        return True

    def _reject(self, message: PayloadMessage, entry: Entry, reason: str) -> bool:
        _log.info(
            "%s %s of %s is rejected: %s", entry.message_type, entry.message_id, entry.partner_domain, reason
        )
        replies = []
        if not self._answered_before(message, entry):
            try:
                reply = make_response(message, reason)
                replies.append(self.outgoing(reply, entry.partner_role, entry.partner_domain))
            except InvalidValue as error:
                # As when somebody sends what only a role other than ours receives: there is no answer to that.
                _log.warning("No answer to %s %s: %s", entry.message_type, entry.message_id, error)
        self._journal.finish(entry, AcceptedRejected.REJECTED, reason, replies)
        return True

    def _finish(self, message: PayloadMessage, entry: Entry, answer: Any) -> bool:
        replies = [] if answer is None or answer is ANSWER_LATER else _listed(answer)
        response_type = request_response_map[type(message)]
        verdicts = [r for r in replies if type(r) in {response_type, PayloadMessageResponse}]
        replies = [_as_response(message, r) if type(r) is PayloadMessageResponse else r for r in replies]
        if not verdicts and answer is not ANSWER_LATER and not self._answered_before(message, entry):
            replies = [self._service.default_answer(message), *replies]
            verdicts = replies[:1]
        replies = [_in_version(reply, message.version) for reply in replies]
        outcome = (
            getattr(verdicts[0], "result", AcceptedRejected.ACCEPTED)
            if verdicts
            else AcceptedRejected.ACCEPTED
        )
        reason = getattr(verdicts[0], "rejection_reason", None) if verdicts else None
        outgoing = [self.outgoing(reply, entry.partner_role, entry.partner_domain) for reply in replies]
        self._journal.finish(entry, str(outcome), reason, outgoing)
        return True

    def _answered_before(self, message: PayloadMessage, entry: Entry) -> bool:
        """Tell whether the hook has answered by itself, or the request was answered the 1.x way."""
        response_type = request_response_map[type(message)]
        if entry.answer is not None:
            return True
        return bool(self._journal.referring(Direction.OUT, response_type.wire_name, entry.message_id))

    def _try_again(self, entry: Entry, error: Exception) -> bool:
        if entry.attempts + 1 >= _MOST_ATTEMPTS:
            _log.exception("%s %s cannot be handled", entry.message_type, entry.message_id, exc_info=error)
            self._journal.mark(entry, State.FAILED, reason=repr(error)[:500])
            return True
        pause = _PAUSE * 2**entry.attempts
        _log.warning(
            "%s %s is handled again in %.1f s: %r", entry.message_type, entry.message_id, pause, error
        )
        self._journal.postpone(entry, self._service.clock() + pause, reason=repr(error)[:500])
        return False

    def outgoing(
        self, message: PayloadMessage, partner_role: UsefRole | None = None, partner_domain: str | None = None
    ) -> Entry:
        """Complete and seal a message and make its journal entry; a response goes to whoever signed the request."""
        service = self._service
        role = routing_map[type(message)][1] or partner_role
        if role is None:
            raise InvalidValue("Say to which role a TestMessage goes")
        prepared = complete(message, service.sender_domain, message.recipient_domain or partner_domain or "")
        prepared.sender_domain = service.sender_domain
        if partner_domain and is_response(type(message)):
            prepared.recipient_domain = partner_domain
        envelope = seal_for_post(prepared, service.identity)
        expiry = getattr(prepared, "expiration_date_time", None)
        expires_at = instant_of(expiry, getattr(prepared, "time_zone", None)).timestamp() if expiry else None
        return outgoing_entry(self._journal.owner, prepared, envelope, role, service.clock(), expires_at)


class JournalRecorder:
    """Keeps what the clients of a service send, so that answers and follow-ups find what they refer to."""

    def __init__(self, service: ShapeshifterService) -> None:
        self._service = service

    def sending(self, message: PayloadMessage, content: bytes, recipient_role: UsefRole) -> None:
        """Take note of a message that is about to be posted; refuse it while the partner is faulty."""
        service = self._service
        fault = service.journal.partners.fault_of((message.recipient_domain or "", recipient_role))
        if fault is not None:
            raise ClientTransportException(str(fault))
        entry = outgoing_entry(service.journal.owner, message, content, recipient_role, service.clock(), None)
        service.journal.add_sent(entry)

    def delivered(
        self, message: PayloadMessage, recipient_role: UsefRole, answer: PayloadMessageResponse | None
    ) -> None:
        """Take note that the partner has stored a message, and of what it answered at once, if it did."""
        journal, (message_id, domain) = self._service.journal, _key(message)
        journal.partners.took((domain, recipient_role))
        if answer:
            journal.answered(message_id, domain, str(answer.result), answer.rejection_reason)

    def failed(self, message: PayloadMessage, recipient_role: UsefRole, error: TransportError) -> None:
        """Take note that a message did not get through."""
        message_id, domain = _key(message)
        self._service.journal.sent_in_vain(message_id, domain, str(error)[:500])
        if not error.temporary:
            self._service.outbox.note_refusal((domain, recipient_role), error)


def _key(message: PayloadMessage) -> tuple[str, str]:
    return (message.message_id or "").lower(), message.recipient_domain or ""


def _listed(answer: Any) -> list[PayloadMessage]:
    return [answer] if isinstance(answer, PayloadMessage) else list(answer)


def _verdict(broken: list[Rejection]) -> PayloadMessageResponse:
    reason = "; ".join(rejection.reason for rejection in broken)
    return PayloadMessageResponse(result=AcceptedRejected.REJECTED, rejection_reason=reason)


def _as_response(message: PayloadMessage, verdict: PayloadMessage) -> PayloadMessage:
    """Turn a bare verdict into the response that belongs to a request."""
    rejected = getattr(verdict, "result", None) == AcceptedRejected.REJECTED
    reason = getattr(verdict, "rejection_reason", None) or "Invalid Message"
    return make_response(message, reason if rejected else None)


def _in_version(reply: PayloadMessage, version: str | None) -> PayloadMessage:
    """Give an answer in the version of the request."""
    if reply.version == version:
        return reply
    changed = copy.copy(reply)
    changed.version = version
    return changed
