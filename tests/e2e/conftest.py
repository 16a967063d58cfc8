"""A served platform with a full scene and a browser, for the stories about pages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Chromium without a window."""
    from serving import start_browser  # noqa: PLC0415 - its folder is on the path from here on

    with playwright.sync_playwright() as driver:
        browser = start_browser(driver)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def platform() -> Iterator[Any]:
    """A platform with a site around the present."""
    from serving import serve  # noqa: PLC0415 - see above

    with serve() as served:
        yield served
