"""The inbox hands every message on exactly once, wherever it dies in between, and takes nothing
apart that it cannot read."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration.intake import Inbox, Message, drain, forget_landed, inbox, waiting
from orchestration.intake.inbox import message_lines


def sale(number: int) -> Message:
    body = {"id": f"s{number}", "item": "apple", "store": "north", "day": "2024-03-01", "qty": 1}
    return Message(f"s{number}", json.dumps(body).encode())


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(st.integers(0, 30), max_size=8)),
        st.tuples(st.just("drain"), st.integers(1, 5)),
        st.tuples(
            st.sampled_from(["die before the file", "die after the file"]), st.integers(1, 5)
        ),
    ),
    max_size=12,
)


class _Died(Exception):
    """As kill -9 would."""


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(STEPS)
def test_any_order_of_repeats_drains_and_deaths_hands_each_message_on_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, Any]]
) -> None:
    folder, sent, write = tmp_path_factory.mktemp("inbox"), set(), inbox.write_delivery

    def before(*_: Any) -> None:
        raise _Died

    def after(*said: Any) -> None:
        write(*said)
        raise _Died

    for step, value in [*steps, ("drain", 3)]:
        with Inbox(folder) as box, pytest.MonkeyPatch.context() as patch:
            if step == "add":
                box.add("sales", [sale(number) for number in value])
                sent |= {f"s{number}" for number in value}
                continue
            if step != "drain":
                patch.setattr(
                    inbox, "write_delivery", before if step == "die before the file" else after
                )
            try:
                box.drain("sales", batch_rows=value)
            except _Died:
                continue
    found = [
        json.loads(line)["_message_id"]
        for path in folder.glob("sales/*.jsonl")
        for line in path.read_text().splitlines()
    ]
    assert sorted(found) == sorted(sent)


def test_two_messages_with_equal_bodies_are_two_sales(shop: Any) -> None:
    world = shop.world(stream={"webhook": "${X}"}, identity="row")
    body = sale(1).body
    for number in ("a", "b"):  # two batches whose rows are equal but for the envelope
        with Inbox(shop.inbox) as box:
            box.add("sales", [Message(number, body)])
        drain(world, shop.inbox)
    assert shop.landed(world) == (2, 2.0)


def test_the_same_id_at_two_sources_is_two_messages(tmp_path: Path) -> None:
    with Inbox(tmp_path) as box:
        assert (
            box.add("tills", [sale(1)]) + box.add("web", [sale(1)]) + box.add("web", [sale(1)]) == 2
        )
        assert (box.waiting("tills"), box.waiting("web")) == (1, 1)


def test_the_lag_is_what_has_not_been_handed_on(shop: Any) -> None:
    world = shop.world(stream={"webhook": "${X}"})
    with Inbox(shop.inbox) as box:
        box.add("sales", [sale(number) for number in range(5)])
    assert waiting(world, shop.inbox) == {"sales": 5}
    drain(world, shop.inbox)
    assert waiting(world, shop.inbox) == {"sales": 0}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"nonsense\nin two lines",
        b"3",
        b'"\\ud800"',
        b'{"a": "\\ud800"}',
        b"[" * 100_000,
        b'{"a": NaN}',
        b"9" * 5000,
    ],
)
def test_what_is_no_object_is_quarantined_with_its_text_and_holds_nothing_up(
    shop: Any, body: bytes
) -> None:
    world = shop.world(stream={"webhook": "${X}"})
    with Inbox(shop.inbox) as box:
        box.add("sales", [sale(1), Message("odd", body), sale(2)])
    drain(world, shop.inbox)
    assert shop.landed(world) == (2, 2.0)
    assert shop.quarantined() == 1


@given(
    st.lists(st.dictionaries(TEXT, st.none() | st.booleans() | st.integers() | TEXT), min_size=1)
)
def test_every_row_of_a_message_is_one_line_with_its_envelope(rows: list[dict[str, Any]]) -> None:
    lines = list(message_lines("m", "2024-03-01 00:00:00", json.dumps(rows).encode()))
    assert all("\n" not in line for line in lines)
    assert [json.loads(line) for line in lines] == [
        {**row, "_message_id": "m", "_received_at": "2024-03-01 00:00:00"} for row in rows
    ]


def test_a_dropped_file_appears_as_a_delivery_once_it_is_left_alone(shop: Any) -> None:
    world = shop.world(stream="folder")
    drop = shop.inbox / "sales" / "drop"
    drop.mkdir(parents=True)
    for name, age in (
        ("settled.jsonl", 60),
        ("growing.jsonl", -3600),
        (".hidden.jsonl", 60),
        ("read-me.txt", 60),
    ):
        (drop / name).write_bytes(sale(1).body + b"\n" + sale(2).body)
        os.utime(drop / name, (time.time() - age,) * 2)
    (drop / "link.jsonl").symlink_to(drop / "read-me.txt")
    assert len(drain(world, shop.inbox)) == 1
    assert shop.landed(world) == (2, 2.0)
    assert not (drop / "settled.jsonl").exists()
    assert {path.name for path in drop.iterdir()} == {
        "growing.jsonl",
        ".hidden.jsonl",
        "read-me.txt",
        "link.jsonl",
    }
    (drop / "again.jsonl").write_bytes(sale(1).body + b"\n" + sale(2).body)
    os.utime(drop / "again.jsonl", (time.time() - 60,) * 2)
    assert drain(world, shop.inbox) == []


def test_what_landing_has_committed_leaves_the_inbox_and_comes_to_nothing_when_sent_again(
    shop: Any,
) -> None:
    world = shop.world(stream={"webhook": "${X}"}, identity="row")
    with Inbox(shop.inbox) as box:
        box.add("sales", [sale(1), sale(2)])
        drain(world, shop.inbox)
        assert shop.landed(world) == (2, 2.0)
        box.add("sales", [sale(2), sale(3)])
        drain(world, shop.inbox)
    # the second batch has not been landed yet
    assert forget_landed(shop.con, world, shop.inbox) == 1
    assert shop.landed(world) == (3, 3.0)
    assert forget_landed(shop.con, world, shop.inbox) == 1
    assert shop.lines() == []
    assert shop.landed(world) == (3, 3.0)


def test_closing_waits_for_a_thread_that_is_still_taking_messages(tmp_path: Path) -> None:
    for turn in range(20):
        box = Inbox(tmp_path / str(turn))
        taken: list[int] = []

        def take(box: Inbox = box, taken: list[int] = taken) -> None:
            try:
                for first in range(0, 100_000, 50):
                    taken.append(
                        box.add("sales", [Message(str(n), b"{}") for n in range(first, first + 50)])
                    )
            except sqlite3.ProgrammingError:
                return  # the inbox was closed between two batches: this one was never acknowledged

        thread = threading.Thread(target=take)
        thread.start()
        time.sleep(0.005)
        box.close()
        thread.join()
        with Inbox(tmp_path / str(turn)) as again:
            assert again.waiting("sales") == sum(taken)
