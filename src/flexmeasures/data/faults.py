"""Errors of the stores, whoever raised them: what each means, what may be tried again, and how to begin anew.

The driver's own errors reach us beside SQLAlchemy's, because bulk data go past SQLAlchemy. Both carry the same code.

Source: PostgreSQL documentation, Appendix A, "PostgreSQL Error Codes".
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from enum import Enum
from typing import TypeVar

import psycopg
from redis.exceptions import RedisError
from sqlalchemy import exc
from sqlalchemy.orm import Session

__all__ = ["STORE_ERRORS", "Fault", "classify", "give_back", "try_again"]

STORE_ERRORS = (exc.SQLAlchemyError, psycopg.Error, RedisError)
"""All that the clients of the stores raise."""

ATTEMPTS = 5
"""Number of attempts of a transaction that others stand in the way of."""

LONGEST_PAUSE = 0.02
"""Before the second attempt; each time twice as long [s]."""

Outcome = TypeVar("Outcome")


class Fault(Enum):
    """Meaning of an error of a store."""

    AWAY = "the store does not answer, or cannot do now what it was asked to"
    IN_THE_WAY = "another transaction stood in the way"
    PARENT_GONE = "what the data belong to does not exist, or not any more"
    CLASH = "a unique value is taken"
    UNSTORABLE = "a value that the database cannot store"
    BUG = "a statement that is wrong"


# By code or, where all of a class mean the same, by its first two characters.
_MEANING = {
    "08": Fault.AWAY,  # connection exception
    "28": Fault.AWAY,  # the server does not let us in
    "3D": Fault.AWAY,  # there is no such database: it is being restored
    "53": Fault.AWAY,  # disk full, out of memory, too many connections
    "57": Fault.AWAY,  # shut down, starting up, cancelled, out of time
    "58": Fault.AWAY,  # input or output failed
    "25006": Fault.AWAY,  # read-only: a standby, or set so by its operator
    "25P03": Fault.AWAY,  # idle in transaction for too long
    "25P04": Fault.AWAY,  # transaction timeout
    "55P03": Fault.AWAY,  # lock timeout
    "40003": Fault.AWAY,  # nobody knows whether it was done
    "40001": Fault.IN_THE_WAY,  # serialization failure
    "40P01": Fault.IN_THE_WAY,  # deadlock
    "23503": Fault.PARENT_GONE,
    "23505": Fault.CLASH,
    "22": Fault.UNSTORABLE,
    "54": Fault.UNSTORABLE,  # beyond what the server can take, such as a statement that is too long
}


def classify(error: BaseException) -> Fault:
    """Tell what an error of the database's driver, of SQLAlchemy or of the job store's client means."""
    if isinstance(error, RedisError | exc.TimeoutError):  # SQLAlchemy's: no connection of the pool is free
        return Fault.AWAY
    original = error.orig if isinstance(error, exc.DBAPIError) else error
    if not isinstance(original, psycopg.Error):
        return Fault.BUG
    code = original.sqlstate
    if code is not None:
        return _MEANING.get(code) or _MEANING.get(code[:2]) or Fault.BUG
    # Without a code the driver itself speaks: the line is cut, or a value cannot be sent.
    if isinstance(original, psycopg.DataError):
        return Fault.UNSTORABLE
    is_cut = isinstance(original, psycopg.OperationalError | psycopg.InterfaceError)
    return Fault.AWAY if is_cut else Fault.BUG


def give_back(session: Session) -> None:
    """End the transaction of a session, whatever state its connection is in; the next one begins afresh."""
    try:
        session.rollback()
    except (exc.SQLAlchemyError, psycopg.Error):
        session.invalidate()


def try_again(session: Session, work: Callable[[], Outcome]) -> Outcome:
    """Do a piece of work in a transaction, again if another transaction stood in its way.

    Args:
        session: In which the work is done; it is rolled back between two attempts.
        work: Ends with a commit, and may be done again from the start.

    Raises:
        What the work raises, also after the last attempt.
    """
    for attempt in range(1, ATTEMPTS):
        try:
            return work()
        except (exc.DBAPIError, psycopg.Error) as error:
            if classify(error) is not Fault.IN_THE_WAY:
                raise
            give_back(session)
            # At random, so that those who met do not meet again.
            time.sleep(random.uniform(0, LONGEST_PAUSE * 2**attempt))  # noqa: S311 - not a secret
    return work()
