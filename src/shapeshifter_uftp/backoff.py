"""Pauses between attempts that grow: for what is sent again, and for what is handled again."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Backoff", "HandlingPolicy", "Pause"]


@dataclass(frozen=True, slots=True)
class Pause:
    """A message that is to be tried again.

    Attributes:
        until: When: seconds since 1970.
        whole_lane: Whether everything else of the same partner waits with it, as when the partner is away. Without it
            only what must follow this message waits.
    """

    until: float
    whole_lane: bool = False


@dataclass(frozen=True, slots=True)
class Backoff:
    """When to try again.

    Attributes:
        first_pause: Pause after the first failure [s].
        growth: Factor from one pause to the next.
        longest_pause: Cap of the pause [s].
        jitter: Random part of a pause, 0 to 1: those that failed together do not return together.
        give_up_after: How long to try [s].
    """

    first_pause: float = 1.0
    growth: float = 2.0
    longest_pause: float = 300.0
    jitter: float = 0.2
    give_up_after: float = 2 * 3600.0

    def pause(self, attempts: int, chance: float) -> float:
        """Return the pause [s] after a number of failed attempts; ``chance`` is a random number from 0 to 1.

        >>> policy = Backoff(jitter=0.0)
        >>> [policy.pause(n, 0.5) for n in (1, 2, 3, 20)]
        [1.0, 2.0, 4.0, 300.0]
        """
        pause = min(self.longest_pause, self.first_pause * self.growth ** min(attempts - 1, 60))
        return pause * (1 + self.jitter * (2 * chance - 1))

    def is_last(self, attempts: int) -> bool:
        """Tell whether a number of failed attempts fills the time: the pauses between them, without jitter.

        Attempts are counted rather than hours, because the time in which no service ran is not a time of trying.

        >>> policy = Backoff(first_pause=1.0, longest_pause=4.0, give_up_after=10.0)  # pauses of 1, 2, 4, 4 s
        >>> [policy.is_last(n) for n in (1, 3, 4, 5)]
        [False, False, True, True]
        """
        tried = 0.0
        for attempt in range(1, attempts + 1):
            tried += self.pause(attempt, 0.5)
            if tried > self.give_up_after:
                return True
        return False


@dataclass(frozen=True, slots=True)
class HandlingPolicy(Backoff):
    """When a received message whose hook fails is handled again: at first after half a second, for twelve hours.

    A message that was answered with 200 must not be lost because a database is being restarted.
    """

    first_pause: float = 0.5
    give_up_after: float = 12 * 3600.0
