"""One trading day in three processes, the reference operator, the command line, DNS."""

import base64
import datetime as dt
import json
import socketserver
import threading
from decimal import Decimal

import dns.flags
import dns.message
import dns.resolver
import dns.rrset
import pytest
from click.testing import CliRunner

from shapeshifter_uftp import uftp
from shapeshifter_uftp.cli import main
from shapeshifter_uftp.cli.demo import play
from shapeshifter_uftp.cro import ReferenceCro, Registry
from shapeshifter_uftp.discovery import DnsAddressBook
from shapeshifter_uftp.exceptions import ConnectionConflictException, Rejection, ServiceDiscoveryException
from shapeshifter_uftp.sealing import generate_key_pair
from shapeshifter_uftp.uftp import UsefRole

POINT, HOUSE, SHED = "ean.871685900012636543", "ean.871685900000000011", "ean.871685900000000028"
DAY = dt.date(2030, 6, 12)


@pytest.mark.parametrize(
    ("day", "count"),
    [("2030-06-12", 96), ("2030-10-27", 100), ("2030-03-31", 92)],
    ids=["normal", "autumn", "spring"],
)
def test_a_trading_day_across_three_processes(day, count):
    """From portfolio to settlement, with the figures computed by hand, on days with 96, 100 and 92 ISPs."""
    heard = play(dt.date.fromisoformat(day), lambda scene, event, details: None)
    last = count - 3
    assert heard["portfolio known"]["connections"] == 2
    assert heard["aggregators known"]["aggregators"] == ["agr.example.com"]
    assert heard["request received"]["isps"] == [[last, 4]]
    assert heard["order accepted"]["result"] == "Accepted"
    assert heard["metering received"]["values"] == count
    settled = heard["settled"]
    # 28.00 x (2000 + 1500 + 2000 + 0) / 8000 = 19.25; (500 + 2000) W at 2000 EUR/MW = 5.00; 19.25 - 5.00 = 14.25
    assert [Decimal(settled[name]) for name in ("price", "penalty", "net")] == [
        Decimal("19.25"), Decimal("5.00"), Decimal("14.25"),
    ]  # fmt: skip
    assert settled["isps"] == [
        [last, -2000, 0],
        [last + 1, -1500, 500],
        [last + 2, -2000, 0],
        [last + 3, 0, 2000],
    ]
    assert (heard["settlement answered"]["result"], heard["settlement answered"]["disposition"]) == (
        "Accepted",
        "Accepted",
    )


# --- the reference operator --------------------------------------------------------------------------------------


def dso_update(
    connections=(HOUSE,), point=POINT, made="2030-06-01T00:00:00Z", sender="dso.example.com", **changes
):
    """Give an update of one congestion point."""
    start = changes.pop("start_period", "2030-01-01")
    listed = [
        uftp.DsoPortfolioUpdateConnection(entity_address=c, start_period="2030-01-01") for c in connections
    ]
    values = {
        "entity_address": point, "start_period": start, "mutex_offers_supported": True,
        "day_ahead_redispatch_by": "DSO", "connections": listed, **changes,
    }  # fmt: skip
    return uftp.DsoPortfolioUpdate(
        sender_domain=sender,
        time_stamp=made,
        congestion_points=[uftp.DsoPortfolioUpdateCongestionPoint(**values)],
    )


def agr_update(connections=(HOUSE, SHED), made="2030-06-01T00:00:00Z", sender="agr.example.com", end=None):
    """Give an update of some connections."""
    listed = [
        uftp.AgrPortfolioUpdateConnection(entity_address=c, start_period="2030-01-01", end_period=end)
        for c in connections
    ]
    return uftp.AgrPortfolioUpdate(sender_domain=sender, time_stamp=made, connections=listed)


def agr_query(day=DAY, sender="agr.example.com"):
    """Ask as an aggregator."""
    return uftp.AgrPortfolioQuery(sender_domain=sender, period=day)


def dso_query(day=DAY, sender="dso.example.com"):
    """Ask as a grid operator."""
    return uftp.DsoPortfolioQuery(sender_domain=sender, period=day, entity_address=POINT)


def test_the_registry_tells_each_side_its_part():
    """An aggregator sees its connections by congestion point and the rest; the operator sees who represents whom."""
    registry = Registry()
    registry.update_congestion_points(dso_update())
    registry.update_connections(agr_update())
    (view,) = registry.view_of_aggregator(agr_query())
    assert view.dso_portfolios[0].dso_domain == "dso.example.com"
    assert [c.entity_address for c in view.dso_portfolios[0].congestion_points[0].connections] == [HOUSE]
    assert [c.entity_address for c in view.connections] == [SHED]
    point = registry.view_of_congestion_point(dso_query())
    assert [(c.entity_address, c.agr_domain) for c in point.connections] == [(HOUSE, "agr.example.com")]


def test_the_registry_shows_nobody_the_part_of_others():
    """Another aggregator sees nothing, another operator neither, and before the first day nobody."""
    registry = Registry()
    registry.update_congestion_points(dso_update())
    registry.update_connections(agr_update())
    for view, query in [
        (registry.view_of_aggregator, agr_query(sender="other.example.com")),
        (registry.view_of_aggregator, agr_query(day=dt.date(2029, 12, 31))),
        (registry.view_of_congestion_point, dso_query(sender="other.example.com")),
        (registry.view_of_congestion_point, dso_query(day=dt.date(2029, 12, 31))),
    ]:
        with pytest.raises(Rejection, match="No connections available"):
            view(query)


def test_the_registry_refuses_conflicts_old_updates_and_strangers():
    """A connection has one congestion point; updates do not go back in time; in closed mode only members register."""
    registry = Registry()
    registry.update_congestion_points(dso_update())
    with pytest.raises(ConnectionConflictException) as conflict:
        registry.update_congestion_points(dso_update(point="ean.123456789012", made="2030-06-02T00:00:00Z"))
    assert conflict.value.reason == f"Connection conflict: {HOUSE} at {POINT}"
    with pytest.raises(Rejection, match="Subordinate sequence number"):
        registry.update_congestion_points(dso_update(made="2030-05-31T00:00:00Z"))
    with pytest.raises(Rejection, match="Period out of bounds"):
        registry.update_congestion_points(dso_update(start_period="2030-02-01", made="2030-06-02T00:00:00Z"))
    with pytest.raises(Rejection, match="Period out of bounds"):
        registry.update_connections(agr_update(end="2029-01-01"))
    closed = Registry(frozenset({"dso.example.com"}))
    closed.update_congestion_points(dso_update())
    with pytest.raises(Rejection, match="Unauthorized"):
        closed.update_connections(agr_update())


def test_the_registry_survives_a_restart(market, agr):
    """What was registered is known after the operator has been started again: it is read from the journal."""
    cro = market.start(ReferenceCro, "cro.example.com")
    agr.send(
        uftp.AgrPortfolioUpdate(recipient_domain="cro.example.com", connections=agr_update().connections)
    )
    agr.wait_for(uftp.AgrPortfolioUpdateResponse)
    cro.close()
    again = market.start(ReferenceCro, "cro.example.com")
    again.registry.update_congestion_points(dso_update())
    assert again.registry.view_of_aggregator(agr_query())
    agr.send(uftp.AgrPortfolioQuery(recipient_domain="cro.example.com", period="2029-01-01"))
    response = agr.wait_for(uftp.AgrPortfolioQueryResponse)[0]
    assert response.rejection_reason.startswith("No connections available")


# --- the command line --------------------------------------------------------------------------------------------


def run(*arguments, code=0, **options):
    """Run a command and give what it printed."""
    outcome = CliRunner().invoke(main, list(arguments), catch_exceptions=False, **options)
    assert outcome.exit_code == code, outcome.output
    return outcome.output


def test_files_are_sealed_and_unsealed_by_command(tmp_path):
    """A file that is sealed can be unsealed with the public key, and not with another."""
    seed = base64.b64encode(b"\x01" * 32).decode()
    printed = dict(line.split(":", 1) for line in run("keypair", "--seed", seed).strip().splitlines())
    private, public = printed["Private key (base64)"].strip(), printed["Public key (base64)"].strip()
    assert public == "iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w="
    key = tmp_path / "key"
    key.write_text(private)
    message = tmp_path / "message.xml"
    message.write_text("<TestMessage/>")
    sealed = tmp_path / "sealed.xml"
    sealed.write_text(
        run("seal", str(message), "--domain", "a.example.com", "--role", "agr", "--key", f"@{key}")
    )
    assert run("unseal", str(sealed), "--key", public).strip() == "<TestMessage/>"
    assert "another key" in run("unseal", str(sealed), "--key", generate_key_pair().public_key, code=1)
    assert run("validate", str(sealed)).strip() == f"{sealed}: valid SignedMessage"
    assert "required" in run("validate", str(message), code=1)


def test_a_test_message_is_sent_by_command(market, agr, tmp_path):
    """The command sends a test message and says that it was stored; an unknown partner is an error in one line."""
    market.know("dso.example.com", "DSO")
    book = tmp_path / "book.json"
    endpoint = f"http://127.0.0.1:{agr.port}{agr.path}"
    book.write_text(json.dumps([{"domain": "agr.example.com", "role": "AGR", "endpoint": endpoint}]))
    key = market.key("dso.example.com").private_key
    arguments = [
        "send-test",
        "--from",
        "DSO",
        "dso.example.com",
        "--key",
        key,
        "--address-book",
        str(book),
        "--to",
        "AGR",
    ]
    assert "Stored by agr.example.com" in run(*arguments, "agr.example.com")
    assert agr.wait_for(uftp.TestMessage)
    assert "Error: The address book has no" in run(*arguments, "other.example.com", code=1)
    assert endpoint in run("lookup", "-d", "agr.example.com", "-r", "AGR", "--address-book", str(book))


# --- DNS ---------------------------------------------------------------------------------------------------------


class Zone(socketserver.ThreadingUDPServer):
    """A name server on loopback."""

    daemon_threads = True

    def __init__(self, records, authentic=True):
        self.records, self.authentic, self.asked = records, authentic, []
        super().__init__(("127.0.0.1", 0), _Query)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def resolver(self):
        """Give a resolver that asks this server only."""
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port, resolver.lifetime = ["127.0.0.1"], self.server_address[1], 2
        return resolver

    def __exit__(self, *args):
        self.shutdown()
        super().__exit__(*args)


class _Query(socketserver.BaseRequestHandler):
    def handle(self):
        data, sock = self.request
        query = dns.message.from_wire(data)
        name = str(query.question[0].name).rstrip(".")
        self.server.asked.append(name)
        answer = dns.message.make_response(query)
        if self.server.authentic:
            answer.flags |= dns.flags.AD
        if name in self.server.records:
            kind, text = self.server.records[name]
            answer.answer.append(dns.rrset.from_text(name + ".", 300, "IN", kind, text))
        sock.sendto(answer.to_wire(), self.client_address)


KEY = generate_key_pair(b"\x05" * 32).published
RECORDS = {
    "_usef.example.com": ("TXT", '"3.1.0"'),
    "_agr._usef.example.com": ("TXT", f'"{KEY} {KEY}"'),
    "_http._agr._usef.example.com": ("CNAME", "uftp.example.com."),
}


def test_participants_are_found_by_dns():
    """Version, keys and endpoint come from the records, and are remembered as long as these say."""
    now = [0.0]
    with Zone(RECORDS) as zone:
        book = DnsAddressBook(resolver=zone.resolver(), clock=lambda: now[0])
        found = book.find("example.com", UsefRole.AGR)
        assert found.endpoint == "https://uftp.example.com/shapeshifter/api/v3/message"
        assert (found.version, found.public_key) == ("3.1.0", f"{KEY} {KEY}")
        book.find("example.com", UsefRole.AGR)
        assert len(zone.asked) == 3
        now[0] = 301.0
        book.find("example.com", UsefRole.AGR)
        book.find("example.com", UsefRole.AGR, refresh=True)
        assert len(zone.asked) == 9


@pytest.mark.parametrize(
    ("records", "authentic", "problem"),
    [
        ({}, True, "cannot be looked up"),
        (RECORDS, False, "DNSSEC"),
        ({**RECORDS, "_usef.example.com": ("TXT", '"three"')}, True, "is not a version"),
        ({**RECORDS, "_agr._usef.example.com": ("TXT", '"cs1.short"')}, True, "malformed"),
    ],
)
def test_records_that_do_not_count_are_temporary_failures(records, authentic, problem):
    """Absent, unsecured or malformed records give an error that is retried, never a wrong key."""
    with Zone(records, authentic) as zone:
        with pytest.raises(ServiceDiscoveryException, match=problem) as raised:
            DnsAddressBook(resolver=zone.resolver()).find("example.com", UsefRole.AGR)
        assert raised.value.temporary


@pytest.mark.parametrize("cname", [None, ("CNAME", "under_score-.example.com."), ("CNAME", ".")])
def test_a_participant_without_endpoint_can_still_be_verified(cname):
    """A CNAME that is absent or no host costs the endpoint, not the key: its messages can be read."""
    name = "_http._agr._usef.example.com"
    records = {key: value for key, value in RECORDS.items() if key != name} | ({name: cname} if cname else {})
    with Zone(records) as zone:
        found = DnsAddressBook(resolver=zone.resolver()).find("example.com", UsefRole.AGR)
        assert (found.public_key, found.endpoint) == (f"{KEY} {KEY}", None)
        with pytest.raises(ServiceDiscoveryException):
            DnsAddressBook(resolver=zone.resolver()).endpoint("example.com", UsefRole.AGR)


def test_a_domain_that_no_name_server_can_be_asked_for_is_a_temporary_failure():
    """A name with labels that DNS does not allow, or a machine without a resolver, is not found for now."""
    for domain in ("a" * 64 + ".com", ".".join(["a" * 60] * 5)):
        with pytest.raises(ServiceDiscoveryException):
            DnsAddressBook(resolver=dns.resolver.Resolver(configure=False)).find(domain, UsefRole.AGR)


def test_the_dnssec_check_can_be_switched_off():
    """Behind a resolver that one trusts otherwise, unsecured answers may count."""
    with Zone(RECORDS, authentic=False) as zone:
        assert (
            DnsAddressBook(check_dnssec=False, resolver=zone.resolver())
            .find("example.com", UsefRole.AGR)
            .endpoint
        )


def test_an_authority_can_be_asked_for_accreditation():
    """With a suffix only participants whom the authority's zone names are found."""
    with Zone({**RECORDS, "_usef.example.com.authority.test": ("TXT", '"3.1.0"')}) as zone:
        assert DnsAddressBook(resolver=zone.resolver(), suffix="authority.test").find(
            "example.com", UsefRole.AGR
        )
    with Zone(RECORDS) as zone, pytest.raises(ServiceDiscoveryException, match=r"authority\.test"):
        DnsAddressBook(resolver=zone.resolver(), suffix="authority.test").find("example.com", UsefRole.AGR)
