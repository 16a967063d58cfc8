"""The menu: the views that the setting FLEXMEASURES_LISTED_VIEWS names, as far as the user may open them."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app
from flask_login import current_user

from flexmeasures.domain.rights import Action
from flexmeasures.services.rights import may_everywhere
from flexmeasures.services.users import has_role

__all__ = ["Entry", "menu_entries"]


@dataclass(frozen=True)
class Entry:
    """An entry of the menu.

    Attributes:
        icon: Name of its symbol.
        is_open: Whether the user may follow it; others see the word only.
    """

    name: str
    caption: str
    address: str
    icon: str
    is_open: bool = True


_CAPTIONS = {
    "dashboard": "Dashboard",
    "assets": "Assets",
    "users": "Users",
    "portfolio": "Portfolio overview",
    "analytics": "Analytics",
    "upload": "Upload data",
    "control": "Flexibility actions",
    "alerts": "Alerts",
    "communities": "Communities",
    "grid-events": "Grid events",
    "accounts": "Accounts",
    "audit": "Audit log",
}

_ROLES = {
    "users": ("admin",),
    "portfolio": ("admin", "Prosumer"),
    "analytics": ("admin", "Prosumer"),
    "control": ("admin", "Prosumer", "Aggregator", "Supplier"),
}

_CLOSED_TO_ANONYMOUS = (
    "tasks",
    "users",
    "control",
    "portfolio",
    "upload",
    "communities",
    "grid-events",
    "accounts",
    "audit",
)


def menu_entries() -> list[Entry]:
    """List the entries for the user of this request; none for visitors."""
    if not current_user.is_authenticated:
        return []
    is_anonymous = has_role(current_user, "anonymous")
    entries = [
        _entry(name, is_anonymous)
        for name in current_app.config["FLEXMEASURES_LISTED_VIEWS"]
        if is_anonymous or name not in _ROLES or has_role(current_user, *_ROLES[name])
    ]
    if may_everywhere(current_user, Action.READ) or current_app.config["FLEXMEASURES_MODE"] == "demo":
        entries.append(Entry("tasks", "Tasks", "/tasks/", "tasks", not is_anonymous))
    return entries


def _entry(name: str, is_anonymous: bool) -> Entry:
    """Make the entry of one of our views, or of a plugin's."""
    path = name.strip("/")
    caption = _CAPTIONS.get(path) or path.rpartition("/")[2].replace("-", " ").replace("_", " ").capitalize()
    icon = path if path in _CAPTIONS else "plugin"
    address = f"/{path}/" if path == "assets" else f"/{path}"
    return Entry(path, caption, address, icon, not (is_anonymous and path in _CLOSED_TO_ANONYMOUS))
