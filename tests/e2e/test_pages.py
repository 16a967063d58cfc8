"""Stories about the pages in a real browser: nothing is logged as an error, and nobody but our server is asked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import PASSWORD, Complaints, Platform, log_in

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")

pytestmark = pytest.mark.e2e

Open = Callable[..., Any]


@pytest.fixture
def browse(chromium: Any, platform: Platform) -> Iterator[Open]:
    """Open a page as somebody; afterwards nothing may have been complained of, nor asked of others."""
    opened = []

    def open_page(name: str = "", **options: Any) -> Any:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 860}, **options})
        page = context.new_page()
        complaints = Complaints(platform.address)
        complaints.watch(page)
        opened.append((context, complaints))
        if name:
            log_in(page, platform.address, name)
        return page

    yield open_page
    for context, complaints in opened:
        context.close()
        assert complaints.foreign == []
        assert complaints.texts == []


def paths(platform: Platform) -> dict[str, list[str]]:
    """List all pages, by who looks at them."""
    assert platform.scene is not None
    battery = platform.scene.assets["Battery"]
    return {
        "": ["/login", "/reset"],
        "owner": [
            "/", "/portfolio", "/portfolio?show_stacked=consumption", "/analytics?resource=Building", "/control",
            "/assets/", f"/assets/{battery}/", f"/assets/{battery}/plan", f"/assets/delete_with_data/{battery}/",
            "/account", "/upload", "/alerts", "/communities", "/communities/1", "/grid-events", "/accounts/1", "/audit",
        ],
        "admin": [
            "/users", "/users/1", "/tasks/", "/assets/new/", "/", "/communities/1", "/grid-events", "/accounts",
            "/audit",
        ],
        "trader": ["/control?up_price=200"],
    }  # fmt: skip


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (360, "dark")])
def test_pages_have_no_serious_fault_of_accessibility(browse, platform, theme, width):
    """axe-core finds nothing serious or critical on any page, light and dark, on a desktop and on a phone."""
    found = {}
    for name, addresses in paths(platform).items():
        page = browse(name, viewport={"width": width, "height": 800}, color_scheme=theme)
        for address in addresses:
            page.goto(platform.address + address, wait_until="networkidle")
            report = axe.Axe().run(page).response
            serious = [
                (one["id"], one["nodes"][0]["html"][:160], one["nodes"][0]["failureSummary"][:200])
                for one in report["violations"]
                if one["impact"] in ("serious", "critical")
            ]
            if serious:
                found[address] = serious
            room = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert room <= 0, f"{address} is {room} pixels wider than the screen"
    assert found == {}


def test_the_charts_tables_show_what_the_database_holds(browse, platform):
    """The table beside the chart of the analytics has the numbers of the documented download."""
    page = browse("owner")
    page.goto(f"{platform.address}/analytics?resource=Building")
    page.wait_for_selector("#power .uplot")
    page.click("#power summary")
    page.wait_for_selector("#power tbody td[data-value]")
    shown = page.eval_on_selector_all(
        "#power tbody td[data-value]", "cells => cells.map((c) => Number(c.dataset.value))"
    )
    href = page.get_attribute("#power .links a:has-text('CSV')", "href")
    text = page.evaluate("async (href) => (await fetch(href)).text()", href)
    rows = [line.split(",")[1:] for line in text.splitlines()[1:]]
    stored = [float(value) * 1000 for row in rows for value in row if value]
    assert shown == pytest.approx(stored, rel=1e-5)
    assert len(shown) > 300


def test_window_resource_and_theme_are_changed(browse, platform):
    """A preset, another resource and the other theme are one click each; the window stays in the address."""
    page = browse("owner", color_scheme="light")
    page.goto(f"{platform.address}/analytics?resource=Building")
    page.click("[data-preset=today]")
    assert "start_time=" in page.url
    page.wait_for_selector("#power .uplot")
    page.select_option("#resource", "Solar roof")
    page.wait_for_url(re.compile("resource=Solar"))
    page.wait_for_selector("#power .uplot")
    assert "production from Solar roof" in page.inner_text("#power figcaption")
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("[data-theme-switch]")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_an_asset_is_made_changed_and_deleted(browse, platform):
    """An admin makes an asset by clicking the map, sees what is wrong, mends it, changes it and deletes it."""
    page = browse("admin")
    page.goto(f"{platform.address}/assets/new/")
    page.fill("#display_name", "Wind on the hill")
    page.select_option("#asset_type_name", "wind")
    page.select_option("#owner_id", label="owner")
    page.select_option("#market_id", label="Day-ahead")
    page.wait_for_selector("#map.leaflet-container")
    page.click("#map", position={"x": 150, "y": 120})
    assert page.input_value("#latitude") != ""
    page.evaluate("document.querySelector('form').noValidate = true")
    page.fill("#capacity_in_mw", "2,5")
    page.click("button:has-text('Create')")
    page.wait_for_url(re.compile(r"/assets/\d+/$"))
    assert "Creation was successful." in page.inner_text("main")
    assert page.input_value("#capacity_in_mw") == "2.5"
    page.fill("#capacity_in_mw", "3")
    page.click("button:has-text('Save')")
    assert "Editing was successful." in page.inner_text("main")
    page.click("text=Delete this asset…")
    page.click("button:has-text('Delete it')")
    page.wait_for_url("**/assets/")
    assert "have been deleted" in page.inner_text("main")


def test_flexibility_is_ordered_and_taken_back(browse, platform):
    """The trader sees offers with their value, orders the best one, finds it among the orders, and cancels it."""
    page = browse("trader")
    page.goto(f"{platform.address}/control")
    hours = page.eval_on_selector_all("#start option", "options => options.map((o) => o.value)")
    page.goto(f"{platform.address}/control?up_price=400&start={hours[3].replace('+', '%2B')}")
    page.wait_for_selector("button:has-text('Order')", timeout=60_000)
    page.click("button:has-text('Order') >> nth=0")
    page.wait_for_selector("text=Ordered:")
    page.click("button:has-text('Cancel')")
    page.wait_for_selector("text=was taken back")


def test_a_file_is_mended_and_stored(browse, platform, tmp_path: Path):
    """A CSV with a fault names the line and has no button to store; the mended one is stored."""
    page = browse("owner")
    file = tmp_path / "meter.csv"
    for content, words in (
        ("time;kW\n2024-01-01 00:00;1,5\n2024-01-01 00:15;lots\n", "Line 3"),
        ("time;kW\n2024-01-01 00:00;1,5\n2024-01-01 00:15;1,6\n", "2 values of Building"),
    ):
        file.write_text(content)
        page.goto(f"{platform.address}/upload")
        page.select_option("#sensor", label="Building: power [MW]")
        page.set_input_files("#file", str(file))
        page.click("button:has-text('Look at it')")
        assert words in page.inner_text("main")
    page.fill("#unit", "kW")
    page.click("button:has-text('Store')")
    page.wait_for_selector("text=2 values of Building: power were stored.")


def test_everything_is_reached_by_keyboard(browse, platform):
    """The first stop leads to the content; "/" searches, "g d" opens the dashboard, and the login needs no mouse."""
    page = browse()
    page.goto(f"{platform.address}/login")
    page.focus("input[name=email]")
    page.keyboard.type("owner@example.com")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Status of my assets")
    page.goto(f"{platform.address}/assets/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("/")
    page.keyboard.type("solar")
    assert page.inner_text("#found") == "1 of 4 shown"
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("g")
    page.keyboard.press("d")
    page.wait_for_url("**/dashboard")


def test_pages_stay_small_and_still(browse, platform):
    """A first visit transfers at most 250 kB without the map and 500 kB with it, later pages 60 kB; nothing jumps."""
    known = browse("owner").context.storage_state()
    page = browse(storage_state=known)  # a browser that is logged in and has seen nothing yet
    sizes: list[int] = []
    client = page.context.new_cdp_session(page)
    client.send("Network.enable")
    client.on("Network.loadingFinished", lambda one: sizes.append(int(one["encodedDataLength"])))
    found = {}
    for name, address in (
        ("first", "/portfolio"),
        ("map", "/dashboard"),
        ("later", "/portfolio"),
        ("analytics", "/analytics?resource=Building"),
    ):
        sizes.clear()
        page.goto(platform.address + address, wait_until="networkidle")
        found[name] = sum(sizes)
    shift = page.evaluate(
        "() => new Promise((done) => { let sum = 0; new PerformanceObserver((list) => {"
        " for (const e of list.getEntries()) if (!e.hadRecentInput) sum += e.value; })"
        ".observe({ type: 'layout-shift', buffered: true }); setTimeout(() => done(sum), 300); })"
    )
    assert found["first"] <= 250_000, json.dumps(found)
    assert found["first"] + found["map"] <= 500_000, json.dumps(found)
    assert found["later"] <= 60_000, json.dumps(found)
    assert found["analytics"] <= 60_000, json.dumps(found)
    assert shift < 0.05
