"""Schedule many assets from what is known of them: for rolling use, on new prices, forecasts or states of charge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from flexmeasures.data.stores.flexibility import agreed_powers
from flexmeasures.data.stores.plans import list_flexible_asset_ids, load_flexible_assets
from flexmeasures.data.stores.sites import site_ids
from flexmeasures.domain.errors import FlexError, NotFound
from flexmeasures.domain.scheduling.flex_model import DOCUMENTED_FLEX_MODELS
from flexmeasures.domain.scheduling.planning.assets import Plan
from flexmeasures.domain.scheduling.planning.inputs import PlanInput
from flexmeasures.domain.time import next_event_start
from flexmeasures.services.schedules.gather import Planning, PlanWish, read_plan_inputs
from flexmeasures.services.schedules.schedulers import plan_with_scheduler
from flexmeasures.services.schedules.site_facts import parts_of_site
from flexmeasures.services.schedules.sites import replan_site
from flexmeasures.services.schedules.store import store_plans

__all__ = ["PortfolioOrder", "PortfolioOutcome", "flexible_asset_ids", "reschedule"]


@dataclass(frozen=True)
class PortfolioOrder:
    """That many assets are to be scheduled.

    Attributes:
        asset_ids: The assets.
        start: From when on; each schedule starts with the first event of its asset from then on, so that slots which
            have begun stay as they were planned.
        horizon: How far ahead to plan.
        recorded_at: The belief time of the schedules.
        at_once: Whether slots which have begun are planned anew as well: a power limit does not wait for the next one.
    """

    asset_ids: tuple[int, ...]
    start: datetime
    horizon: timedelta
    recorded_at: datetime
    at_once: bool = False

    def first_start(self, resolution: timedelta) -> datetime:
        """Find when the schedule of an asset with slots of this length begins."""
        following = next_event_start(self.start, resolution)
        return following - resolution if self.at_once and following != self.start else following

    def split(self, size: int) -> list[PortfolioOrder]:
        """Cut it into orders of so many assets at most."""
        ids = self.asset_ids
        return [replace(self, asset_ids=ids[n : n + size]) for n in range(0, len(ids), size)]


@dataclass(frozen=True)
class PortfolioOutcome:
    """Outcome of an order.

    Attributes:
        made: How many assets were scheduled.
        relaxed: How many of these miss a wish.
        savings: Money saved beside the baselines, by currency.
        failures: Why an asset was not scheduled, by its id.
    """

    made: int = 0
    relaxed: int = 0
    savings: Mapping[str, float] = field(default_factory=dict)
    failures: Mapping[int, str] = field(default_factory=dict)

    def __add__(self, other: PortfolioOutcome) -> PortfolioOutcome:
        """Put the outcomes of two parts of an order together."""
        currencies = {*self.savings, *other.savings}
        return PortfolioOutcome(
            self.made + other.made,
            self.relaxed + other.relaxed,
            {c: self.savings.get(c, 0.0) + other.savings.get(c, 0.0) for c in sorted(currencies)},
            {**self.failures, **other.failures},
        )


def flexible_asset_ids(session: Session, owner_id: int | None = None) -> list[int]:
    """List the assets that can be scheduled: those with a flex model, themselves or by their type."""
    return list_flexible_asset_ids(session, list(DOCUMENTED_FLEX_MODELS), owner_id)


def reschedule(session: Session, order: PortfolioOrder, planning: Planning) -> PortfolioOutcome:
    """Schedule assets from their known states of charge on, and store the schedules.

    An asset that cannot be scheduled does not keep the others from it. What was planned for slots before the start
    stays as it is.

    Args:
        session: Within its transaction; the caller commits.
        order: What to plan. Its assets are held in memory together: split a large order.
        planning: How to plan, and with which solver.
    """
    sites = site_ids(session, order.asset_ids)
    of_sites = _reschedule_sites(session, order, sites, planning)
    done = {number for number in sites if number not in of_sites.alone}
    assets = [one for one in load_flexible_assets(session, order.asset_ids) if one.id not in done]
    failures = {
        asset_id: str(NotFound(f"There is no asset with id {asset_id}."))
        for asset_id in set(order.asset_ids) - done - {asset.id for asset in assets}
    }
    resolutions = [asset.sensor.event_resolution for asset in assets]
    end = order.start + max(resolutions, default=timedelta(0)) + order.horizon
    agreed = agreed_powers(session, [asset.id for asset in assets], order.start, end)
    wishes = [
        PlanWish(
            asset,
            order.first_start(resolution),
            order.horizon,
            agreed=agreed.get(asset.id, ()),
        )
        for asset, resolution in zip(assets, resolutions, strict=True)
    ]
    plans = []
    for asset, known in zip(assets, read_plan_inputs(session, wishes, planning), strict=True):
        plan = _plan(known)
        if isinstance(plan, FlexError):
            failures[asset.id] = str(plan)
        else:
            plans.append((asset, plan))
    store_plans(session, plans, order.recorded_at, planning.kept)
    return of_sites.outcome + _summarise([plan for _, plan in plans], failures)


@dataclass(frozen=True)
class _OfSites:
    """What became of the sites of an order, and which of its assets are to be planned alone all the same."""

    outcome: PortfolioOutcome
    alone: frozenset[int]


def _reschedule_sites(
    session: Session, order: PortfolioOrder, sites: Mapping[int, int], planning: Planning
) -> _OfSites:
    """Plan each site of which an asset is to be planned, once."""
    made, relaxed, savings, failures, alone = 0, 0, dict[str, float](), dict[int, str](), set[int]()
    for site_id in sorted(set(sites.values())):
        wanted = {number for number, one in sites.items() if one == site_id}
        try:
            parts = parts_of_site(session, site_id)
            devices = {asset.id for asset, _ in parts.devices}
            alone |= wanted - devices - {site_id}
            wanted &= devices | {site_id}
            if not wanted:
                continue
            planned = replan_site(session, parts, (order.start, order.horizon), order.recorded_at, planning)
        except NotFound:  # nothing of it is planned as a whole
            alone |= wanted
            continue
        except FlexError as error:
            failures |= dict.fromkeys(wanted, str(error))
            continue
        made += len(wanted)
        if planned is None:
            continue
        kept = {one.asset_id for one in planned.devices} | {site_id}
        made -= len(wanted - kept)
        failures |= {number: " ".join(planned.notes) for number in wanted - kept}
        relaxed += sum(bool(one.missed) for one in planned.devices if one.asset_id in wanted)
        savings[planned.currency] = savings.get(planned.currency, 0.0) + planned.value.saving
    return _OfSites(PortfolioOutcome(made, relaxed, savings, failures), frozenset(alone))


def _plan(known: PlanInput | FlexError) -> Plan | FlexError:
    if isinstance(known, FlexError):
        return known
    try:
        return plan_with_scheduler(known)
    except FlexError as error:
        return error


def _summarise(plans: Sequence[Plan], failures: Mapping[int, str]) -> PortfolioOutcome:
    savings: dict[str, float] = {}
    for plan in plans:
        savings[plan.currency] = savings.get(plan.currency, 0.0) + plan.value.saving
    return PortfolioOutcome(len(plans), sum(bool(plan.missed) for plan in plans), savings, failures)
