"""The desk: takes stored messages one after another, checks them by the rules, asks the application, answers.

A message and its answer are finished in one transaction, so after a crash either both are there or neither, and then
the message is handled again. Handling may therefore happen twice, answering not.
"""

from __future__ import annotations

import copy
import datetime as dt
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from shapeshifter_uftp.backoff import Backoff, Pause
from shapeshifter_uftp.exceptions import DuplicateIdentifierException, InvalidValue, NotAMessage, Rejection
from shapeshifter_uftp.exchange import Identity, complete, seal_for_post
from shapeshifter_uftp.isp_calendar import instant_of
from shapeshifter_uftp.lanes import Lanes
from shapeshifter_uftp.outbox import outgoing_entry
from shapeshifter_uftp.references import main_reference, make_response
from shapeshifter_uftp.rules import Market, RuleContext, RuleSet, TradeBook
from shapeshifter_uftp.rules.context import message_of
from shapeshifter_uftp.service.traffic import Traffic
from shapeshifter_uftp.store import Direction, Entry, Journal, State
from shapeshifter_uftp.uftp import (
    AcceptedRejected,
    PayloadMessage,
    PayloadMessageResponse,
    TestMessage,
    UsefRole,
    is_response,
    request_response_map,
    routing_map,
    snake_name,
)

__all__ = ["ANSWER_LATER", "Application", "Counter", "MessageDesk", "accept_at_once", "pre_process_hook"]

_log = logging.getLogger("shapeshifter_uftp.service")
_PATIENCE = 5.0
_GIVEN_UP = "Could not be processed: a fault on our side lasted too long; send it again as a new message"


class _AnswerLater:
    """The type of `ANSWER_LATER`."""


ANSWER_LATER = _AnswerLater()
"""Return value of a hook that will answer a request some other time, with `ShapeshifterService.send`."""


class Application(Protocol):
    """Decisions about messages: beside these, one ``process_<message>`` hook for each type that is received."""

    def default_answer(self, message: PayloadMessage) -> PayloadMessage:
        """Make the answer to a request that keeps all rules and whose hook says nothing."""
        ...

    def process_handling_failure(self, entry: Entry, error: Exception) -> None:
        """Take note that a received message is given up, because its hook failed again and again."""
        ...


@dataclass(frozen=True, slots=True)
class Counter:
    """Tools of a desk.

    Attributes:
        identity: Who we are.
        journal: Where messages are kept.
        market: What the market agreed on.
        rules: The rules that apply.
        handling: When a message whose hook fails is handled again.
        clock: Seconds since 1970.
        lanes: From how many partners messages are handled at once.
    """

    identity: Identity
    journal: Journal
    market: Market
    rules: RuleSet
    handling: Backoff
    clock: Callable[[], float]
    lanes: int


def accept_at_once(self: object, message: PayloadMessage) -> PayloadMessageResponse:
    """Accept a message within the request: the ``pre_process_`` hooks as they are when nobody overrides them."""
    return PayloadMessageResponse()


def pre_process_hook(application: object, message_type: type[PayloadMessage]) -> Any:
    """Find the ``pre_process_`` hook that an application has written for a type; None when it has not."""
    hook = getattr(application, f"pre_process_{snake_name(message_type)}", None)
    return None if getattr(hook, "__func__", None) is accept_at_once else hook


class MessageDesk:
    """Handles the stored messages of a service.

    Args:
        counter: What it works with.
        application: Decides about messages.
        traffic: Tells whether messages are coming in.
    """

    def __init__(self, counter: Counter, application: Application, traffic: Traffic) -> None:
        self._counter, self._application, self._traffic = counter, application, traffic
        self._journal, self._clock = counter.journal, counter.clock
        self._lanes = Lanes(
            "uftp-inbox", counter.journal, Direction.IN, self.handle, counter.clock, counter.lanes
        )

    def start(self) -> None:
        """Start handling in the background, beginning with what an earlier process left."""
        self._lanes.start()

    def stop(self) -> None:
        """Stop handling; what is left waits for the next start."""
        self._traffic.end()
        self._lanes.stop()

    # --- during the request ------------------------------------------------------------------------------------------

    def conflicting(self, message: PayloadMessage, entry: Entry) -> None:
        """Reject a message whose id was used before for another content."""
        if type(message) in request_response_map:
            reply = make_response(message, DuplicateIdentifierException().reason)
            self._journal.add_outgoing([self.outgoing(reply, entry.partner_role, entry.partner_domain)])

    def answers_immediately(self, message_type: type[PayloadMessage]) -> bool:
        """Tell whether the application has a ``pre_process_`` hook for a type."""
        return pre_process_hook(self._application, message_type) is not None

    def immediate_answer(self, message: PayloadMessage, entry: Entry) -> bytes | None:
        """Answer the 1.x way, when the application has a ``pre_process_`` hook for this type."""
        hook = pre_process_hook(self._application, type(message))
        if hook is None:
            return None
        known = self._journal.find(Direction.IN, entry.message_id, entry.partner_domain)
        if known is not None and known.answer is not None:
            return known.answer
        broken = self._broken(message, entry)
        verdict = _verdict(broken) if broken else hook(message)
        answer = complete(
            verdict or PayloadMessageResponse(),
            self._counter.identity.domain,
            entry.partner_domain,
            message.version,
        )
        answer.conversation_id = message.conversation_id
        sealed = seal_for_post(answer, self._counter.identity)
        self._journal.remember_answer(
            entry.message_id,
            entry.partner_domain,
            sealed,
            str(getattr(answer, "result", AcceptedRejected.ACCEPTED)),
        )
        return sealed

    # --- afterwards --------------------------------------------------------------------------------------------------

    def handle(self, entry: Entry) -> Pause | None:
        """Handle one stored message; return the pause before it is handled again, or None when that is over."""
        # A sender waits for its 200, and nobody for an answer of seconds ago: the standard gives answers hours.
        self._traffic.wait_until_quiet(_PATIENCE - (self._clock() - entry.at))
        try:
            self._handle(entry)
        except Exception as error:  # noqa: BLE001  the application's hook may raise anything
            return self._try_again(entry, error)
        return None

    def _handle(self, entry: Entry) -> None:
        message = message_of(entry)
        broken = self._broken(message, entry)
        if is_response(type(message)):
            self._handle_response(message, entry, broken)
            return
        if entry.outcome == AcceptedRejected.REJECTED:  # by the pre_process_ hook, which has answered
            self._journal.finish(entry, AcceptedRejected.REJECTED, entry.reason)
            return
        if broken:
            self._reject(message, entry, "; ".join(rejection.reason for rejection in broken))
            return
        try:
            answer = self._ask_application(message, entry)
        except Rejection as rejection:
            self._reject(message, entry, rejection.reason)
        else:
            self._finish(message, entry, answer)

    def _broken(self, message: PayloadMessage, entry: Entry) -> list[Rejection]:
        now = dt.datetime.fromtimestamp(self._clock(), dt.UTC)
        us = self._counter.identity
        context = RuleContext(
            us.domain, us.role, entry.partner_domain, entry.partner_role, now, self._counter.market,
            TradeBook(self._journal, entry.partner_domain),
        )  # fmt: skip
        return self._counter.rules.broken(message, context)

    def _ask_application(self, message: PayloadMessage, entry: Entry) -> Any:
        hook = getattr(self._application, f"process_{snake_name(type(message))}")
        return hook(message, entry.partner_role) if isinstance(message, TestMessage) else hook(message)

    def _handle_response(self, message: PayloadMessage, entry: Entry, broken: list[Rejection]) -> None:
        if broken:
            # An invalid response is not answered: the two would go on for ever.
            reason = "; ".join(rejection.reason for rejection in broken)
            _log.warning("A %s of %s is ignored: %s", entry.message_type, entry.partner_domain, reason)
            self._journal.finish(entry, AcceptedRejected.REJECTED, reason)
            return
        reference, outcome = main_reference(message), getattr(message, "result", None)
        if reference and outcome:
            reason_given = getattr(message, "rejection_reason", None)
            self._journal.answered(reference.lower(), entry.partner_domain, str(outcome), reason_given)
        self._ask_application(message, entry)
        self._journal.finish(entry, None, None)

    def _reject(self, message: PayloadMessage, entry: Entry, reason: str) -> None:
        _log.info(
            "%s %s of %s is rejected: %s", entry.message_type, entry.message_id, entry.partner_domain, reason
        )
        replies = self._rejection(message, entry, reason)
        self._journal.finish(entry, AcceptedRejected.REJECTED, reason, replies)

    def _rejection(self, message: PayloadMessage, entry: Entry, reason: str) -> list[Entry]:
        """Make the rejection of a request; nothing when it is answered already, or there is no answer to it."""
        if type(message) not in request_response_map or self._answered_before(message, entry):
            return []
        try:
            reply = make_response(message, reason)
            return [self.outgoing(reply, entry.partner_role, entry.partner_domain)]
        except InvalidValue as error:
            # As when somebody sends what only a role other than ours receives: there is no answer to that.
            _log.warning("No answer to %s %s: %s", entry.message_type, entry.message_id, error)
            return []

    def _finish(self, message: PayloadMessage, entry: Entry, answer: Any) -> None:
        replies = [] if answer is ANSWER_LATER else _listed(answer, message)
        response_type = request_response_map[type(message)]
        verdicts = [r for r in replies if type(r) in {response_type, PayloadMessageResponse}]
        replies = [_as_response(message, r) if type(r) is PayloadMessageResponse else r for r in replies]
        if not verdicts and answer is not ANSWER_LATER and not self._answered_before(message, entry):
            replies = [self._application.default_answer(message), *replies]
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

    def _answered_before(self, message: PayloadMessage, entry: Entry) -> bool:
        """Tell whether the hook has answered by itself, or the request was answered the 1.x way."""
        response_type = request_response_map[type(message)]
        if entry.answer is not None:
            return True
        return bool(self._journal.referring(Direction.OUT, response_type.wire_name, entry.message_id))

    def _try_again(self, entry: Entry, error: Exception) -> Pause | None:
        """Let a message whose hook failed wait for its next attempt, or give it up after hours."""
        policy, attempts = self._counter.handling, entry.attempts + 1
        if policy.is_last(attempts):
            self._give_up(entry, error)
            return None
        pause = policy.pause(attempts, random.random())  # noqa: S311  no secret
        log = _log.exception if attempts == 1 else _log.warning
        log("%s %s is handled again in %.1f s: %r", entry.message_type, entry.message_id, pause, error)
        until = self._clock() + pause
        self._journal.postpone(entry, until, reason=repr(error)[:500])
        return Pause(until)

    def _give_up(self, entry: Entry, error: Exception) -> None:
        """End a message that cannot be handled: the partner is told, and so is the application."""
        _log.error("%s %s is given up", entry.message_type, entry.message_id, exc_info=error)
        try:
            replies = self._rejection(message_of(entry), entry, _GIVEN_UP)
        except Exception:  # noqa: BLE001  the message itself may be what cannot be read
            _log.exception("%s %s cannot be answered", entry.message_type, entry.message_id)
            replies = []
        outcome = AcceptedRejected.REJECTED if replies else None
        self._journal.finish(entry, outcome, repr(error)[:500], replies, State.FAILED)
        try:
            self._application.process_handling_failure(entry, error)
        except Exception:  # noqa: BLE001  the hook may raise anything; the message is over all the same
            _log.exception("process_handling_failure failed")

    def outgoing(
        self, message: PayloadMessage, partner_role: UsefRole | None = None, partner_domain: str | None = None
    ) -> Entry:
        """Complete and seal a message and make its journal entry; a response goes to whoever signed the request."""
        us = self._counter.identity
        role = routing_map[type(message)][1] or partner_role
        if role is None:
            raise InvalidValue("Say to which role a TestMessage goes")
        prepared = complete(message, us.domain, message.recipient_domain or partner_domain or "")
        prepared.sender_domain = us.domain
        if partner_domain and is_response(type(message)):
            prepared.recipient_domain = partner_domain
        envelope = seal_for_post(prepared, us)
        expiry = getattr(prepared, "expiration_date_time", None)
        expires_at = instant_of(expiry, getattr(prepared, "time_zone", None)).timestamp() if expiry else None
        return outgoing_entry(self._journal.owner, prepared, envelope, role, self._clock(), expires_at)


def _listed(answer: Any, message: PayloadMessage) -> list[PayloadMessage]:
    """List the messages that a hook returned.

    Raises:
        NotAMessage: It returned something else. That says neither yes nor no, so the message waits for a better hook.
    """
    if answer is None or answer is True:  # "done" is what True can mean; False would be taken for acceptance
        return []
    listed = [answer] if isinstance(answer, PayloadMessage) else answer
    if not isinstance(listed, list | tuple) or not all(isinstance(each, PayloadMessage) for each in listed):
        raise NotAMessage(
            f"process_{snake_name(type(message))} returned {answer!r:.200}: return nothing, a message, a list of"
            " messages or ANSWER_LATER, or raise a Rejection"
        )
    return list(listed)


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
