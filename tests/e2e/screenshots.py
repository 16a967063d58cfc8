"""Write screenshots of every page in eight states into build/screenshots: python tests/e2e/screenshots.py."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parent))
from serving import Complaints, Platform, log_in, serve, start_browser

FOLDER = Path("build/screenshots")
SIZES = {"desktop": (1280, 860), "phone": (390, 844)}


def pages(platform: Platform) -> dict[str, tuple[str, str]]:
    """Name the pages: who looks, and where."""
    scene = platform.scene
    battery = scene.assets["Battery"] if scene else 0
    found = {
        "login": ("", "/login"),
        "dashboard": ("owner", "/"),
        "portfolio": ("owner", "/portfolio"),
        "analytics": ("owner", "/analytics?resource=Building" if scene else "/analytics"),
        "control": ("trader", "/control?up_price=200"),
        "assets": ("owner", "/assets/"),
        "upload": ("owner", "/upload"),
        "users": ("admin", "/users"),
        "account": ("owner", "/account"),
        "tasks": ("admin", "/tasks/"),
        "new": ("admin", "/assets/new/"),
        "error": ("owner", "/no-such-page"),
        "alerts": ("owner", "/alerts"),
        "communities": ("admin", "/communities"),
        "events": ("admin", "/grid-events"),
        "accounts": ("admin", "/accounts"),
        "audit": ("admin", "/audit"),
    }
    if scene:
        found |= {
            "asset": ("owner", f"/assets/{battery}/"),
            "plan": ("owner", f"/assets/{battery}/plan"),
            "user": ("admin", "/users/1"),
            "community": ("owner", "/communities/1"),
            "staff": ("admin", "/communities/1"),
            "organisation": ("owner", "/accounts/1"),
            "kiosk": ("owner", "/portfolio?kiosk"),
        }
    return found


def main(wanted: list[str]) -> None:
    """Take them all, or those whose names contain a word that was given."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as driver:
        browser = start_browser(driver)
        for state in ("full", "empty"):
            if wanted and not any(state in one or "-" not in one for one in wanted):
                continue
            with serve(full=state == "full") as platform:
                shoot(browser, platform, state, wanted)
        browser.close()


def shoot(browser: Any, platform: Platform, state: str, wanted: list[str]) -> None:
    """Take the pages of a platform."""
    for size, (width, height) in SIZES.items():
        for theme in ("light", "dark"):
            by_user: dict[str, Any] = {}
            for name, (user, path) in pages(platform).items():
                title = f"{name}-{size}-{theme}-{state}"
                if wanted and not any(
                    all(part in title.split("-") for part in one.split("-")) for one in wanted
                ):
                    continue
                if user not in by_user:
                    context = browser.new_context(
                        viewport={"width": width, "height": height}, color_scheme=theme
                    )
                    by_user[user] = context.new_page()
                    if user:
                        log_in(by_user[user], platform.address, user)
                page = by_user[user]
                complaints = Complaints(platform.address)
                complaints.watch(page)
                page.goto(platform.address + path, wait_until="networkidle")
                page.wait_for_timeout(400)
                page.screenshot(path=FOLDER / f"{title}.png", full_page=True)
                if complaints.texts or complaints.foreign:
                    print(title, complaints.texts[:3], complaints.foreign[:3])  # noqa: T201
            for page in by_user.values():
                page.context.close()


if __name__ == "__main__":
    main(sys.argv[1:])
