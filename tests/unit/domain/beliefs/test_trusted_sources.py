"""Whose beliefs about a public sensor count: the rule by itself."""

import pytest

from flexmeasures.domain.beliefs import Speaker, trusted_source_ids

PROGRAM = Speaker(1, is_program=True)
SUPPLIER = Speaker(2, False, 20, frozenset({"Supplier"}))
PROSUMER = Speaker(3, False, 30, frozenset({"Prosumer"}))
BOTH = Speaker(4, False, 40, frozenset({"Prosumer", "MDC"}))
ADMIN = Speaker(5, False, 50, frozenset({"admin"}))
DELETED = Speaker(6, False, None)
OTHER_ROLE = Speaker(7, False, 70, frozenset({"Prosumer", "task-runner"}))
ALL = (PROGRAM, SUPPLIER, PROSUMER, BOTH, ADMIN, DELETED, OTHER_ROLE)


@pytest.mark.parametrize(
    ("arguments", "trusted"),
    [
        pytest.param({}, {1, 2, 4, 5}, id="the market roles other than Prosumer"),
        pytest.param(
            {"reader_id": 30}, {1, 2, 3, 4, 5}, id="what the reader has posted counts for the reader"
        ),
        pytest.param({"roles": frozenset({"MDC"})}, {1, 4, 5}, id="only roles that the market names"),
        pytest.param({"roles": frozenset()}, {1, 5}, id="nobody but programs and admins"),
        pytest.param(
            {"roles": frozenset({"Prosumer"})}, {1, 3, 4, 5, 7}, id="everybody who has the named role"
        ),
    ],
)
def test_who_is_trusted(arguments, trusted):
    """Programs, admins and the reader count always; other users by the roles that the market trusts."""
    assert trusted_source_ids(ALL, **arguments) == trusted
