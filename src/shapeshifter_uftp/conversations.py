"""The ``send_*`` methods of the six clients, once for both ways of calling.

``R`` is what a method returns: a `PayloadMessageResponse` in the synchronous clients, an awaitable of one in the
asyncio clients. What each message means is told by its class.
"""

from __future__ import annotations

from typing import ClassVar, Generic, TypeVar

from shapeshifter_uftp import uftp
from shapeshifter_uftp.uftp.enumerations import UsefRole
from shapeshifter_uftp.uftp.payload import PayloadMessage

__all__ = ["AgrToCro", "AgrToDso", "CroToAgr", "CroToDso", "DsoToAgr", "DsoToCro"]

R = TypeVar("R")


class Conversation(Generic[R]):
    """Messages between any two participants."""

    sender_role: ClassVar[UsefRole]
    recipient_role: ClassVar[UsefRole]

    def _send(self, message: PayloadMessage) -> R:
        raise NotImplementedError

    def send_test_message(self, message: uftp.TestMessage) -> R:
        """Ask whether anybody is there."""
        return self._send(message)

    def send_test_message_response(self, message: uftp.TestMessageResponse) -> R:
        """Answer a TestMessage."""
        return self._send(message)


class AgrToCro(Conversation[R]):
    """Messages of an aggregator to the common reference operator."""

    sender_role, recipient_role = UsefRole.AGR, UsefRole.CRO

    def send_agr_portfolio_update(self, message: uftp.AgrPortfolioUpdate) -> R:
        """Tell on which connections the aggregator represents prosumers."""
        return self._send(message)

    def send_agr_portfolio_query(self, message: uftp.AgrPortfolioQuery) -> R:
        """Ask where the aggregator's connections stand."""
        return self._send(message)


class AgrToDso(Conversation[R]):
    """Messages of an aggregator to a grid operator."""

    sender_role, recipient_role = UsefRole.AGR, UsefRole.DSO

    def send_d_prognosis(self, message: uftp.DPrognosis) -> R:
        """Tell what the connections at a congestion point will consume and produce, for all ISPs of a day."""
        return self._send(message)

    def send_flex_request_response(self, message: uftp.FlexRequestResponse) -> R:
        """Tell whether a request was understood."""
        return self._send(message)

    def send_flex_offer(self, message: uftp.FlexOffer) -> R:
        """Offer flexibility, after a request or unsolicited."""
        return self._send(message)

    def send_flex_offer_revocation(self, message: uftp.FlexOfferRevocation) -> R:
        """Take back an offer that was not ordered."""
        return self._send(message)

    def send_flex_order_response(self, message: uftp.FlexOrderResponse) -> R:
        """Tell whether an order stands."""
        return self._send(message)

    def send_flex_settlement_response(self, message: uftp.FlexSettlementResponse) -> R:
        """Accept or dispute each item of a settlement."""
        return self._send(message)

    def send_flex_reservation_update_response(self, message: uftp.FlexReservationUpdateResponse) -> R:
        """Tell whether a reservation update was understood."""
        return self._send(message)

    def send_metering(self, message: uftp.Metering) -> R:
        """Tell what a connection consumed and produced on a day."""
        return self._send(message)


class CroToAgr(Conversation[R]):
    """Messages of the common reference operator to an aggregator."""

    sender_role, recipient_role = UsefRole.CRO, UsefRole.AGR

    def send_agr_portfolio_update_response(self, message: uftp.AgrPortfolioUpdateResponse) -> R:
        """Tell whether connections were registered."""
        return self._send(message)

    def send_agr_portfolio_query_response(self, message: uftp.AgrPortfolioQueryResponse) -> R:
        """Tell where an aggregator's connections stand."""
        return self._send(message)


class CroToDso(Conversation[R]):
    """Messages of the common reference operator to a grid operator: answers to its updates and queries."""

    sender_role, recipient_role = UsefRole.CRO, UsefRole.DSO

    def send_dso_portfolio_update_response(self, message: uftp.DsoPortfolioUpdateResponse) -> R:
        """Tell whether congestion points were registered."""
        return self._send(message)

    def send_dso_portfolio_query_response(self, message: uftp.DsoPortfolioQueryResponse) -> R:
        """Tell who represents which connection at a congestion point."""
        return self._send(message)


class DsoToAgr(Conversation[R]):
    """Messages of a grid operator to an aggregator."""

    sender_role, recipient_role = UsefRole.DSO, UsefRole.AGR

    def send_d_prognosis_response(self, message: uftp.DPrognosisResponse) -> R:
        """Tell whether a prognosis was accepted, and which orders it reflects."""
        return self._send(message)

    def send_flex_request(self, message: uftp.FlexRequest) -> R:
        """Ask for flexibility; give the room available in the other ISPs of the day too."""
        return self._send(message)

    def send_flex_offer_response(self, message: uftp.FlexOfferResponse) -> R:
        """Tell whether an offer was understood."""
        return self._send(message)

    def send_flex_order(self, message: uftp.FlexOrder) -> R:
        """Buy flexibility that was offered; the ISPs must be those of the offer."""
        return self._send(message)

    def send_flex_reservation_update(self, message: uftp.FlexReservationUpdate) -> R:
        """Keep or release power reserved by a bilateral contract."""
        return self._send(message)

    def send_flex_settlement(self, message: uftp.FlexSettlement) -> R:
        """Settle the orders of a time, usually a month."""
        return self._send(message)

    def send_flex_offer_revocation_response(self, message: uftp.FlexOfferRevocationResponse) -> R:
        """Tell whether an offer is void now."""
        return self._send(message)

    def send_metering_response(self, message: uftp.MeteringResponse) -> R:
        """Tell whether metering was understood."""
        return self._send(message)


class DsoToCro(Conversation[R]):
    """Messages of a grid operator to the common reference operator."""

    sender_role, recipient_role = UsefRole.DSO, UsefRole.CRO

    def send_dso_portfolio_update(self, message: uftp.DsoPortfolioUpdate) -> R:
        """Tell on which congestion points flexibility is wanted."""
        return self._send(message)

    def send_dso_portfolio_query(self, message: uftp.DsoPortfolioQuery) -> R:
        """Ask which aggregators represent connections at a congestion point."""
        return self._send(message)
