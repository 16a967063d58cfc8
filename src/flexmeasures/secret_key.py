"""The key that signs sessions and tokens: as it is set, made where nobody else is served, refused if it is weak."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from flexmeasures.setting_types import CONFIG_FILE, SettingsError

__all__ = ["provide_secret_key"]

SHORTEST_KEY = 16
"""Fewest characters of SECRET_KEY where others may be served."""

FEWEST_SIGNS = 6
"""So many different characters at least: a long row of few is as easily guessed."""

_KNOWN_KEYS = (
    "your-secret-key-here",
    "change-me-please!",
    "changemechangeme",
    "secret-key-change-me",
    "supersecretkey123",
)
_MAKE_KEY = 'python -c "import secrets; print(secrets.token_urlsafe())"'


def provide_secret_key(values: dict[str, Any], env: str, instance_path: Path) -> str:
    """Find the key that signs sessions and tokens, or make one for the embedded default.

    Raises:
        SettingsError: If there is none and the database is not the embedded one, or if it can be guessed and others may
            be served; says how to make one.
    """
    if values["SECRET_KEY"]:
        return _checked_key(str(values["SECRET_KEY"]), env, "SECRET_KEY")
    if env in ("documentation", "testing"):
        return f"only-for-{env}"
    key_file = instance_path / "secret_key"
    if key_file.is_file():
        return _checked_key(key_file.read_text().strip(), env, str(key_file))
    if values["SQLALCHEMY_DATABASE_URI"]:
        raise SettingsError(
            "SECRET_KEY is not set; it signs sessions and tokens and must be kept secret. "
            f"Make one with\n\n    {_MAKE_KEY}\n\n"
            f"and set it as environment variable SECRET_KEY, in ~/.flexmeasures.cfg or in "
            f"{instance_path / CONFIG_FILE}, or write it to {key_file} (readable by its owner only)."
        )
    instance_path.mkdir(parents=True, exist_ok=True)
    draft = instance_path / f".secret_key.{os.getpid()}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(32))
    try:
        os.link(draft, key_file)  # whole or not at all, and the first of several processes wins
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return key_file.read_text().strip()


def _checked_key(key: str, env: str, where: str) -> str:
    """Make sure that a key cannot be guessed, where others may be served.

    Raises:
        SettingsError: If it can; names neither the key nor its length.
    """
    if env not in ("production", "staging"):
        return key
    if len(key) >= SHORTEST_KEY and len(set(key)) >= FEWEST_SIGNS and key.lower() not in _KNOWN_KEYS:
        return key
    raise SettingsError(
        f"{where} is too weak: who guesses it can log in as anybody. It should have at least {SHORTEST_KEY} "
        f"characters, by chance. Make one with\n\n    {_MAKE_KEY}\n\n"
        "It also salts passwords: to keep those that there are, set SECURITY_PASSWORD_SALT to the old key. "
        "For development, set FLASK_ENV=development."
    )
