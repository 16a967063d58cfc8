"""Every semantic rule: a message that keeps it, and one that breaks it with the standard reason."""

import copy
import dataclasses
import datetime as dt
from decimal import Decimal

import pytest

from shapeshifter_uftp import uftp
from shapeshifter_uftp.exceptions import Rejection
from shapeshifter_uftp.outbox import topic_of
from shapeshifter_uftp.references import main_reference, make_response
from shapeshifter_uftp.rules import RULES, Market, Rule, RuleContext, RuleSet, TradeBook
from shapeshifter_uftp.sealing import envelope_to_xml, seal_xml
from shapeshifter_uftp.store import Direction, Entry, Journal, State, open_database
from shapeshifter_uftp.trading import make_order
from shapeshifter_uftp.uftp import AcceptedDisputed, AvailableRequested, MeteringProfileEnum, UsefRole
from shapeshifter_uftp.writing import message_to_xml

NOW = dt.datetime(2030, 6, 11, 10, 0, tzinfo=dt.UTC)
TODAY = dt.date(2030, 6, 11)
DAY = dt.date(2030, 6, 12)
POINT = "ean.871685900012636543"
EXPIRY = "2030-06-11T20:00:00+02:00"
AGR, DSO = "agr.example.com", "dso.example.com"
IN, OUT = Direction.IN, Direction.OUT
ID = "00000000-0000-4000-8000-0000000000{:02d}"
MARKET = {"isp_duration": "PT15M", "period": DAY, "congestion_point": POINT}
QUARTER = {"start": 33, "duration": 4}


def numbered(number, sender, recipient):
    """Give the metadata of a message with a numbered id."""
    return {
        "sender_domain": sender, "recipient_domain": recipient, "message_id": ID.format(number),
        "conversation_id": ID.format(50), "time_stamp": "2030-06-11T10:00:00Z",
    }  # fmt: skip


def request(**changes):
    """Give a request for less power in the morning."""
    isps = [
        uftp.FlexRequestISP(disposition=AvailableRequested.REQUESTED, min_power=-3000, max_power=0, **QUARTER)
    ]
    values = {**numbered(1, DSO, AGR), **MARKET, "revision": 1, "expiration_date_time": EXPIRY, "isps": isps}
    return uftp.FlexRequest(**{**values, **changes})


def offer(**changes):
    """Give an offer for the request."""
    isps = [uftp.FlexOfferOptionISP(power=-1000, **QUARTER)]
    values = {
        **numbered(2, AGR, DSO), **MARKET, "expiration_date_time": EXPIRY, "flex_request_message_id": ID.format(1),
        "offer_options": [uftp.FlexOfferOption(option_reference="a", price="12.50", isps=isps)],
    }  # fmt: skip
    return uftp.FlexOffer(**{**values, **changes})


def order(**changes):
    """Give the order of the offer."""
    made = make_order(offer(), "order-1")
    return dataclasses.replace(made, **{**numbered(3, DSO, AGR), **changes})


def revocation(**changes):
    """Give the revocation of the offer."""
    return uftp.FlexOfferRevocation(
        **{**numbered(4, AGR, DSO), "flex_offer_message_id": ID.format(2), **changes}
    )


def prognosis(**changes):
    """Give a prognosis of the day."""
    isps = [uftp.DPrognosisISP(power=5000, start=1, duration=96)]
    return uftp.DPrognosis(**{**numbered(5, AGR, DSO), **MARKET, "revision": 7, "isps": isps, **changes})


def reservation(**changes):
    """Give a reservation update."""
    isps = [uftp.FlexReservationUpdateISP(power=-1000, **QUARTER)]
    values = {**numbered(6, DSO, AGR), **MARKET, "contract_id": "c", "reference": "r", "isps": isps}
    return uftp.FlexReservationUpdate(**{**values, **changes})


def metering(kinds=("Power",), units=("kW",), isps=range(1, 97), **changes):
    """Give the metering of a past day."""
    profiles = [
        uftp.MeteringProfile(profile_type=k, unit=u, isps=[uftp.MeteringISP(start=n, value=1) for n in isps])
        for k, u in zip(kinds, units, strict=True)
    ]
    values = {
        **numbered(7, AGR, DSO), "isp_duration": "PT15M", "time_zone": "Europe/Amsterdam",
        "period": dt.date(2030, 6, 10), "revision": 3, "ean": "E871685900000000011", "profiles": profiles,
    }  # fmt: skip
    return uftp.Metering(**{**values, **changes})


def settlement(reference="order-1", period=dt.date(2030, 6, 10), start=33, **changes):
    """Give the settlement of past days."""
    isp = uftp.FlexOrderSettlementISP(
        start=start, baseline_power=0, ordered_flex_power=0, actual_power=0, delivered_flex_power=0
    )
    item = uftp.FlexOrderSettlement(
        order_reference=reference,
        period=period,
        congestion_point=POINT,
        price=0,
        net_settlement=0,
        isps=[isp],
    )
    values = {
        **numbered(8, DSO, AGR), "period_start": dt.date(2030, 6, 1), "period_end": dt.date(2030, 6, 10),
        "currency": "EUR", "flex_order_settlements": [item],
    }  # fmt: skip
    return uftp.FlexSettlement(**{**values, **changes})


class World:
    """What happened before, and the judgement of one message."""

    def __init__(self, role, **market):
        self.role = role
        self.us, self.them, self.their_role = (
            (AGR, DSO, UsefRole.DSO) if role == UsefRole.AGR else (DSO, AGR, UsefRole.AGR)
        )
        self.journal = Journal(open_database("memory"), f"{self.us} {role}")
        self.market = Market(**market)
        self.envelope = {}
        self.now = NOW

    def before(self, direction, message, outcome="Accepted", state=State.DONE):
        """Let a message have been exchanged before."""
        sealed = uftp.SignedMessage(
            sender_domain=message.sender_domain, sender_role=self.their_role,
            body=seal_xml(message_to_xml(message, allow_empty=True), "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk="),
        )  # fmt: skip
        entry = Entry(
            owner=self.journal.owner, direction=direction, partner_domain=self.them, partner_role=self.their_role,
            message_type=type(message).wire_name, message_id=message.message_id,
            conversation_id=message.conversation_id, reference_id=main_reference(message), topic=topic_of(message),
            revision=getattr(message, "revision", None), envelope=envelope_to_xml(sealed), at=1.0, state=state,
            outcome=outcome,
        )  # fmt: skip
        self.journal.add_received(entry)
        return self

    def judge(self, message, rules=None):
        """Give the reasons for which a message is rejected."""
        context = RuleContext(
            **{"our_domain": self.us, "our_role": self.role, "envelope_domain": self.them,
               "sender_role": self.their_role, **self.envelope},
            now=self.now, market=self.market, book=TradeBook(self.journal, self.them),
        )  # fmt: skip
        return [rejection.reason for rejection in (rules or RuleSet()).broken(message, context)]


def agr(**market):
    """We are the aggregator."""
    return World(UsefRole.AGR, **market)


def dso(**market):
    """We are the grid operator."""
    return World(UsefRole.DSO, **market)


def asked(**market):
    """We are the grid operator and have sent the request."""
    return dso(**market).before(OUT, request())


def offered(outcome="Accepted"):
    """We are the aggregator and have sent the offer."""
    return agr().before(OUT, offer(), outcome)


REQUESTED = AvailableRequested.REQUESTED
BOTH_WAYS = [uftp.FlexRequestISP(disposition=REQUESTED, min_power=-1, max_power=1, start=1)]
UPSIDE_DOWN = [uftp.FlexRequestISP(disposition=REQUESTED, min_power=5, max_power=1, start=1)]
ONLY_ROOM = [
    uftp.FlexRequestISP(disposition=AvailableRequested.AVAILABLE, min_power=0, max_power=1, start=33)
]
OPTION = uftp.FlexOfferOption(
    option_reference="a", price=1, isps=[uftp.FlexOfferOptionISP(power=-1, start=33)]
)
TOO_MUCH = uftp.FlexOfferOption(
    option_reference="a", price=1, isps=[uftp.FlexOfferOptionISP(power=-3001, start=35)]
)
ELSEWHEN = uftp.FlexOfferOption(
    option_reference="a", price=1, isps=[uftp.FlexOfferOptionISP(power=-1, start=1)]
)
DISPUTE = uftp.FlexOrderSettlementStatus(order_reference="order-1", disposition=AcceptedDisputed.DISPUTED)
STRANGE = uftp.FlexOrderSettlementStatus(order_reference="order-9", disposition=AcceptedDisputed.ACCEPTED)
DAYS = [uftp.DPrognosisISP(power=1, start=1, duration=n) for n in (95, 96, 97)]

KEPT = {
    "request": (agr, request()),
    "unsolicited offer": (dso, offer(flex_request_message_id=None, unsolicited=True)),
    "offer": (asked, offer()),
    "offer in the band": (lambda: asked(offers_within_band=True), offer()),
    "order": (offered, order()),
    "direct order": (agr, order(flex_offer_message_id=None, unsolicited=True)),
    "revocation": (lambda: dso().before(IN, offer()), revocation()),
    "prognosis": (dso, prognosis()),
    "reservation": (agr, reservation()),
    "metering": (dso, metering()),
    "metering as agreed": (lambda: dso(metering_profiles=frozenset({MeteringProfileEnum.POWER})), metering()),
    "settlement": (agr, settlement()),
    "response": (asked, make_response(request())),
    "test": (agr, uftp.TestMessage(**numbered(1, DSO, AGR))),
    "same offset": (agr, request(time_zone="Europe/Brussels")),
    "value of duration": (agr, request(isp_duration="PT900S")),
    "two options": (asked, offer(offer_options=[OPTION, dataclasses.replace(OPTION, option_reference="b")])),
    "request for today": (agr, request(
        period=TODAY, expiration_date_time="2030-06-11T13:00:00+02:00",
        isps=[uftp.FlexRequestISP(disposition=REQUESTED, min_power=-1, max_power=0, start=60)],
    )),
    "metering of today": (dso, metering(period=TODAY)),
    # Noon in Amsterdam begins ISP 49; what is over need not be foreseen.
    "prognosis of today": (dso, prognosis(period=TODAY, isps=[uftp.DPrognosisISP(power=1, start=49, duration=48)])),
    "expiry when the last ISP ends": (agr, request(expiration_date_time="2030-06-12T09:00:00+02:00")),
    "power at the bound": (lambda: dso(highest_power=5000), prognosis()),
    "reservation beside another contract": (lambda: agr().before(IN, reservation(
        message_id=ID.format(9), contract_id="other", isps=[uftp.FlexReservationUpdateISP(power=-999, **QUARTER)]
    )), reservation()),
    "revision after one that could not be handled": (
        lambda: dso().before(IN, prognosis(message_id=ID.format(9)), None, State.FAILED), prognosis()
    ),
    "the day of the long night": (
        dso, prognosis(period=dt.date(2030, 10, 27), isps=[uftp.DPrognosisISP(power=1, start=1, duration=100)])
    ),
}  # fmt: skip

BROKEN = [
    ("sender_matches_envelope", agr, request(sender_domain="other.example.com"), "Invalid Sender"),
    ("role_may_send", agr, offer(sender_domain=DSO, recipient_domain=AGR), "Invalid Sender"),
    ("sender_not_barred", lambda: agr(barred_senders=frozenset({DSO})), request(), "Barred Sender"),
    ("recipient_is_us", agr, request(recipient_domain="other.example.com"), "Unknown Recipient"),
    ("version_supported", agr, request(version="3.2.0"), "Invalid Message: version 3.2.0"),
    ("isp_duration_agreed", agr, request(isp_duration="PT30M"), "ISP duration rejected"),
    ("time_zone_agreed", agr, request(time_zone="Europe/London"), "Time zone rejected"),
    ("congestion_point_known", lambda: agr(congestion_points=frozenset({"ean.123456789012"})), request(),
     "Invalid congestion point"),
    ("isps_within_day", dso, prognosis(isps=DAYS[2:]), "ISPs out of bounds"),
    ("isps_within_day", dso, prognosis(period=dt.date(2030, 3, 31) + dt.timedelta(364), isps=DAYS[1:2]),
     "ISPs out of bounds"),
    ("isps_not_overlapping", dso, prognosis(isps=[DAYS[1], uftp.DPrognosisISP(power=1, start=96)]), "ISP conflict"),
    ("period_plausible", agr, request(period=dt.date(2030, 6, 10)), "Period out of bounds"),
    ("period_plausible", agr, request(period="99999-01-01"), "Period out of bounds"),
    ("period_plausible", agr, request(period=dt.date(9999, 12, 31)), "Period out of bounds"),
    ("numbers_plausible", dso, prognosis(isps=[uftp.DPrognosisISP(power=10**4000, start=1)]), "Power value rejection"),
    ("numbers_plausible", asked, offer(offer_options=[dataclasses.replace(OPTION, price=Decimal(10) ** 4000)]),
     "Invalid Message"),
    ("period_plausible", dso, metering(period=DAY), "Period out of bounds"),
    ("expiry_in_bounds", agr, request(expiration_date_time="2030-06-11T11:00:00+02:00"),
     "ExpirationDateTime out of bounds"),
    ("expiry_in_bounds", agr, request(expiration_date_time="2030-06-12T09:00:01+02:00"),
     "ExpirationDateTime out of bounds"),
    ("expiry_in_bounds", agr, request(expiration_date_time="2030-06-11T12:00:00+02:00"),
     "ExpirationDateTime out of bounds"),
    ("reference_still_valid", lambda: agr().before(OUT, offer(expiration_date_time="2030-06-11T10:00:00Z")), order(),
     "Reference message expired"),
    ("prognosis_covers_day", dso, prognosis(period=TODAY, isps=[uftp.DPrognosisISP(power=1, start=50, duration=47)]),
     "Lacking ISPs"),
    ("reference_known", dso, offer(), "Unknown reference FlexRequestMessageID"),
    ("reference_known", asked, offer(conversation_id=ID.format(51)), "Unknown reference FlexRequestMessageID"),
    ("reference_known", lambda: offered("Rejected"), order(), "Unknown reference FlexOfferMessageID"),
    ("reference_known", dso, revocation(), "Unknown reference FlexOfferMessageID"),
    ("reference_known", dso, make_response(request()), "Unknown reference FlexRequestMessageID"),
    ("prognosis_known", asked, offer(d_prognosis_message_id=ID.format(9)), "Unknown reference D-PrognosisMessageID"),
    ("reference_period_equal", asked, offer(period=dt.date(2030, 6, 13)), "Reference Period mismatch"),
    ("reference_still_valid", lambda: agr().before(OUT, offer(expiration_date_time="2030-06-11T09:00:00Z")), order(),
     "Reference message expired"),
    ("reference_still_valid", lambda: offered().before(OUT, revocation(), None), order(), "Reference message revoked"),
    ("settlement_items_in_known_places", lambda: agr(congestion_points=frozenset()), settlement(),
     "Invalid congestion point"),
    ("prognosis_covers_day", dso, prognosis(isps=DAYS[:1]), "Lacking ISPs"),
    ("revision_increases", lambda: dso().before(IN, prognosis(message_id=ID.format(9))), prognosis(),
     "Subordinate sequence number"),
    ("power_plausible", lambda: dso(highest_power=4999), prognosis(), "Power value rejection"),
    ("something_requested", agr, request(isps=ONLY_ROOM), "Lacking Requested Disposition"),
    ("requested_power_has_direction", agr, request(isps=BOTH_WAYS), "Requested Power discrepancy"),
    ("power_band_in_order", agr, request(isps=UPSIDE_DOWN), "Power discrepancy"),
    ("one_baseline", lambda: asked(baseline_required=True), offer(), "No baseline"),
    ("one_baseline", lambda: asked().before(IN, prognosis()),
     offer(d_prognosis_message_id=ID.format(5), baseline_reference="b"), "Invalid Message"),
    ("offer_matches_request", asked, offer(offer_options=[ELSEWHEN]), "Request mismatch"),
    ("options_supported", lambda: asked(mutex_offers_supported=lambda point: False),
     offer(offer_options=[OPTION, dataclasses.replace(OPTION, option_reference="b")]), "No MutEx offer support"),
    ("option_references_unique", asked, offer(offer_options=[OPTION, OPTION]), "Invalid Message"),
    ("offer_solicitation_consistent", asked, offer(unsolicited=True), "Invalid Message"),
    ("offer_solicitation_consistent", dso, offer(unsolicited=False, flex_request_message_id=None), "Invalid Message"),
    ("currency_known", lambda: asked(currencies=frozenset({"GBP"})), offer(), "Invalid Message: currency EUR"),
    ("revoked_offer_not_ordered", lambda: dso().before(IN, offer()).before(OUT, order()), revocation(),
     "Flexibility procured"),
    ("offer_revoked_once", lambda: dso().before(IN, offer()).before(IN, revocation(message_id=ID.format(9))),
     revocation(), "Unknown reference FlexOfferMessageID"),
    ("order_names_offer", agr, order(flex_offer_message_id=None), "Invalid Message"),
    ("order_names_offer", offered, order(unsolicited=True), "Invalid Message"),
    ("order_equals_offer", offered, order(price=13), "Price mismatch"),
    ("order_equals_offer", offered, order(isps=[uftp.FlexOrderISP(power=-1, **QUARTER)]), "Power mismatch"),
    ("order_equals_offer", offered, order(isps=[uftp.FlexOrderISP(power=-1000, start=1)]), "ISP mismatch"),
    ("offer_ordered_once", lambda: offered().before(IN, order(message_id=ID.format(9))), order(),
     "Invalid Message: the offer is already ordered"),
    ("reservation_in_time", lambda: agr(reservation_deadline=dt.timedelta(hours=24)), reservation(),
     "Deadline expired"),
    ("reservation_only_shrinks", lambda: agr().before(
        IN, reservation(message_id=ID.format(9), isps=[uftp.FlexReservationUpdateISP(power=-999, **QUARTER)])),
     reservation(), "Power value rejection"),
    ("offer_within_band", lambda: asked(offers_within_band=True), offer(offer_options=[TOO_MUCH]),
     "Power value rejection"),
    ("metering_has_agreed_profiles", lambda: dso(metering_profiles=frozenset({MeteringProfileEnum.IMPORT_ENERGY})),
     metering(), "Invalid Message"),
    ("metering_units_fit", dso, metering(units=("kWh",)), "Invalid Message"),
    ("metering_profiles_unique", dso, metering(("Power", "Power"), ("kW", "kW")), "Invalid Message"),
    ("metering_covers_day", dso, metering(isps=range(1, 96)), "ISPs out of bounds"),
    ("settlement_start_plausible", agr, settlement(period_start=dt.date(2020, 1, 1)), "PeriodStart rejected"),
    ("settlement_end_plausible", agr, settlement(period_end=DAY), "PeriodEnd rejected"),
    ("settlement_isps_in_order", agr, settlement(start=97), "ISPs out of bounds"),
    ("settlement_items_within", agr, settlement(period=dt.date(2030, 5, 31)), "Period out of bounds"),
    ("settlement_complete", lambda: agr().before(IN, order(period=dt.date(2030, 6, 9), order_reference="order-2")),
     settlement(), "Missing Settlement Items: order-2"),
    ("settlement_not_repeated", lambda: agr().before(IN, settlement(message_id=ID.format(9))), settlement(),
     "Invalid Message: this period is settled already"),
    ("statuses_name_items", lambda: dso().before(OUT, settlement()),
     make_response(settlement(), flex_order_settlement_statuses=[DISPUTE]), "Invalid Message"),
    ("statuses_name_items", lambda: dso().before(OUT, settlement()),
     make_response(settlement(), flex_order_settlement_statuses=[STRANGE]), "Unknown reference OrderReference"),
]  # fmt: skip


@pytest.mark.parametrize("name", KEPT)
def test_messages_in_order_break_no_rule(name):
    """A message of each kind that is as it should be breaks no rule."""
    world, message = KEPT[name]
    assert world().judge(message) == []


@pytest.mark.parametrize(("name", "world", "message", "reason"), BROKEN)
def test_a_broken_rule_gives_its_reason(name, world, message, reason):
    """The rule gives the standard reason first, and nothing of the kind is said when the rule is switched off."""
    assert any(given.startswith(reason) for given in world().judge(message))
    only = RuleSet(without=set(RULES) - {name})
    assert [given.startswith(reason) for given in world().judge(message, only)] == [True]
    assert RuleSet(without={name}).rules == [r for r in RuleSet().rules if r.name != name]


def test_revocation_after_the_first_isp_has_begun_is_refused():
    """An offer of which an ISP has begun cannot be revoked any more."""
    world = dso().before(IN, offer())
    world.now = dt.datetime(2030, 6, 12, 6, 0, tzinfo=dt.UTC)  # 08:00 in Amsterdam, when ISP 33 begins
    assert any("has begun" in reason for reason in world.judge(revocation()))
    world.now -= dt.timedelta(seconds=1)
    assert world.judge(revocation()) == []


def test_a_revocation_wins_over_an_order_that_is_on_its_way():
    """When an order is not answered yet and the revocation comes, the revocation stands."""
    world = dso().before(IN, offer()).before(OUT, order(), None)
    assert world.judge(revocation()) == []


def test_every_rule_has_a_case_that_breaks_it():
    """No rule is without a test, and every rule says what it demands."""
    tested = {name for name, *_ in BROKEN} | {"revoked_offer_not_operating"}
    assert tested == set(RULES)
    assert all(rule.check.__doc__ for rule in RULES.values())


def test_decisive_rules_end_the_check():
    """A message to somebody else is judged no further."""
    assert len(agr().judge(request(recipient_domain="other.example.com", isps=UPSIDE_DOWN))) == 1


def test_all_reasons_are_given_at_once():
    """Several broken rules give several reasons."""
    reasons = agr().judge(request(isps=UPSIDE_DOWN, isp_duration="PT30M"))
    assert any(reason.startswith("ISP duration") for reason in reasons)
    assert any(reason.startswith("Power discrepancy") for reason in reasons)


def test_rules_of_your_own_can_be_added():
    """An application adds a rule as a function."""

    def no_small_print(message, context):
        raise Rejection("Too early")

    rules = RuleSet(extra=[Rule("no_small_print", no_small_print, (uftp.FlexRequest,))])
    assert agr().judge(request(), rules) == ["Too early"]
    assert agr().judge(reservation(), rules) == []


def test_a_rule_that_does_not_exist_cannot_be_switched_off():
    """A misspelt name is an error: the rule would silently stay on."""
    with pytest.raises(KeyError, match="isp_duration_agred"):
        RuleSet(without={"isp_duration_agred"})


ODD = {
    "period": ["12345-01-01", "-0001-01-01"], "isp_duration": ["P1M", dt.timedelta()], "start": [10**17, 0, -5],
    "duration": [10**17, 0], "period_start": ["12345-01-01"], "period_end": ["12345-01-01"],
    "expiration_date_time": ["9999-12-31T24:00:00Z", "2030-06-11T10:00:00.123456789123Z", "-0001-01-01T00:00:00Z"],
    "time_zone": ["Europe/Atlantis", "America/Argentina/Nowhere", "Pacific/../../etc"], "power": [10**17],
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("kind", KEPT)
def test_no_rule_stumbles_over_odd_values(name, kind):
    """Values that the schema allows and nobody means give reasons, not crashes, and cost no time."""
    world, message = KEPT[kind]
    for value in ODD[name]:
        changed = copy.deepcopy(message)
        for part in (
            changed,
            *getattr(changed, "isps", [])[:1],
            *getattr(changed, "flex_order_settlements", [])[:1],
        ):
            if hasattr(part, name):
                setattr(part, name, value)
        for item in (*getattr(changed, "flex_order_settlements", []), *getattr(changed, "offer_options", [])):
            if hasattr(item.isps[0], name):
                setattr(item.isps[0], name, value)
        assert isinstance(world().judge(changed), list)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"period": "99999-01-01"}, "Period out of bounds: 99999-01-01 is not a day of the calendar"),
        ({"period": dt.date(9999, 12, 31)}, "Period out of bounds: 9999-12-31 is not a day of the calendar"),
        ({"isp_duration": "P1M"}, "ISP duration rejected: P1M, agreed is 0:15:00"),
        ({"isp_duration": dt.timedelta(0)}, "ISP duration rejected: 0:00:00, agreed is 0:15:00"),
        ({"time_zone": "Europe/Nowhere"}, "Time zone rejected: Europe/Nowhere, agreed is Europe/Amsterdam"),
    ],
)
@pytest.mark.parametrize("message", [request(), prognosis(), metering()], ids=lambda m: m.wire_name)
def test_a_day_that_cannot_be_counted_is_refused_for_its_reason(message, change, reason):
    """Where a day has no ISPs to count, the rejection names the period, duration or zone that is wrong."""
    changed = copy.copy(message)
    for name, value in change.items():
        setattr(changed, name, value)
    reasons = (agr if isinstance(message, uftp.FlexRequest) else dso)().judge(changed)
    assert reason in reasons
    assert "None" not in "".join(reasons)
    assert not any("ISPs" in each for each in reasons)


@pytest.mark.parametrize(
    "without", [set(), {"isps_within_day"}, {"isps_within_day", "settlement_isps_in_order"}]
)
@pytest.mark.parametrize("kind", KEPT)
def test_no_rule_stumbles_over_empty_lists(kind, without):
    """A list without ISPs is not a crash, not even where the rule that refuses it is switched off."""
    world, message = KEPT[kind]
    changed = copy.deepcopy(message)
    for name in ("offer_options", "profiles", "flex_order_settlements"):
        for part in getattr(changed, name, []):
            part.isps = []
    if hasattr(changed, "isps"):
        changed.isps = []
    assert isinstance(world().judge(changed, RuleSet(without=without)), list)
