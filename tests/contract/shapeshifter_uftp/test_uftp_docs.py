"""The documentation says what is so: tables, rules, commands, and a tutorial that runs."""

import subprocess
import sys
from pathlib import Path

import pytest

from shapeshifter_uftp import cli
from shapeshifter_uftp.reference import message_reference
from shapeshifter_uftp.rules import RULES

DOCS = Path(__file__).parents[3] / "docs"


def test_the_reference_of_messages_is_that_of_the_declarations():
    """The page is what ``make docs`` makes of the declarations."""
    assert (DOCS / "reference" / "uftp-messages.md").read_text() == message_reference()


def test_every_rule_and_command_is_in_the_reference():
    """No rule and no command is without its line."""
    page = (DOCS / "reference" / "uftp-library.md").read_text()
    for name, rule in RULES.items():
        assert f"| `{name}` |" in page
        assert rule.check.__doc__.splitlines()[0] in page
    missing = [name for name in cli.main.commands if f"`{name}`" not in page]
    assert missing == []


def test_the_tutorial_runs(tmp_path):
    """The program of the tutorial prints what the tutorial says."""
    page = (DOCS / "tutorials" / "uftp-first-aggregator.md").read_text()
    program = page.split("```python\n")[1].split("```")[0]
    for port in ("9001", "9002"):
        program = program.replace(f"port={port}", f'host="127.0.0.1", port=1{port}')
    path = tmp_path / "first_agr.py"
    path.write_text(program)
    printed = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, check=True, timeout=30
    ).stdout
    assert printed == page.split("```console\n")[1].split("\n", 1)[1].split("```")[0]


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.rglob("uftp-*.md")))
def test_links_between_pages_lead_somewhere(page):
    """A relative link to another page finds it."""
    path = next(DOCS.rglob(page))
    for part in path.read_text().split("](")[1:]:
        target = part.split(")", 1)[0]
        if target.endswith(".md"):
            assert (path.parent / target).exists(), target
