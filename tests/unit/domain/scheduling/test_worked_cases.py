"""The cases of the documentation that are computed by hand."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[4] / "docs/explanation/worked-cases.md"
SETUP, *CASES = re.findall(
    r"^\*\*(.+?)[.,]?\*\*.*?```python\n(.*?)```|```python\n(.*?)```", PAGE.read_text(), re.DOTALL | re.M
)
NAMES = {"house": "house = Profile('house', [1.0, 1.0, 1.0])"}


@pytest.fixture(scope="module")
def names():
    """What the page sets up, shared by its cases in their order."""
    known = {}
    exec(SETUP[2], known)
    exec(NAMES["house"], known)
    return known


@pytest.mark.parametrize("case", [pytest.param(code, id=name) for name, code, _ in CASES])
def test_a_case_comes_out_as_the_page_says(names, case):
    """What the page computes by hand is what the planner does."""
    exec(case, names)


def test_all_cases_are_tried():
    """Each case of the page is one of these tests."""
    assert len(CASES) == PAGE.read_text().count("```python") - 1
