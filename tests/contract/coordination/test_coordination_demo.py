"""The demonstration of coordination: what the operator asks for is done, and paid to the cent."""

import contextlib
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pytest

from flexmeasures.cli.coordination_demo import tell_coordination
from flexmeasures.cli.demonstration.coordination import DELTAS, draw_coordination


def test_the_story_of_a_price_curve(app, tmp_path):
    """Energy moves into the rewarded hours and out of the others; money is 0.15 EUR/kWh of what was used in them."""
    story = tell_coordination(app, lambda _: contextlib.nullcontext())
    kwh = {
        when: np.sum(list(powers.values()), axis=0).reshape(24, 4).sum(axis=1) * 250
        for when, powers in (("before", story.before), ("after", story.after))
    }
    rewarded, dear = ([h for h, delta in DELTAS.items() if sign * delta > 0] for sign in (-1, 1))
    assert kwh["after"][rewarded].sum() > kwh["before"][rewarded].sum() + 10
    assert kwh["after"][dear].sum() < kwh["before"][dear].sum() - 5
    used = sum(
        Decimal(str(round(float(power[4 * hour : 4 * hour + 4].sum() * 250), 6)))
        for power in story.after.values()
        for hour in rewarded
    )
    assert story.paid == (used * Decimal("0.15")).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
    assert len(story.lines) == 3 * len(DELTAS)
    assert sum(line.amount for line in story.lines) == pytest.approx(story.paid, abs=Decimal("0.005"))
    assert story.seconds < 30
    draw_coordination(story, tmp_path / "chart.html")
    assert "With the curve" in (tmp_path / "chart.html").read_text()
