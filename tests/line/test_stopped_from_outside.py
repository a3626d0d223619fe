"""A run that is told to end says that, wherever it is told: DuckDB has words of its own for it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from types import FrameType

import dagster as dg
import duckdb
import pytest
from dagster._utils.error import serializable_error_info_from_exc_info

from orchestration.runs.line import _Listener

LONG = "select count(distinct hash(range)) from range(20000000)"


@pytest.fixture
def interrupted() -> Iterator[None]:
    """A signal in a fifth of a second, as Dagster hears it inside a step."""

    def hear(_signal: int, _frame: FrameType | None) -> None:
        raise dg.DagsterExecutionInterruptedError

    before = signal.signal(signal.SIGALRM, hear)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("in_a_query", [True, False])
def test_a_step_that_is_interrupted_was_stopped_from_outside(
    interrupted: None, in_a_query: bool
) -> None:
    listener = _Listener(None)
    try:
        if in_a_query:
            duckdb.connect().execute(LONG)
        else:
            signal.pause()
    except BaseException:
        listener._fail("land", serializable_error_info_from_exc_info(sys.exc_info()))
    assert str(listener.first_failure) == "it was stopped from outside: run it again"
