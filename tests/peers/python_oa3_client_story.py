"""A story of python-oa3-client with OpenADR 3.1.0: it registers, is granted targets, hears of an event, and reports."""

import json
import sys

from openadr3.entities import Event, Notification
from openadr3_client import BlClient, VenClient

ADDRESS, SECRET = f"{sys.argv[1]}/openadr3/3.1.0", sys.argv[2]
INTERVALS = [{"id": 0, "payloads": [{"type": "PRICE", "values": [0.17]}]}]


def sees(client, path, method, *args, **fields):
    """Ask, and expect a status."""
    answer = getattr(client, method)(*args, **fields)
    assert answer.status_code == path, (method, answer.status_code, answer.text)
    return answer.json()


def main():
    """Go through the story."""
    bl = BlClient(url=ADDRESS, client_id="bl", client_secret=SECRET).start()
    ven = VenClient(url=ADDRESS, client_id="ven-1", client_secret=SECRET).start()
    other = VenClient(url=ADDRESS, client_id="ven-2", client_secret=SECRET).start()

    program = sees(bl, 201, "create_program", {"programName": "prices"})
    sees(bl, 409, "create_program", {"programName": "prices"})
    ven.register("house one")
    ven.register("house one")
    other.register("house two")
    described = {"objectType": "BL_VEN_REQUEST", "clientID": "ven-1", "venName": "house one"}
    sees(bl, 200, "update_ven", ven.ven_id, {**described, "targets": ["feeder-7"]})
    assert ven.resolve_program_id("prices") == program["id"]

    assert ven.vtn_supports_mqtt()
    mqtt = ven.add_mqtt(ven.get_mqtt_broker_uris()[0])
    mqtt.start()
    topics = ven.subscribe(["prices"], ["EVENT"], ["CREATE"], mqtt)
    hook = ven.add_webhook(host="127.0.0.1", bearer_token="a token")
    hook.start()
    ven.subscribe(["prices"], ["EVENT"], ["CREATE", "UPDATE", "DELETE"], hook)
    assert len(ven.subscriptions()) == 1
    assert other.subscriptions() == []

    event = {"programID": program["id"], "eventName": "noon", "intervals": INTERVALS}
    public = sees(bl, 201, "create_event", event)
    own = sees(bl, 201, "create_event", {**event, "targets": ["feeder-7", "feeder-8"]})
    (heard,) = hook.await_messages(2, timeout=15)[:1]
    assert isinstance(heard.payload, Notification)
    assert isinstance(heard.payload.object, Event)
    published = mqtt.await_messages(1, timeout=15)
    assert [message.payload.object.id for message in published] == [public["id"]], "public ones only"

    polled = ven.poll_events("prices")
    assert {one.id for one in polled} == {public["id"], own["id"]}
    assert [one.id for one in other.poll_events("prices")] == [public["id"]]
    assert ven.get_event_by_id(own["id"]).json()["targets"] == ["feeder-7"]
    sees(other, 404, "get_event_by_id", own["id"])
    sees(ven, 403, "create_event", event)
    sees(ven, 403, "get_mqtt_topics_events")
    sees(bl, 200, "get_mqtt_topics_events")
    for method in ("ven", "ven_events", "ven_programs", "ven_resources"):
        sees(ven, 200, f"get_mqtt_topics_{method}")

    resource = {"objectType": "VEN_RESOURCE_REQUEST", "resourceName": "car", "venID": ven.ven_id}
    made = sees(ven, 201, "create_resource", resource)
    assert [one.id for one in ven.resources(venID=ven.ven_id)] == [made["id"]]
    usage = [{"id": 0, "payloads": [{"type": "USAGE", "values": [1.25]}]}]
    report = {
        "eventID": own["id"],
        "clientName": "house one",
        "resources": [{"resourceName": "car", "intervals": usage}],
    }
    filed = sees(ven, 201, "create_report", report)
    assert [one.id for one in bl.reports(eventID=own["id"])] == [filed["id"]]
    sees(other, 404, "get_report_by_id", filed["id"])
    sees(bl, 200, "delete_event", public["id"])
    deleted = [m.payload for m in hook.await_messages(3, timeout=15)]
    assert [one.operation for one in deleted] == ["CREATE", "CREATE", "DELETE"]
    for client in (bl, ven, other):
        client.stop()
    print(json.dumps({"topics": len(topics), "webhooks": len(deleted), "mqtt": len(published)}))


main()
