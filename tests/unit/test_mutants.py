"""The list of deliberate faults keeps up with the code."""

from pathlib import Path

import pytest
from tests.mutants.__main__ import read_mutants

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("mutant", read_mutants(), ids=lambda mutant: mutant.name)
def test_each_fault_can_be_put_into_the_code_and_its_tests_exist(mutant):
    """The text to replace stands once in its module, and the tests that must notice are there."""
    assert mutant.mutated(ROOT / "src")
    assert all((ROOT / "tests" / test).is_file() for test in mutant.tests)
