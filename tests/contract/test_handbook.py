"""The documentation as a site: built without warnings, and served by the platform."""

from __future__ import annotations

import base64
import hashlib
import importlib
import os
import re
import runpy
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from flexmeasures.data.database import db

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built with warnings as errors."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "--quiet", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def reader(app, client, site):
    """Somebody who reads the handbook."""
    app.config["FLEXMEASURES_HANDBOOK"] = str(site)
    # Buffered, so that files are closed, as they are by a server.
    return partial(client.get, buffered=True)


def test_each_page_is_in_the_site(site):
    """Each page of the documentation, and the changelog, is a page of the site."""
    pages = [path.relative_to(ROOT / "docs").with_suffix("") for path in ROOT.glob("docs/**/*.md")]
    wanted = [site / page.parent if page.name == "index" else site / page for page in pages]
    assert [page for page in [*wanted, site / "changelog"] if not (page / "index.html").is_file()] == []


def test_the_site_loads_nothing_from_elsewhere(site):
    """Scripts, styles, fonts and pictures come along: no page asks another server for anything."""
    for page in site.glob("**/*.html"):
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|img|iframe)[^>]*\bsrc="([^"]+)"|<link[^>]*\bhref="([^"]+)"', text)
        assert [one for pair in loaded for one in pair if one.startswith(("http", "//"))] == [], page


def test_the_platform_serves_the_site(reader):
    """The front page, a page below it, and what they load are served; a page without a slash at its end is found."""
    assert "FlexMeasures" in reader("/docs/handbook/").text
    assert "First steps" in reader("/docs/handbook/tutorials/first-steps/").text
    moved = reader("/docs/handbook/tutorials/first-steps")
    assert (moved.status_code, moved.location) == (308, "/docs/handbook/tutorials/first-steps/")
    style = re.search(r'href="(assets/[^"]+\.css)"', reader("/docs/handbook/").text)[1]
    assert reader(f"/docs/handbook/{style}").mimetype == "text/css"


@pytest.mark.parametrize(
    "name", ["nowhere/", "../handbook.py", "%2e%2e/handbook.py", "..%2fhandbook.py", "a%00b"]
)
def test_nothing_else_is_served(reader, name):
    """What is not in the site is not found, however its path is written."""
    assert reader(f"/docs/handbook/{name}").status_code == 404


def test_pages_run_their_own_scripts_only(reader):
    """The policy of a page allows each script that stands in it by its hash, and no other."""
    page = reader("/docs/handbook/")
    policy = page.headers["Content-Security-Policy"]
    (scripts,) = re.findall(r"script-src ([^;]+);", policy)
    assert "unsafe" not in scripts
    for text in re.findall(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", page.text, re.DOTALL):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in scripts


def test_an_installation_without_the_site_says_so(app, client, tmp_path):
    """Without a build the address tells how to get one, and the page of the API leads there."""
    app.config["FLEXMEASURES_HANDBOOK"] = str(tmp_path)
    answer = client.get("/docs/handbook/")
    assert answer.status_code == 200
    assert "make docs" in answer.text
    assert client.get("/docs/handbook/tutorials/").status_code == 404
    assert 'href="/docs/handbook/"' in client.get("/docs").text


def test_the_data_model_is_drawn():
    """`make show-data-model` draws each table, and an edge for each foreign key."""
    importlib.import_module("flexmeasures.data.tables")
    drawn = runpy.run_path(str(ROOT / "tools/data_model.py"))["draw"](db.metadata)
    for table in db.metadata.sorted_tables:
        assert f'  "{table.name}" [label=' in drawn
    keys = sum(len(table.foreign_keys) for table in db.metadata.sorted_tables)
    assert drawn.count(" -> ") == keys > 30


@pytest.mark.parametrize(
    "target",
    [
        "install-for-dev",
        "install-deps",
        "install-flexmeasures",
        "test",
        "update-docs",
        "show-data-model",
        "upgrade-db",
    ],
)
def test_documented_targets_exist(target):
    """The targets of make that the documentation of 0.4 names are there."""
    done = subprocess.run(
        ["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
