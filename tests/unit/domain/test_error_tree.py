"""The one error tree."""

import inspect

import pytest

from flexmeasures.domain import errors

CLASSES = [
    value for _, value in inspect.getmembers(errors, inspect.isclass) if value.__module__ == errors.__name__
]


def test_all_errors_are_one_tree():
    """Every error can be told to a caller, and all of them are public."""
    assert {one.__name__ for one in CLASSES} == set(errors.__all__)
    assert all(issubclass(one, errors.FlexError) for one in CLASSES)


def test_codes_are_unique():
    """A machine can tell all errors apart by their codes."""
    codes = [one.code for one in CLASSES]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_errors_say_their_message(kind):
    """An error is written as its message and carries details as data."""
    error = kind("A message.")
    assert str(error) == error.message == "A message."
    assert isinstance(error.details, dict)


def test_infeasible_plans_name_what_clashes():
    """The limits that clash are named in order, for people and for machines."""
    error = errors.Infeasible("No plan.", clashing=["target", "capacity"])
    assert error.clashing == ("target", "capacity")
    assert error.details == {"clashing": ["target", "capacity"]}


def test_upstream_failures_say_whether_to_try_again():
    """A failure of others can be repeated unless it says otherwise."""
    assert errors.SolverFailed("It ended.").retryable
    assert errors.StoreUnavailable("No rights.", retryable=False).details == {"retryable": False}
