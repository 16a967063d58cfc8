"""The examples in docstrings are right."""

import doctest
import importlib
import pkgutil

import pytest

import flexmeasures.domain
import shapeshifter_uftp

MODULES = sorted(
    module.name
    for package in (flexmeasures.domain, shapeshifter_uftp)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not module.name.endswith("__main__")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(name):
    """Each example of a module gives the answer that stands below it."""
    failed = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE).failed
    assert not failed
