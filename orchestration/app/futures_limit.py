"""How many futures a study may meet: one limit for whoever asks, at the command line, the API or
the desk."""

from __future__ import annotations

#: One future says nothing of chance.
LEAST_FUTURES = 2
#: As many futures as a forecast is sampled for.
MOST_FUTURES = 200


def check_futures(futures: int) -> int:
    """The number, where a study can meet so many futures. Raises ValueError where it cannot."""
    if not LEAST_FUTURES <= futures <= MOST_FUTURES:
        raise ValueError(
            f"a study meets {LEAST_FUTURES} to {MOST_FUTURES} futures, not {futures}: one says "
            "nothing of chance, and a forecast is sampled no more often"
        )
    return futures
