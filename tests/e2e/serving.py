"""What the browser tests share: a served platform with a full scene, and a browser that reports what goes wrong."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from flexmeasures.app import create
from flexmeasures.auth.setup import hash_new_password
from flexmeasures.cli.demonstration.scene import Scene
from flexmeasures.cli.demonstration.served import add_people, fill_pages
from flexmeasures.data.database import db, prepare, redis_connection
from flexmeasures.services.structure import add_structure

PASSWORD = "correct horse battery"
BROWSER_OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Platform:
    """A served platform."""

    app: Flask
    address: str
    scene: Scene | None = None


class _Quiet(WSGIRequestHandler):
    """Logs nothing: the browser says what went wrong."""

    def log(self, *_: Any, **__: Any) -> None:
        """Drop a line."""


@contextmanager
def serve(full: bool = True, **settings: Any) -> Iterator[Platform]:
    """Serve a platform of its own: with a site around the present, or empty but for its users."""
    with tempfile.TemporaryDirectory(prefix="fm-") as folder:
        told = {
            "FLEXMEASURES_INSTANCE_PATH": folder,
            "FLEXMEASURES_TIMEZONE": "Europe/Berlin",
            "WTF_CSRF_ENABLED": True,
            "FLEXMEASURES_LISTED_VIEWS": [
                "dashboard",
                "portfolio",
                "analytics",
                "control",
                "assets",
                "upload",
                "users",
            ],
            **settings,
        }
        app = create("testing", settings=told)
        prepare(app)
        with app.app_context():
            scene = fill(app, full)
        server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Platform(app, f"http://127.0.0.1:{server.port}", scene)
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
            with app.app_context():
                db.session.remove()
                db.engine.dispose()
            redis_connection(app).connection_pool.disconnect()
            app.extensions["embedded"].services.leave()


def fill(app: Flask, full: bool) -> Scene | None:
    """Add the people, and the site of the owner with its plans."""
    add_structure(db.session)
    people = add_people(db.session(), hash_new_password(PASSWORD))
    db.session.commit()
    return fill_pages(db.session(), people, app.config, datetime.now(UTC)) if full else None


def start_browser(driver: Any) -> Any:
    """Start Chromium without a window: the one of this machine, or Playwright's own."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return driver.chromium.launch(executable_path=path, args=BROWSER_OPTIONS)


@dataclass
class Complaints:
    """What a page should not do: log errors, or ask other servers than ours."""

    address: str
    texts: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def watch(self, page: Any) -> None:
        """Watch a page from now on."""
        page.on("console", lambda one: self.texts.append(one.text) if one.type == "error" else None)
        page.on("pageerror", lambda error: self.texts.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))

    @property
    def foreign(self) -> list[str]:
        """Addresses of others that were asked."""
        return [url for url in self.asked if not url.startswith((self.address, "data:", "blob:"))]


def log_in(page: Any, address: str, name: str) -> None:
    """Log in by the form."""
    page.goto(f"{address}/login")
    page.fill("input[name=email]", f"{name}@example.com")
    page.fill("input[name=password]", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_url(lambda url: not url.startswith(f"{address}/login"))
