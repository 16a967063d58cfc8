"""The demonstration of a community: its figures are those of the excerpt, and the ways of sharing are in order."""

from __future__ import annotations

import csv
import gzip
from importlib.resources import files

import numpy as np
import pytest

from flexmeasures.cli.community_demo import _tell
from flexmeasures.cli.demonstration.community import draw_community
from flexmeasures.data.database import db


def test_the_story_of_nine_homes(app, tmp_path):
    """Equal parts give what a plain sum over the excerpt gives; a battery adds to it; pooled is the most."""
    packed = files("flexmeasures.cli.demonstration").joinpath("data", "fontana_9_homes_2017-05_06.csv.gz")
    rows = list(csv.DictReader(gzip.decompress(packed.read_bytes()).decode().splitlines()))
    # June begins at 07:00 UTC in California.
    june = [row for row in rows if row["time_utc"] >= "2017-06-01T07"]
    sun = np.array([float(row["pv_kwh"]) for row in june])
    homes = np.array([[float(v) for k, v in row.items() if k.endswith("load_kwh")] for row in june])
    with app.app_context():
        story = _tell(db.session)
        db.session.commit()
    equal, *keys, pooled, battery = [one.shared_kwh for one in story.others]
    assert equal == pytest.approx(np.minimum(sun[:, None] / 9, homes).sum(), abs=0.1)
    assert pooled == pytest.approx(np.minimum(sun, homes.sum(axis=1)).sum(), abs=0.1)
    assert story.metrics.totals.self_consumed / 1e6 == pytest.approx(equal, abs=0.001)
    assert story.metrics.totals.produced / 1e6 == pytest.approx(sun.sum(), abs=0.001)
    assert story.metrics.coverage == 1.0
    assert all(equal < key < pooled for key in keys)
    assert battery > max(keys)
    draw_community(story, tmp_path / "chart.html")
    assert "Mean day of June 2017" in (tmp_path / "chart.html").read_text()
