"""A story of openadr3-client, business logic and VEN, with OpenADR 3.1.0 or 3.0.1 (the third argument)."""

import json
import sys
from datetime import UTC, datetime, timedelta
from importlib import import_module

from openadr3_client._models.common.interval import Interval
from openadr3_client._models.common.interval_period import IntervalPeriod
from openadr3_client.bl.http_factory import BusinessLogicHttpClientFactory
from openadr3_client.extensions.resource_group.factory import ResourceGroupClientFactory
from openadr3_client.extensions.resource_group.models.resource_group import NewResourceGroup
from openadr3_client.ven.http_factory import VirtualEndNodeHttpClientFactory
from openadr3_client.version import OADRVersion
from requests import HTTPError

VERSION = sys.argv[3]
ADDRESS, SECRET = f"{sys.argv[1]}/openadr3/{VERSION}", sys.argv[2]
IS_FORMER = VERSION == "3.0.1"
MODELS = "openadr3_client.oadr301.models" if IS_FORMER else "openadr3_client.oadr310.models"
events, reports, programs, vens = (
    import_module(f"{MODELS}.{name}")
    for name in ("event.event", "report.report", "program.program", "ven.ven")
)
payloads = import_module(f"{MODELS}.event.event_payload")
report_payloads = import_module(f"{MODELS}.report.report_payload")
START = datetime(2026, 3, 1, 11, tzinfo=UTC)


def client(factory, name):
    """Make a client of either role."""
    more = {"token_url": f"{ADDRESS}/auth/token"} if IS_FORMER else {"allow_insecure_http": True}
    version = OADRVersion.OADR_301 if IS_FORMER else OADRVersion.OADR_310
    return factory(vtn_base_url=ADDRESS, client_id=name, client_secret=SECRET, version=version, **more)


def refused(status, call, *args):
    """Expect a status of refusal."""
    answer = None
    try:
        call(*args)
    except HTTPError as error:
        answer = error.response
    assert answer is not None, f"{status} expected"
    assert (answer.status_code, answer.json()["status"]) == (status, status), answer.text


def new_event(program, name, targets):
    """Describe an event of three hours with prices."""
    prices = (0.1, 0.2, 0.3)
    return events.NewEvent(
        programID=program.id,
        event_name=name,
        priority=1,
        targets=targets,
        payload_descriptors=(
            payloads.EventPayloadDescriptor(payload_type="PRICE", units="KWH", currency="EUR"),
        ),
        interval_period=IntervalPeriod(start=START, duration=timedelta(hours=1)),
        intervals=tuple(
            Interval(id=number, payloads=(payloads.EventPayload(type="PRICE", values=(price,)),))
            for number, price in enumerate(prices)
        ),
    )


def new_report(program, event):
    """Describe a report of one hour."""
    usage = report_payloads.ReportPayload(type="USAGE", values=(1.25,))
    resource = reports.ReportResource(
        resource_name="car", intervals=(Interval[report_payloads.ReportPayload](id=0, payloads=(usage,)),)
    )
    more = {"programID": program.id} if IS_FORMER else {}
    return reports.NewReport(eventID=event.id, client_name="house one", resources=(resource,), **more)


def register(bl, ven):
    """Register the VEN and a resource; the business logic grants a target. Returns it."""
    if IS_FORMER:
        target = import_module(f"{MODELS}.target").Target
        resources = import_module(f"{MODELS}.ven.resource")
        made = ven.vens.create_ven(vens.NewVen(ven_name="house one"))
        granted = vens.VenUpdate(ven_name="house one", targets=(target(type="GROUP", values=("feeder-7",)),))
        bl.vens.update_ven_by_id(made.id, made.update(granted))
        resource = ven.vens.create_ven_resource(
            made.id, resources.NewResource(resource_name="car", venID=made.id)
        )
        assert [one.id for one in ven.vens.get_ven_resources(made.id, "car", None, None)] == [resource.id]
        return made
    resources = import_module(f"{MODELS}.resource.resource")
    made = ven.vens.create_ven(vens.NewVenVenRequest(ven_name="house one"))
    granted = vens.VenUpdateBlRequest(ven_name="house one", clientID="ven-1", targets=("feeder-7",))
    assert bl.vens.update_ven_by_id(made.id, granted).targets == ("feeder-7",)
    resource = ven.resources.create_resource(
        resources.NewResourceVenRequest(resource_name="car", venID=made.id)
    )
    assert [one.id for one in ven.resources.get_resources(ven_id=made.id, resource_name="car")] == [
        resource.id
    ]
    _share_a_group(resource)
    return made


def _share_a_group(resource):
    more = {"token_url": f"{ADDRESS}/auth/token", "allow_insecure_http": True}
    bl = ResourceGroupClientFactory.create_bl_client(ADDRESS, "bl", SECRET, **more)
    ven = ResourceGroupClientFactory.create_ven_client(ADDRESS, "ven-1", SECRET, **more)
    child = {"type": "ven_resource", "id": resource.id}
    inner = bl.create_resource_group(NewResourceGroup(resource_group_name="feeder", children=(child,)))
    nested = {"type": "resource_group", "id": inner.id}
    bl.create_resource_group(NewResourceGroup(resource_group_name="substation", children=(nested,)))
    groups = {one.resource_group_name: one for one in ven.get_resource_groups()}
    assert {name: [c.type for c in one.children] for name, one in groups.items()} == {
        "feeder": ["ven_resource"],
        "substation": ["resource_group"],
    }


def targets_of(*names):
    """Write targets as the version has them."""
    if not IS_FORMER:
        return names
    target = import_module(f"{MODELS}.target").Target
    return (target(type="GROUP", values=names),)


def main():
    """Go through the story."""
    bl = client(BusinessLogicHttpClientFactory.create_http_bl_client, "bl")
    ven = client(VirtualEndNodeHttpClientFactory.create_http_ven_client, "ven-1")
    other = client(VirtualEndNodeHttpClientFactory.create_http_ven_client, "ven-2")
    program = bl.programs.create_program(programs.NewProgram(program_name="prices"))
    refused(409, bl.programs.create_program, programs.NewProgram(program_name="prices"))
    assert [one.id for one in ven.programs.get_programs(None, None)] == [program.id]
    register(bl, ven)
    public = bl.events.create_event(new_event(program, "all", None))
    own = bl.events.create_event(new_event(program, "own", targets_of("feeder-7")))
    assert own.intervals[2].payloads[0].values == (0.3,)
    assert own.interval_period.duration == timedelta(hours=1)
    seen = ven.events.get_events(None, None, program.id)
    assert {one.id for one in seen} == {public.id, own.id}
    assert [one.id for one in other.events.get_events(None, None, program.id)] == [public.id]
    refused(404, other.events.get_event_by_id, own.id)
    report = ven.reports.create_report(new_report(program, own))
    assert [one.id for one in bl.reports.get_reports(None, program.id, own.id, None)] == [report.id]
    bl.events.delete_event_by_id(public.id)
    refused(404, ven.events.get_event_by_id, public.id)
    if not IS_FORMER:
        assert ven.notifiers.get_notifiers().webhook is True
    print(json.dumps({"events": len(seen), "reports": 1}))


main()
