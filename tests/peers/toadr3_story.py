"""A story of toadr3 with OpenADR 3.0.1: a VEN reads programmes and events by target, reports, and subscribes."""

import asyncio
import json
import sys

import aiohttp
import toadr3
from toadr3.models import (
    Interval,
    ObjectOperation,
    ObjectType,
    OperationType,
    Report,
    ReportData,
    Subscription,
    TargetType,
    ValuesMap,
)

ADDRESS, SECRET = f"{sys.argv[1]}/openadr3/3.0.1", sys.argv[2]


async def prepare(session):
    """Make a programme with events and a VEN, as the business logic."""
    form = {"grant_type": "client_credentials", "client_id": "bl", "client_secret": SECRET}
    token = (await (await session.post(f"{ADDRESS}/auth/token", data=form)).json())["access_token"]

    async def made(path, body):
        headers = {"Authorization": f"Bearer {token}"}
        async with session.post(ADDRESS + path, json=body, headers=headers) as answer:
            assert answer.status == 201, await answer.text()
            return await answer.json()

    program = await made("/programs", {"programName": "prices", "programType": "PRICING_TARIFF"})
    ven = await made("/vens", {"venName": "ven-1"})
    await made(f"/vens/{ven['id']}/resources", {"resourceName": "car"})
    event = {
        "programID": program["id"],
        "intervalPeriod": {"start": "2026-03-01T11:00:00Z", "duration": "PT1H"},
        "intervals": [{"id": 0, "payloads": [{"type": "PRICE", "values": [0.17]}]}],
    }
    names = {
        "all": None,
        "ven": [{"type": "VEN_NAME", "values": ["ven-1"]}],
        "resource": [{"type": "RESOURCE_NAME", "values": ["car"]}],
        "foreign": [{"type": "VEN_NAME", "values": ["ven-2"]}],
    }
    for name, targets in names.items():
        await made("/events", {**event, "eventName": name, "targets": targets})
    return program


async def main():
    """Go through the story."""
    async with aiohttp.ClientSession() as session:
        program = await prepare(session)
        credentials = toadr3.OAuthScopeConfig(
            f"{ADDRESS}/auth/token",
            "client_credentials",
            "read_all write_reports write_subscriptions",
            "ven-1",
            SECRET,
        )
        client = toadr3.ToadrClient(ADDRESS, credentials, session)
        programs = await client.get_programs()
        assert [one.id for one in programs] == [program["id"]]
        assert programs[0].program_type == "PRICING_TARIFF"
        events = {one.event_name: one for one in await client.get_events(program_id=program["id"])}
        assert set(events) == {"all", "ven", "resource"}, set(events)
        by_name = await client.get_events(target_type=TargetType.VEN_NAME, target_values=["ven-1", "ven-2"])
        assert [one.event_name for one in by_name] == ["ven"]
        by_resource = await client.get_events(target_type=TargetType.RESOURCE_NAME, target_values=["car"])
        assert [one.event_name for one in by_resource] == ["resource"]
        assert by_resource[0].targets == [ValuesMap(type="RESOURCE_NAME", values=["car"])]
        interval = Interval(id=0, payloads=[ValuesMap(type="USAGE", values=[1.25])])
        report = Report(
            programID=program["id"],
            eventID=events["ven"].id,
            clientName="ven-1",
            resources=[ReportData(resource_name="car", intervals=[interval])],
        )
        filed = await client.post_report(report)
        reports = await client.get_reports(event_id=events["ven"].id)
        assert [one.id for one in reports] == [filed.id]
        operation = ObjectOperation(
            objects=[ObjectType.EVENT],
            operations=[OperationType.POST, OperationType.PUT],
            callback_url="http://127.0.0.1:1/hook",
            bearer_token="a token",
        )
        subscription = Subscription(
            client_name="ven-1", programID=program["id"], object_operations=[operation]
        )
        subscribed = await client.post_subscription(subscription)
        found = await client.get_subscriptions(program_id=program["id"], objects=[ObjectType.EVENT])
        assert [one.id for one in found] == [subscribed.id]
        assert found[0].object_operations[0].operations == [OperationType.POST, OperationType.PUT]
        print(json.dumps({"events": len(events), "reports": len(reports), "subscriptions": len(found)}))


asyncio.run(main())
