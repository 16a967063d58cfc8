"""What /notifiers says, and the names of MQTT topics; every answer is checked against the OpenAPI document."""

import pytest

TOPICS = "/notifiers/mqtt/topics"


@pytest.fixture
def broker(app):
    """A broker is configured; nothing is published here."""
    app.config["FLEXMEASURES_MQTT_BROKER_URL"] = "mqtts://publisher:secret@broker.example:8884"


def names(base, of_one=False):
    """The topics of operations."""
    made = {"UPDATE": f"{base}/update", "DELETE": f"{base}/delete", "ALL": f"{base}/+"}
    return made if of_one else {"CREATE": f"{base}/create"} | made


def make_ven(client, **fields):
    """Register the VEN of a client."""
    return client.made("/vens", {"objectType": "VEN_VEN_REQUEST", "venName": client.client_id} | fields)


def test_without_a_broker_there_are_webhooks_only(bl, program):
    """MQTT is left out, and its topics are not found."""
    assert bl.get("/notifiers").json == {"WEBHOOK": True}
    for path in ("/programs", "/events", f"/programs/{program['id']}/events"):
        assert bl.get(TOPICS + path).status_code == 404


@pytest.mark.parametrize(
    ("method", "says"),
    [
        ("ANONYMOUS", {"method": "ANONYMOUS"}),
        ("OAUTH2_BEARER_TOKEN", {"method": "OAUTH2_BEARER_TOKEN", "username": "{clientID}"}),
        (
            "CERTIFICATE",
            {"method": "CERTIFICATE", "caCert": "pem ca", "clientCert": "pem client", "clientKey": "pem key"},
        ),
    ],
)
def test_the_broker_is_told_without_our_password(app, broker, ven, tmp_path, method, says):
    """Address, serialization and how to log in, for each way of logging in."""
    files = {"ca": "pem ca", "client_certificate": "pem client", "client_key": "pem key"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    app.config["FLEXMEASURES_MQTT_CERTIFICATES"] = {name: str(tmp_path / name) for name in files}
    app.config["FLEXMEASURES_MQTT_AUTHENTICATION"] = method
    told = ven.get("/notifiers").json["MQTT"]
    assert told == {
        "URIS": ["mqtts://broker.example:8884"],
        "serialization": "JSON",
        "authentication": says,
    }


def test_addresses_for_clients_may_be_others(app, broker, bl):
    """A broker that is reached otherwise from outside is told by FLEXMEASURES_MQTT_URIS."""
    app.config["FLEXMEASURES_MQTT_URIS"] = ["mqtts://a.example", "wss://b.example/mqtt"]
    assert bl.get("/notifiers").json["MQTT"]["URIS"] == ["mqtts://a.example", "wss://b.example/mqtt"]


@pytest.mark.parametrize("kind", ["programs", "events", "reports", "subscriptions", "vens", "resources"])
def test_the_business_logic_reads_all_of_a_kind(broker, bl, kind):
    """Each kind has its topics in the tree of the business logic."""
    assert bl.get(f"{TOPICS}/{kind}").json == {"topics": names(f"openadr3/sandbox/all/{kind}")}


@pytest.mark.parametrize("kind", ["events", "reports", "subscriptions", "vens", "resources"])
def test_a_ven_is_not_told_the_topics_of_all(broker, ven, kind):
    """A VEN gets 403 for what belongs to others as well."""
    assert ven.get(f"{TOPICS}/{kind}").status_code == 403


def test_a_ven_follows_programmes_that_it_sees(broker, bl, ven, program):
    """Public programmes have topics of their own; one that it does not see is not found."""
    one = f"{TOPICS}/programs/{program['id']}"
    base = f"openadr3/sandbox/public/programs/{program['id']}"
    assert ven.get(f"{TOPICS}/programs").json == {"topics": names("openadr3/sandbox/public/programs")}
    assert ven.get(one).json == {"topics": names(base, of_one=True)}
    assert ven.get(f"{one}/events").json == {"topics": names(f"{base}/events")}
    hidden = bl.made("/programs", {"programName": "hidden", "targets": ["feeder-8"]})
    assert ven.get(f"{TOPICS}/programs/{hidden['id']}").status_code == 404
    assert ven.get(f"{TOPICS}/programs/{hidden['id']}/events").status_code == 404


def test_a_ven_has_topics_of_its_own(broker, bl, ven):
    """Those of its own VEN are keyed by its client id; the business logic is told the same ones."""
    made = make_ven(ven)
    base = "openadr3/sandbox/clients/ven-1"
    for client in (ven, bl):
        told = client.get(f"{TOPICS}/vens/{made['id']}").json["topics"]
        assert told == names(f"{base}/vens/{made['id']}", of_one=True)
        for kind in ("events", "programs", "resources"):
            assert client.get(f"{TOPICS}/vens/{made['id']}/{kind}").json["topics"] == names(f"{base}/{kind}")


def test_the_topics_of_anothers_ven_are_not_found(broker, as_client, ven):
    """Nor of one that does not exist."""
    made = make_ven(as_client("ven-2"))
    for ven_id in (made["id"], "nobody"):
        for end in ("", "/events", "/programs", "/resources"):
            assert ven.get(f"{TOPICS}/vens/{ven_id}{end}").status_code == 404
