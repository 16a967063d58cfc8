"""The walk of the first light: data in, a job, a schedule out."""

import numpy as np


def test_battery_buys_low_and_sells_high(owner, cast, work):
    """A battery's schedule for the day with a cheap third is the one worked out by hand."""
    event = cast.address("battery", "204:soc")
    posted = owner.post(
        "postUdiEvent",
        {
            "type": "PostUdiEventRequest",
            "event": event,
            "value": 2500,
            "unit": "kWh",
            "datetime": "2015-01-02T00:00:00+00:00",
        },
    )
    assert posted.status_code == 200, posted.json
    assert posted.json["status"] == "PROCESSED"
    assert posted.json["type"] == "PostUdiEventResponse"
    work()
    answer = owner.get("getDeviceMessage", type="GetDeviceMessageRequest", event=event, duration="PT48H")
    assert answer.status_code == 200, answer.json
    assert answer.json["event"] == event
    # Prices end with that day: 5 slots of 2 MW fill it at once, and it is sold out whenever a price of 100 ends.
    assert answer.json["duration"] == "P1D"
    stock = 2.5 + np.cumsum(answer.json["values"]) / 4
    assert len(stock) == 96
    assert stock[31] == 0
    assert stock[63] == 5
    assert stock[95] == 0
    assert "Prices are known until 2015-01-03T00:00:00Z" in answer.json["message"]
