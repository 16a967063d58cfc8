"""A demo market: aggregator, grid operator and reference operator in three processes on loopback, for one trading day.

The director (`play`) starts the three, tells each what to do next and what time it is, and prints what they say. All
figures are small enough to check by hand:

* the baseline is 10 000 W in every ISP; in the last hour of the day 2 000 W less are ordered for 28.00 EUR;
* measured are 8 000, 8 500, 7 000 and 10 000 W: delivered 2 000, 1 500, 2 000 and 0 W of 8 000 W in all;
* price 28.00 x 5 500 / 8 000 = 19.25 EUR; missing are 500 + 2 000 W, at 2 000 EUR/MW a penalty of 5.00 EUR;
* so 14.25 EUR are paid.
"""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from queue import Empty, Queue
from typing import Any, ClassVar

from shapeshifter_uftp import uftp
from shapeshifter_uftp.addresses import DirectoryAddressBook, Participant
from shapeshifter_uftp.cro import ReferenceCro
from shapeshifter_uftp.exceptions import ShapeshifterError
from shapeshifter_uftp.isp_calendar import IspCalendar
from shapeshifter_uftp.references import make_response
from shapeshifter_uftp.rules.context import message_of
from shapeshifter_uftp.sealing import generate_key_pair
from shapeshifter_uftp.service import ShapeshifterAgrService, ShapeshifterDsoService
from shapeshifter_uftp.settlement import (
    SettlementTerms,
    baseline_of,
    measured_power,
    no_contracts,
    settle_order,
)
from shapeshifter_uftp.store import Direction
from shapeshifter_uftp.trading import make_order
from shapeshifter_uftp.uftp import UsefRole

__all__ = ["DemoFailed", "play"]

AGR, DSO, CRO = "agr.example.com", "dso.example.com", "cro.example.com"
CONGESTION_POINT = "ean.871685900012636543"
CONNECTIONS = ("ean.871685900000000011", "ean.871685900000000028")
METERS = ("E871685900000000011", "E871685900000000028")
BASELINE, FLEXIBILITY = 10_000, -2_000
MEASURED = (8_000, 8_500, 7_000, 10_000)
PRICE, PENALTY_PER_MW = Decimal("28.00"), Decimal(2000)
CALENDAR = IspCalendar()
_PATIENCE = 30.0


class DemoFailed(ShapeshifterError):
    """The demo did not go as it should."""


def last_hour(period: dt.date) -> int:
    """Give the first ISP of the last hour of a day: 93 on most days, 89 or 97 when the clock changes."""
    return CALENDAR.count(period) - 3


def say(event: str, **details: Any) -> None:
    """Tell the director what happened."""
    sys.stdout.write(json.dumps({"event": event, **details}, default=str) + "\n")
    sys.stdout.flush()


class _Acting:
    """The common part of the three: a clock that the director sets, and commands."""

    offset: ClassVar[float] = 0.0
    """Seconds that the play is ahead of the real time; one process is one actor."""

    def act(self, period: dt.date) -> None:
        """Do what the director says, until he says no more."""
        for line in sys.stdin:
            command, _, argument = line.strip().partition(" ")
            if command == "clock":
                _Acting.offset = float(argument) - time.time()
                say("clock set")
            elif command == "stop":
                return
            else:
                getattr(self, f"do_{command}")(period)


class DemoCro(_Acting, ReferenceCro):
    """The reference operator of the demo."""


class DemoAgr(_Acting, ShapeshifterAgrService):
    """The aggregator of the demo: two connections, one offer."""

    def do_portfolio(self, period: dt.date) -> None:
        """Register the connections."""
        connections = [
            uftp.AgrPortfolioUpdateConnection(entity_address=c, start_period=period) for c in CONNECTIONS
        ]
        self.send(uftp.AgrPortfolioUpdate(recipient_domain=CRO, connections=connections))

    def process_agr_portfolio_update_response(self, message: uftp.AgrPortfolioUpdateResponse) -> None:
        """Tell the director."""
        say("connections registered", result=message.result)

    def do_query(self, period: dt.date) -> None:
        """Ask where the connections stand."""
        self.send(uftp.AgrPortfolioQuery(recipient_domain=CRO, period=period))

    def process_agr_portfolio_query_response(self, message: uftp.AgrPortfolioQueryResponse) -> None:
        """Tell the director."""
        point = message.dso_views[0].dso_portfolios[0].congestion_points[0]
        say("portfolio known", congestion_point=point.entity_address, connections=len(point.connections))

    def do_prognosis(self, period: dt.date) -> None:
        """Send the prognosis of the day."""
        isps = [uftp.DPrognosisISP(power=BASELINE, start=1, duration=CALENDAR.count(period))]
        self.send(uftp.DPrognosis(**self._market(period), recipient_domain=DSO, revision=1, isps=isps))

    @staticmethod
    def _market(period: dt.date) -> dict[str, Any]:
        return {"isp_duration": CALENDAR.isp_duration, "period": period, "congestion_point": CONGESTION_POINT}

    def process_d_prognosis_response(self, message: uftp.DPrognosisResponse) -> None:
        """Tell the director."""
        say("prognosis accepted", result=message.result)

    def process_flex_request(self, message: uftp.FlexRequest) -> list[uftp.PayloadMessage]:
        """Offer half of what is asked for, or all of it for more money."""
        isps = [
            uftp.FlexOfferOptionISP(power=FLEXIBILITY, start=isp.start, duration=isp.duration)
            for isp in message.isps
            if isp.disposition == uftp.AvailableRequested.REQUESTED
        ]
        double = [
            uftp.FlexOfferOptionISP(power=2 * i.power, start=i.start, duration=i.duration) for i in isps
        ]
        options = [
            uftp.FlexOfferOption(option_reference="half", price=PRICE, isps=isps),
            uftp.FlexOfferOption(option_reference="all", price=PRICE * 3, isps=double),
        ]
        prognosis = self.journal.of_type(Direction.OUT, "D-Prognosis", DSO)[-1]
        offer = uftp.FlexOffer(
            **self._market(message.period),
            recipient_domain=DSO,
            conversation_id=message.conversation_id,
            expiration_date_time=message.expiration_date_time,
            flex_request_message_id=message.message_id,
            unsolicited=False,
            d_prognosis_message_id=prognosis.message_id,
            offer_options=options,
        )
        say("request received", isps=[(i.start, i.duration) for i in isps])
        return [make_response(message), offer]

    def process_flex_order(self, message: uftp.FlexOrder) -> None:
        """Tell the director."""
        say(
            "order received",
            order=message.order_reference,
            option=message.option_reference,
            price=message.price,
        )

    def do_metering(self, period: dt.date) -> None:
        """Send what the two meters measured: half of the power each."""
        power = dict.fromkeys(range(1, CALENDAR.count(period) + 1), BASELINE)
        power.update(enumerate(MEASURED, last_hour(period)))
        for meter in METERS:
            values = [uftp.MeteringISP(start=n, value=Decimal(watts) / 2000) for n, watts in power.items()]
            profile = uftp.MeteringProfile(
                profile_type=uftp.MeteringProfileEnum.POWER, unit=uftp.MeteringUnit.K_W, isps=values
            )
            self.send(
                uftp.Metering(
                    recipient_domain=DSO, revision=1, isp_duration=CALENDAR.isp_duration,
                    time_zone=CALENDAR.time_zone, period=period, ean=meter, profiles=[profile],
                )
            )  # fmt: skip

    def process_flex_settlement(self, message: uftp.FlexSettlement) -> None:
        """Tell the director; the default answer checks every item."""
        say("settlement received", items=len(message.flex_order_settlements))


class DemoDso(_Acting, ShapeshifterDsoService):
    """The grid operator of the demo: one congestion point, one order."""

    def do_portfolio(self, period: dt.date) -> None:
        """Register the congestion point."""
        connections = [
            uftp.DsoPortfolioUpdateConnection(entity_address=c, start_period=period) for c in CONNECTIONS
        ]
        point = uftp.DsoPortfolioUpdateCongestionPoint(
            entity_address=CONGESTION_POINT, start_period=period, mutex_offers_supported=True,
            day_ahead_redispatch_by=uftp.RedispatchBy.DSO, connections=connections,
        )  # fmt: skip
        self.send(uftp.DsoPortfolioUpdate(recipient_domain=CRO, congestion_points=[point]))

    def process_dso_portfolio_update_response(self, message: uftp.DsoPortfolioUpdateResponse) -> None:
        """Tell the director."""
        say("congestion point registered", result=message.result)

    def do_query(self, period: dt.date) -> None:
        """Ask who represents the connections."""
        self.send(
            uftp.DsoPortfolioQuery(recipient_domain=CRO, period=period, entity_address=CONGESTION_POINT)
        )

    def process_dso_portfolio_query_response(self, message: uftp.DsoPortfolioQueryResponse) -> None:
        """Tell the director."""
        connections = message.congestion_point.connections if message.congestion_point else []
        say("aggregators known", aggregators=sorted({c.agr_domain or "nobody" for c in connections}))

    def do_request(self, period: dt.date) -> None:
        """Ask for up to 4 000 W less in the last hour of the day."""
        first = last_hour(period)
        available, requested = uftp.AvailableRequested.AVAILABLE, uftp.AvailableRequested.REQUESTED
        room = uftp.FlexRequestISP(
            disposition=available, min_power=-9_000, max_power=9_000, start=1, duration=first - 1
        )
        wanted = uftp.FlexRequestISP(
            disposition=requested, min_power=2 * FLEXIBILITY, max_power=0, start=first, duration=4
        )
        self.send(
            uftp.FlexRequest(
                recipient_domain=AGR, isp_duration=CALENDAR.isp_duration, period=period,
                congestion_point=CONGESTION_POINT, revision=1, isps=[room, wanted],
                expiration_date_time=CALENDAR.start_of(period, 1).isoformat(),
            )
        )  # fmt: skip

    def process_flex_offer(self, message: uftp.FlexOffer) -> list[uftp.PayloadMessage]:
        """Order the cheapest option."""
        cheapest = min(message.offer_options, key=lambda option: option.price)
        say(
            "offer received",
            options={option.option_reference: option.price for option in message.offer_options},
        )
        return [make_response(message), make_order(message, "order-1", cheapest.option_reference)]

    def process_flex_order_response(self, message: uftp.FlexOrderResponse) -> None:
        """Tell the director."""
        say("order accepted", result=message.result, reason=message.rejection_reason)

    def process_metering(self, message: uftp.Metering) -> None:
        """Tell the director."""
        say("metering received", meter=message.ean, values=len(message.profiles[0].isps))

    def do_settle(self, period: dt.date) -> None:
        """Settle the order of the day."""
        order: Any = message_of(self.journal.of_type(Direction.OUT, "FlexOrder", AGR)[-1])
        prognosis: Any = message_of(self.journal.of_type(Direction.IN, "D-Prognosis", AGR)[-1])
        metering: list[Any] = [message_of(e) for e in self.journal.of_type(Direction.IN, "Metering", AGR)]
        terms = SettlementTerms(penalty_per_mw=PENALTY_PER_MW)
        item = settle_order(order, baseline_of(prognosis), measured_power(metering), terms)
        say("settled", price=item.price, penalty=item.penalty, net=item.net_settlement,
            isps=[(i.start, i.delivered_flex_power, i.power_deficiency) for i in item.isps])  # fmt: skip
        self.send(
            uftp.FlexSettlement(
                recipient_domain=AGR, period_start=period, period_end=period, currency=order.currency,
                flex_order_settlements=[item], contract_settlements=no_contracts(period),
            )
        )  # fmt: skip

    def process_flex_settlement_response(self, message: uftp.FlexSettlementResponse) -> None:
        """Tell the director."""
        status = message.flex_order_settlement_statuses[0]
        say(
            "settlement answered",
            result=message.result,
            disposition=status.disposition,
            why=status.dispute_reason,
        )


ACTORS: dict[str, tuple[str, type[Any]]] = {
    "agr": (AGR, DemoAgr),
    "dso": (DSO, DemoDso),
    "cro": (CRO, DemoCro),
}


def run_actor(name: str, folder: Path, period: dt.date) -> None:
    """Be one of the three: listen, say on which port, wait for the address book, and act."""
    domain, cls = ACTORS[name]
    keys = generate_key_pair()
    book = DirectoryAddressBook([])
    service: Any = cls(
        domain, keys.private_key, host="127.0.0.1", port=0, address_book=book, journal=folder / f"{name}.sqlite3",
        clock=lambda: time.time() + _Acting.offset,
    )  # fmt: skip
    service.run_in_thread()
    say("listening", domain=domain, role=name.upper(), public_key=keys.public_key,
        endpoint=f"http://127.0.0.1:{service.port}{service.path}")  # fmt: skip
    for entry in json.loads(sys.stdin.readline()):
        book.add(Participant(**{**entry, "role": UsefRole(entry["role"])}))
    try:
        service.act(period)
    finally:
        service.close()


class _Actor:
    """One of the three processes, seen by the director."""

    def __init__(self, name: str, folder: Path, period: dt.date) -> None:
        self.name = name
        command = [sys.executable, "-m", "shapeshifter_uftp.cli.demo", name, str(folder), period.isoformat()]
        self._process = subprocess.Popen(  # noqa: S603  our own program
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._events: Queue[dict[str, Any]] = Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            self._events.put(json.loads(line))

    def tell(self, line: str) -> None:
        """Give an order."""
        if self._process.stdin:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def hear(self, event: str) -> dict[str, Any]:
        """Wait for an event."""
        try:
            heard = self._events.get(timeout=_PATIENCE)
        except Empty:
            raise DemoFailed(f"{self.name} did not say {event!r} within {_PATIENCE:.0f} s") from None
        if heard.pop("event") != event:
            raise DemoFailed(f"{self.name} was to say {event!r}, but said {heard}")
        return heard

    def end(self) -> None:
        """Let it stop."""
        if self._process.poll() is None:
            try:
                self.tell("stop")
                self._process.wait(10)
            except (OSError, subprocess.TimeoutExpired):
                self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                stream.close()


def _scenes() -> Iterator[tuple[str, list[str], list[tuple[str, str]]]]:
    """Give the scenes: title, orders as "who what", and who will say what then."""
    yield "Contract: who is where", ["dso portfolio", "agr portfolio"], [
        ("dso", "congestion point registered"), ("agr", "connections registered")]  # fmt: skip
    yield "Plan: the aggregator asks", ["agr query"], [("agr", "portfolio known")]
    yield "Plan: the grid operator asks", ["dso query"], [("dso", "aggregators known")]
    yield "Validate: the baseline", ["agr prognosis"], [("agr", "prognosis accepted")]
    yield "Validate: request, offer, order", ["dso request"], [
        ("agr", "request received"), ("dso", "offer received"), ("agr", "order received"),
        ("dso", "order accepted")]  # fmt: skip


def _scenes_afterwards() -> Iterator[tuple[str, list[str], list[tuple[str, str]]]]:
    yield "Settle: metering", ["agr metering"], [("dso", "metering received"), ("dso", "metering received")]
    yield "Settle: what is to be paid", ["dso settle"], [
        ("dso", "settled"), ("agr", "settlement received"), ("dso", "settlement answered")]  # fmt: skip


def play(period: dt.date, tell: Callable[[str, str, dict[str, Any]], None]) -> dict[str, dict[str, Any]]:
    """Play one trading day.

    Args:
        period: The day; any, as the actors' clocks are set to it.
        tell: Told of everything: scene, event, details.

    Returns:
        The details of every event, by its name.

    Raises:
        DemoFailed: Somebody did not do his part.
    """
    heard: dict[str, dict[str, Any]] = {}
    day_before = CALENDAR.start_of(period, 1) - dt.timedelta(hours=12)
    day_after = CALENDAR.end_of(period, CALENDAR.count(period)) + dt.timedelta(hours=6)
    with tempfile.TemporaryDirectory(prefix="uftp-demo-") as folder:
        actors = {name: _Actor(name, Path(folder), period) for name in ACTORS}
        try:
            book = json.dumps([actor.hear("listening") for actor in actors.values()])
            for actor in actors.values():
                actor.tell(book)
            for moment, scenes in ((day_before, _scenes()), (day_after, _scenes_afterwards())):
                for actor in actors.values():
                    actor.tell(f"clock {moment.timestamp()}")
                for actor in actors.values():
                    actor.hear(
                        "clock set"
                    )  # before anybody acts: a message from the future would be rejected
                for title, orders, events in scenes:
                    for who, what in (order.split() for order in orders):
                        actors[who].tell(what)
                    for who, event in events:
                        heard[event] = actors[who].hear(event)
                        tell(title, f"{who.upper()}: {event}", heard[event])
        finally:
            for actor in actors.values():
                actor.end()
    return heard


if __name__ == "__main__":
    run_actor(sys.argv[1], Path(sys.argv[2]), dt.date.fromisoformat(sys.argv[3]))
