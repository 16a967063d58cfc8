"""One service for each role, with one hook for each type of message that the role receives.

Override the hooks you need. A hook for a request returns

* nothing: the request is accepted by the default answer;
* a response (or a bare `PayloadMessageResponse`): that is the answer;
* several messages: they are sent in this order, for example a response and then an offer;
* `ANSWER_LATER`: the application will answer by itself;

or raises a `Rejection`, which becomes the answer. Any other error makes the service try again later. Messages reach a
hook only when they keep all rules, and one after another for each partner; a hook may be called twice for a message
after a crash.
"""

from __future__ import annotations

from typing import Any, ClassVar

from shapeshifter_uftp import uftp
from shapeshifter_uftp.references import make_response
from shapeshifter_uftp.rules.context import message_of
from shapeshifter_uftp.service.base import ShapeshifterService
from shapeshifter_uftp.settlement import statuses_of
from shapeshifter_uftp.store import Direction
from shapeshifter_uftp.uftp.enumerations import UsefRole
from shapeshifter_uftp.uftp.payload import PayloadMessage

__all__ = ["ShapeshifterAgrService", "ShapeshifterCroService", "ShapeshifterDsoService"]


class ShapeshifterAgrService(ShapeshifterService):
    """Receives and answers the messages of an aggregator."""

    sender_role: ClassVar[UsefRole] = UsefRole.AGR

    def default_answer(self, message: PayloadMessage) -> PayloadMessage:
        """Accept a message; of a settlement, dispute the items that do not follow from our orders."""
        if not isinstance(message, uftp.FlexSettlement):
            return super().default_answer(message)
        entries = self.journal.of_type(Direction.IN, uftp.FlexOrder.wire_name, message.sender_domain or "")
        orders: list[Any] = [message_of(entry) for entry in entries if entry.outcome == "Accepted"]
        statuses = statuses_of(message, {order.order_reference: order for order in orders})
        return make_response(message, flex_order_settlement_statuses=statuses)

    def process_d_prognosis_response(self, message: uftp.DPrognosisResponse) -> None:
        """Take note of the answer to a DPrognosis of ours."""

    def process_flex_request(self, message: uftp.FlexRequest) -> Any:
        """Decide: a grid operator asks for flexibility."""
        return None

    def process_flex_offer_response(self, message: uftp.FlexOfferResponse) -> None:
        """Take note of the answer to a FlexOffer of ours."""

    def process_flex_offer_revocation_response(self, message: uftp.FlexOfferRevocationResponse) -> None:
        """Take note of the answer to a FlexOfferRevocation of ours."""

    def process_flex_order(self, message: uftp.FlexOrder) -> Any:
        """Decide: a grid operator bought flexibility."""
        return None

    def process_flex_reservation_update(self, message: uftp.FlexReservationUpdate) -> Any:
        """Decide: a grid operator keeps or releases reserved power."""
        return None

    def process_flex_settlement(self, message: uftp.FlexSettlement) -> Any:
        """Decide: a grid operator settles a time."""
        return None

    def process_metering_response(self, message: uftp.MeteringResponse) -> None:
        """Take note of the answer to a Metering of ours."""

    def process_agr_portfolio_query_response(self, message: uftp.AgrPortfolioQueryResponse) -> None:
        """Take note of the answer to a AgrPortfolioQuery of ours."""

    def process_agr_portfolio_update_response(self, message: uftp.AgrPortfolioUpdateResponse) -> None:
        """Take note of the answer to a AgrPortfolioUpdate of ours."""


class ShapeshifterDsoService(ShapeshifterService):
    """Receives and answers the messages of a grid operator."""

    sender_role: ClassVar[UsefRole] = UsefRole.DSO

    def process_d_prognosis(self, message: uftp.DPrognosis) -> Any:
        """Decide: an aggregator sent a prognosis."""
        return None

    def process_flex_request_response(self, message: uftp.FlexRequestResponse) -> None:
        """Take note of the answer to a FlexRequest of ours."""

    def process_flex_offer(self, message: uftp.FlexOffer) -> Any:
        """Decide: an aggregator offers flexibility."""
        return None

    def process_flex_order_response(self, message: uftp.FlexOrderResponse) -> None:
        """Take note of the answer to a FlexOrder of ours."""

    def process_flex_offer_revocation(self, message: uftp.FlexOfferRevocation) -> Any:
        """Decide: an aggregator took back an offer."""
        return None

    def process_flex_reservation_update_response(self, message: uftp.FlexReservationUpdateResponse) -> None:
        """Take note of the answer to a FlexReservationUpdate of ours."""

    def process_flex_settlement_response(self, message: uftp.FlexSettlementResponse) -> None:
        """Take note of the answer to a FlexSettlement of ours."""

    def process_metering(self, message: uftp.Metering) -> Any:
        """Decide: an aggregator sent measurements."""
        return None

    def process_dso_portfolio_query_response(self, message: uftp.DsoPortfolioQueryResponse) -> None:
        """Take note of the answer to a DsoPortfolioQuery of ours."""

    def process_dso_portfolio_update_response(self, message: uftp.DsoPortfolioUpdateResponse) -> None:
        """Take note of the answer to a DsoPortfolioUpdate of ours."""


class ShapeshifterCroService(ShapeshifterService):
    """Receives and answers the messages of the common reference operator."""

    sender_role: ClassVar[UsefRole] = UsefRole.CRO

    def default_answer(self, message: PayloadMessage) -> PayloadMessage:
        """Accept a message; a query, for which nothing is registered here, is rejected in the standard's words."""
        if isinstance(message, uftp.AgrPortfolioQuery | uftp.DsoPortfolioQuery):
            return make_response(message, "No connections available")
        return super().default_answer(message)

    def process_agr_portfolio_query(self, message: uftp.AgrPortfolioQuery) -> Any:
        """Decide: an aggregator asks where its connections stand."""
        return None

    def process_agr_portfolio_update(self, message: uftp.AgrPortfolioUpdate) -> Any:
        """Decide: an aggregator registers connections."""
        return None

    def process_dso_portfolio_query(self, message: uftp.DsoPortfolioQuery) -> Any:
        """Decide: a grid operator asks who represents connections."""
        return None

    def process_dso_portfolio_update(self, message: uftp.DsoPortfolioUpdate) -> Any:
        """Decide: a grid operator registers congestion points."""
        return None
