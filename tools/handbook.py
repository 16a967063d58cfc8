"""Hooks of MkDocs beside ``mkdocs.yml``: the navigation of the front page, and the pages from outside of ``docs``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]

OUTSIDE = {"CHANGELOG.md": "changelog.md", "SECURITY.md": "security.md", "CONTRIBUTING.md": "contributing.md"}
"""Pages of the project beside its documentation, and what they are called there."""


def on_config(config: Any) -> Any:
    """Take the navigation from the front page, so that there is one list of all pages."""
    text = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    config.nav = [{"Home": "index.md"}, *read_navigation(text)]
    return config


def read_navigation(text: str) -> list[dict[str, list[dict[str, str]]]]:
    """Read the chapters of the front page, each with its pages by title."""
    chapters = []
    for chapter in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, _, body = chapter.partition("\n")
        links = re.findall(r"\[([^\]]+)\]\(([^)#\s]+\.md)\)", body)
        pages = [{name: OUTSIDE.get(path.removeprefix("../"), path)} for name, path in links]
        chapters.append({title.strip(): pages})
    return chapters


def on_files(files: Files, config: Any) -> Files:
    """Add the pages from outside."""
    for source, target in OUTSIDE.items():
        files.append(
            File.generated(config, target, content=move_links((ROOT / source).read_text(encoding="utf-8")))
        )
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead links out of ``docs`` to the pages that stand in the site for those files."""
    depth = page.file.src_uri.count("/")
    for source, target in OUTSIDE.items():
        markdown = markdown.replace(f"]({'../' * (depth + 1)}{source})", f"]({'../' * depth}{target})")
    return markdown


def move_links(text: str) -> str:
    """Lead links of a page of the project's root to where they lead from the root of the site."""
    for source, target in OUTSIDE.items():
        text = text.replace(f"]({source})", f"]({target})")
    return text.replace("](docs/", "](").replace(
        "](LICENSE)", "](https://www.apache.org/licenses/LICENSE-2.0)"
    )
