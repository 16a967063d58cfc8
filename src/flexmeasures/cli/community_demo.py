"""``flexmeasures demo --community``: nine homes that share their roofs, on a database of the demonstration's own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
from rich.console import Console
from sqlalchemy.orm import Session

from flexmeasures.cli.demonstration.community import (
    ZONE,
    CommunityStory,
    draw_community,
    make_community,
    tabulate_community,
)
from flexmeasures.cli.demonstration.instance import make_instance, put_away
from flexmeasures.data.database import db
from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.transactional import as_transaction
from flexmeasures.domain.beliefs import Beliefs
from flexmeasures.domain.communities.metrics import kwh
from flexmeasures.services.numbered import add_public_asset, add_sensor_to
from flexmeasures.services.structure import add_structure

__all__ = ["show_community"]

Steps = Callable[[str], AbstractContextManager[None]]


def show_community(console: Console, steps: Steps) -> None:
    """Set the community up, settle its readings, and tell its story."""
    with steps("Starting PostgreSQL"):
        app, folder = make_instance("demo-community")
    try:
        with (
            app.app_context(),
            steps("Adding nine homes and their roofs, storing and settling two months of readings"),
        ):
            story = as_transaction(_tell)(db.session)
            db.session.remove()
    finally:
        put_away(app)
    chart = folder / "community.html"
    with steps("Drawing the chart"):
        draw_community(story, chart)
    _show(console, story, chart)


def _tell(session: Session) -> CommunityStory:
    add_structure(session)
    asset = add_public_asset(session, "Nine homes", "building")
    source = get_or_create_source(session, "CityLearn challenge 2022", "demo").id

    def store(sensor_id: int, beliefs: Beliefs) -> None:
        held = replace(beliefs, source_ids=np.full(len(beliefs), source, dtype=np.int32))
        insert_beliefs(session, [SensorBeliefs(sensor_id, held)])

    def add_sensor(name: str) -> int:
        return add_sensor_to(session, asset, name, "kWh", timedelta(hours=1), ZONE).id

    return make_community(session, store, add_sensor)


def _show(console: Console, story: CommunityStory, chart: Path) -> None:
    metrics = story.metrics
    totals = metrics.totals
    console.print(
        f"\nIn June 2017 nine homes produced {kwh(totals.produced):,.0f} kWh on their roofs and consumed "
        f"{kwh(totals.consumed):,.0f} kWh. Shared in equal parts and settled hour by hour, they used "
        f"{kwh(totals.self_consumed):,.0f} kWh of it themselves: {totals.selfproduction_ratio:.0%} of what they "
        f"produced, {totals.selfconsumption_ratio:.0%} of what they consumed "
        f"({metrics.coverage:.1%} of the readings were there)."
    )
    console.print(
        "What a home leaves unused is exported, even while the neighbour buys: other keys waste less, and a battery "
        "moves noon into the evening.\n"
    )
    console.print(tabulate_community(story))
    console.print(
        "\nData: CityLearn challenge 2022 (MIT), nine homes in Fontana, California; the rules are those of Spain."
    )
    console.print(f"Chart: {chart}")
