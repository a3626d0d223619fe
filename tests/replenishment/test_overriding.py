"""Laws of the planner's overrides on record: added and never changed, refused where they could do
nothing, known when they were."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from models.replenishment.overrides import Override
from orchestration.home import Home
from orchestration.planning import override_journal

NOW, TOMORROW = datetime(2011, 12, 9, 23, 59), date(2011, 12, 10)
PLANNED = pl.DataFrame(
    {
        "item_id": ["A", "A", "B"],
        "location_id": ["UK", "IE", "UK"],
        "kind": "transfer",
        "from_id": "DC",
        "lead_time_periods": 3,
    }
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.found(tmp_path / "home", "tea")


def wanted(value: float = 1.5, kind: Any = "demand_factor", **more: Any) -> Override:
    return Override(kind, value, **({"reason": "fair in town", "scope": {"item_id": "A"}} | more))


def test_what_is_recorded_comes_back_and_says_who_and_which(home: Home) -> None:
    first, touched = override_journal.add(
        home, PLANNED, wanted(expires_on=date(2011, 12, 24)), "jo", NOW, TOMORROW
    )
    second, _ = override_journal.add(
        home, PLANNED, wanted(9.0, "parameter", parameter="holding_cost"), "kim", NOW, TOMORROW
    )
    assert (first.override_id, second.override_id, touched) == ("override-1", "override-2", 2)
    assert override_journal.entries(home) == [first, second]
    assert [override.reason for override in override_journal.in_force(home, NOW, TOMORROW)] == [
        "fair in town (jo, override-1)",
        "fair in town (kim, override-2)",
    ]


def test_an_override_counts_from_when_it_was_known_to_the_end_of_its_last_day(home: Home) -> None:
    override_journal.add(home, PLANNED, wanted(expires_on=date(2011, 12, 24)), "jo", NOW, TOMORROW)
    assert not override_journal.in_force(home, NOW - timedelta(seconds=1), TOMORROW)
    assert override_journal.in_force(home, NOW + timedelta(days=14), date(2011, 12, 24))
    assert not override_journal.in_force(home, NOW + timedelta(days=15), date(2011, 12, 25))


def test_a_plan_knows_what_was_on_record_when_it_read_and_nothing_since(home: Home) -> None:
    override_journal.add(home, PLANNED, wanted(), "jo", NOW, TOMORROW)
    read = override_journal.size(home)
    override_journal.add(home, PLANNED, wanted(9.0, scope={"item_id": "B"}), "kim", NOW, TOMORROW)
    override_journal.expire(home, "override-1", "kim", "the fair is off", NOW)
    then = override_journal.in_force(home, NOW, TOMORROW, read)
    assert [one.reason for one in then] == ["fair in town (jo, override-1)"]
    unknown = override_journal.unplanned(home, NOW, PLANNED, read, since=datetime(2999, 1, 1))
    assert {entry.override_id for entry in unknown.values()} == {"override-2"}
    assert {item for item, _ in unknown} == {"B"}
    for since, late in ((datetime(2999, 1, 1), 0), (datetime(2011, 1, 1), 1)):  # an older plan's
        assert len(override_journal.unplanned(home, NOW, PLANNED, None, since)) == late


def test_a_line_torn_by_a_crash_is_not_read_and_so_not_counted_as_read(home: Home) -> None:
    override_journal.add(home, PLANNED, wanted(), "jo", NOW, TOMORROW)
    with (home.state / override_journal.FILE).open("ab") as file:
        file.write(b'{"event": "add')
    read = override_journal.size(home)
    override_journal.add(home, PLANNED, wanted(9.0), "kim", NOW, TOMORROW)
    known = override_journal.entries(home, read)
    assert [entry.override_id for entry in known] == ["override-1"]


def test_expiring_ends_it_from_then_on_and_rewrites_nothing(home: Home) -> None:
    override_journal.add(home, PLANNED, wanted(), "jo", NOW, TOMORROW)
    before = (home.state / override_journal.FILE).read_bytes()
    later = NOW + timedelta(days=7)
    override_journal.expire(home, "override-1", "kim", "the fair is off", later)
    assert (home.state / override_journal.FILE).read_bytes().startswith(before)
    assert override_journal.in_force(
        home, later - timedelta(days=1), TOMORROW
    ) and not override_journal.in_force(home, later, TOMORROW)
    assert override_journal.entries(home)[0].ended_by == "kim"
    with pytest.raises(ValueError, match="ended by kim"):
        override_journal.expire(home, "override-1", "jo", "again", later)
    with pytest.raises(ValueError, match="no 'override-9'; on record and not ended: none"):
        override_journal.expire(home, "override-9", "jo", "which", later)


@pytest.mark.parametrize(
    ("override", "author", "message"),
    [
        (wanted(), " ", "who wants this"),
        (wanted(reason=""), "jo", "says why"),
        (wanted(expires_on=date(2011, 12, 9)), "jo", "before the first day of the next plan"),
        (wanted(scope={"item_id": "Z"}), "jo", "no planned item and location has item_id Z"),
        (wanted(scope={"colour": "red"}), "jo", "'colour', which is no column"),
        (wanted(5.0, "parameter", parameter="moq"), "jo", "'moq' is no parameter"),
        (wanted(4.0, "parameter", parameter="lead_time_periods"), "jo", "up to 3 periods, not 4"),
        (wanted(45.0, "quantity"), "jo", "each of 2 items and locations"),
    ],
)
def test_an_override_that_could_do_nothing_or_too_much_is_refused_and_not_recorded(
    home: Home, override: Override, author: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        override_journal.add(home, PLANNED, override, author, NOW, TOMORROW)
    assert override_journal.entries(home) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"kind": "wish"}, "no kind of override 'wish'"),
        ({"scope": ["item_id"]}, "COLUMN=VALUE"),
        ({"expires": "Christmas"}, "Christmas"),
        ({"value": float("nan")}, "must be a number"),
    ],
)
def test_words_that_are_not_understood_are_named(words: dict[str, Any], message: str) -> None:
    plain: dict[str, Any] = {
        "kind": "quantity",
        "value": 1.0,
        "reason": "why",
        "scope": ["item_id=A"],
        "expires": None,
        "parameter": None,
    }
    with pytest.raises(ValueError, match=message):
        override_journal.parse(**(plain | words))


def test_a_line_cut_off_by_a_crash_never_counts_and_the_next_one_takes_its_place(
    home: Home,
) -> None:
    override_journal.add(home, PLANNED, wanted(), "jo", NOW, TOMORROW)
    path = home.state / override_journal.FILE
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole + whole[:cut])
        assert len(override_journal.entries(home)) == 1
    override_journal.add(home, PLANNED, wanted(2.0), "kim", NOW, TOMORROW)
    assert [entry.author for entry in override_journal.entries(home)] == ["jo", "kim"]
    assert [json.loads(line)["override_id"] for line in path.read_text().splitlines()] == [
        "override-1",
        "override-2",
    ]


def test_a_spoilt_line_is_named(home: Home) -> None:
    (home.state / override_journal.FILE).write_text('{"event": "added"}\n', encoding="utf-8")
    with pytest.raises(ValueError, match="line 1 is no override"):
        override_journal.entries(home)
