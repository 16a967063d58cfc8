"""A small market on loopback: services with real HTTP, real keys and a real journal."""

import datetime as dt
import time

import pytest

from shapeshifter_uftp import uftp
from shapeshifter_uftp.addresses import DirectoryAddressBook, Participant
from shapeshifter_uftp.outbox import RetryPolicy
from shapeshifter_uftp.sealing import generate_key_pair
from shapeshifter_uftp.service import ShapeshifterAgrService, ShapeshifterDsoService
from shapeshifter_uftp.uftp import AvailableRequested, UsefRole

POINT = "ean.871685900012636543"
QUICK = RetryPolicy(first_pause=0.05, longest_pause=0.2, jitter=0.0, give_up_after=20)


class Listening:
    """Keeps what reaches the hooks of a service."""

    def __init__(self, *args, **kwargs):
        self.heard = []
        super().__init__(*args, **kwargs)

    def __getattribute__(self, name):
        value = super().__getattribute__(name)
        if not name.startswith("process_") or name == "process_transport_failure":
            return value

        def listen(message, *rest):
            answer = value(message, *rest)
            self.heard.append(message)
            return answer

        return listen

    def wait_for(self, message_type, count=1, timeout=10.0):
        """Give the first messages of a type, waiting for them."""
        ends = time.monotonic() + timeout
        while time.monotonic() < ends:
            found = [m for m in list(self.heard) if isinstance(m, message_type)]
            if len(found) >= count:
                return found
            time.sleep(0.005)
        raise AssertionError(f"no {count} {message_type.__name__} within {timeout} s, but {self.heard}")


class Agr(Listening, ShapeshifterAgrService):
    """An aggregator that listens."""


class Dso(Listening, ShapeshifterDsoService):
    """A grid operator that listens."""


class MarketPlace:
    """Starts participants that know each other."""

    Agr, Dso = Agr, Dso

    def __init__(self, folder):
        self.folder, self.book, self.services, self.keys = folder, DirectoryAddressBook([]), [], {}

    def key(self, domain):
        """Give the key pair of a domain."""
        return self.keys.setdefault(domain, generate_key_pair())

    def start(self, cls, domain, **arguments):
        """Start a service, and let the others know it."""
        values = {
            "host": "127.0.0.1", "port": 0, "address_book": self.book, "journal": self.folder / f"{domain}.sqlite3",
            "retry": QUICK, **arguments,
        }  # fmt: skip
        service = cls(domain, self.key(domain).private_key, **values)
        self.services.append(service)
        service.run_in_thread()
        self.know(domain, cls.sender_role, f"http://127.0.0.1:{service.port}{service.path}")
        return service

    def know(self, domain, role, endpoint=None):
        """Let everybody know a participant."""
        self.book.add(Participant(domain, UsefRole(role), self.key(domain).public_key, endpoint))

    def stop(self):
        """Stop all."""
        for service in self.services:
            service.close()


@pytest.fixture
def market(tmp_path):
    """Give an empty market place."""
    place = MarketPlace(tmp_path)
    yield place
    place.stop()


@pytest.fixture
def agr(market):
    """Give a running aggregator."""
    return market.start(Agr, "agr.example.com")


@pytest.fixture
def dso(market):
    """Give a running grid operator."""
    return market.start(Dso, "dso.example.com")


@pytest.fixture(scope="session")
def tomorrow():
    """Give a day that can still be traded."""
    return dt.datetime.now(dt.UTC).date() + dt.timedelta(days=2)


@pytest.fixture(scope="session")
def flex_request(tomorrow):
    """Give a builder of requests for the morning."""

    def make(**changes):
        isps = [
            uftp.FlexRequestISP(
                disposition=AvailableRequested.REQUESTED, min_power=-3000, max_power=0, start=33, duration=4
            )
        ]
        values = {
            "isp_duration": "PT15M", "period": tomorrow, "congestion_point": POINT, "revision": 1, "isps": isps,
            "expiration_date_time": f"{tomorrow}T00:00:00Z",
        }  # fmt: skip
        return uftp.FlexRequest(**{**values, **changes})

    return make


@pytest.fixture(scope="session")
def flex_offer():
    """Give a builder of offers that follow a request."""

    def make(request, power=-1000, price="12.50", **changes):
        isps = [
            uftp.FlexOfferOptionISP(power=power, start=i.start, duration=i.duration) for i in request.isps
        ]
        values = {
            "version": request.version, "recipient_domain": request.sender_domain,
            "conversation_id": request.conversation_id, "isp_duration": request.isp_duration,
            "period": request.period, "congestion_point": request.congestion_point,
            "expiration_date_time": request.expiration_date_time, "flex_request_message_id": request.message_id,
            "offer_options": [uftp.FlexOfferOption(option_reference="a", price=price, isps=isps)],
        }  # fmt: skip
        return uftp.FlexOffer(**{**values, **changes})

    return make
