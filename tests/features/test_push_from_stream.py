"""A count that a stream brought is served at once and says what the next run says; what cannot be
served now waits and is not lost."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import shutil
import threading
import time
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from feast import FeatureStore
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_marts import NOW, compiled
from starlette.testclient import TestClient

from feature_repo.store import materialize_online, online_frame, open_store
from orchestration import intake
from orchestration.app import publishing
from orchestration.facts import published_snapshots
from orchestration.home import Home
from orchestration.intake import Inbox, Message
from orchestration.landing import ContractError, World
from orchestration.serving import online_push

SECRET = "told to nobody"  # noqa: S105 - signs nothing but these tests' counts
CONTRACT = """
world: small
currency: EUR
plan: {grain: day, review: weekly, absent_sales: zero, lead_time_days: 7}
sources:
  counts:
    silo: erp
    stream: {webhook: "${COUNTS_SECRET}", message_id: number}
    key: [item, shop, at]
    known_at: told
    into: [stock: {item_id: item, location_id: shop, event_at: at, on_hand: pieces, is_in_stock: there}]
"""
PREPARED = """
create or replace table raw.world as select 'small' as world, 'EUR' as currency, 'UTC' as timezone,
    'day' as grain, now_at from raw.world;
create table marts.bridge_aliases as
  select 'item' as kind, 'old-a' as alias, 'a' as id, 'confirmed' as status,
      timestamp '2026-02-01' as known_at;
delete from marts.fct_stock; delete from features.feat_stock;
"""
#: What publishing would only copy.
ELSE = """
select 'drop table marts.' || table_name from duckdb_tables()
where schema_name = 'marts' and table_name not in ('fct_stock', 'bridge_aliases')"""
ALIAS_KNOWN = datetime(2026, 2, 1)
START = datetime(2026, 1, 1)
VALUES = ["on_hand", "is_in_stock", "periods_since_stock_out"]


def prepared(built: Path, folder: Path) -> Home:
    """A home of the small company whose marts know of no count yet."""
    home = Home.found(folder, "small")
    shutil.copy(built, home.warehouse)
    with home.connect() as con:
        con.execute(PREPARED)
        for (drop,) in con.execute(ELSE).fetchall():
            con.execute(drop)
    return home


@pytest.fixture
def home(built: Path, tmp_path: Path) -> Home:
    """The small company, published and served, with a first count of 4 pieces after a day."""
    home = prepared(built, tmp_path / "home")
    run(home, built, [counted("a", 24, 24, 4.0, None)])
    publishing.write_snapshot(home.warehouse, home.published, "run", NOW)
    materialize_online(open_store(home.warehouse, home.features), NOW)
    return home


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    (folder / "world.yml").write_text(CONTRACT, encoding="utf-8")
    return World.load(folder)


def counted(
    item: str, event: float, known: float, pieces: float | None, there: bool | None
) -> dict[str, Any]:
    """A count, its two times in hours after the company's first midnight."""
    times = {"at": START + timedelta(hours=event), "told": START + timedelta(hours=known)}
    return {"item": item, "shop": "x", "pieces": pieces, "there": there} | times


def receive(home: Home, *counts: dict[str, Any]) -> None:
    with Inbox(home.inbox) as inbox:
        bodies = [json.dumps(count, default=str) for count in counts]
        inbox.add(
            "counts",
            [Message(hashlib.sha256(body.encode()).hexdigest(), body.encode()) for body in bodies],
        )


def run(home: Home, built: Path, counts: list[dict[str, Any]]) -> dict[str, tuple]:
    """What dbt makes of the counts so far and these: by item its last event, when that was known,
    and what is served of it."""
    with home.connect() as con:
        for count in counts:
            item, known = count["item"], count["told"]
            if item == "old-a":
                item, known = "a", max(known, ALIAS_KNOWN)
            there = count["there"] if count["there"] is not None else count["pieces"] > 0
            con.execute(
                "insert into marts.fct_stock values ($item, 'x', $at, $pieces, $there, $known)",
                {
                    "item": item,
                    "at": count["at"],
                    "pieces": count["pieces"],
                    "there": there,
                    "known": known,
                },
            )
        con.execute("delete from features.feat_stock")
        con.execute(f"insert into features.feat_stock by name ({compiled(built, 'feat_stock')})")
        newest = con.execute(
            f"""select item_id, event_at, known_at, {", ".join(VALUES)} from features.feat_stock
            qualify row_number() over (partition by item_id order by event_at desc,
                known_at desc) = 1"""
        ).fetchall()
    return {item: tuple(row) for item, *row in newest}


def served(home: Home, store: FeatureStore | None = None) -> dict[str, tuple]:
    """What stock_now serves of each item."""
    store = store or open_store(home.warehouse, home.features)
    keys = pl.DataFrame(
        {
            "item_id": ["a", "b"],
            "location_id": "x",
            "region_id": "north",
            "supplier_id": "s",
            "lane_id": "s>x",
        }
    )
    told = online_frame(store, keys, "replenishment_v1")
    return {item: tuple(row) for item, *row in told.select("item_id", *VALUES).iter_rows()}


COUNTS = st.lists(
    st.builds(
        lambda item, event, late, pieces, there: counted(item, event, event + late, pieces, there),
        st.sampled_from(["a", "b", "old-a"]),
        st.integers(0, 60),
        st.integers(0, 30),
        st.none() | st.sampled_from([0.0, 1.0, 2.0]),
        st.none() | st.booleans(),
    ).filter(lambda count: count["pieces"] is not None or count["there"] is not None),
    max_size=5,
    unique_by=lambda count: (count["item"], count["at"]),
)


def without_ties(steps: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    """The counts without those that say something else about the same item at the same two
    times."""
    seen: set[tuple] = set()
    kept: list[list[dict[str, Any]]] = [[] for _ in steps]
    for place, step in zip(kept, steps, strict=True):
        for count in step:
            is_alias = count["item"] == "old-a"
            name = (
                "a" if is_alias else count["item"],
                count["at"],
                max(count["told"], ALIAS_KNOWN) if is_alias else count["told"],
            )
            if name not in seen:
                place.append(count)
                seen.add(name)
    return kept


@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(COUNTS, min_size=2, max_size=4), restarts=st.booleans())
def test_what_is_pushed_is_what_the_next_run_serves(
    built: Path,
    world: World,
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[list[dict[str, Any]]],
    restarts: bool,
) -> None:
    home, (first, *later) = prepared(built, tmp_path_factory.mktemp("home")), without_ties(steps)
    expected = run(home, built, first)
    publishing.write_snapshot(home.warehouse, home.published, "run", NOW)
    store = open_store(home.warehouse, home.features)
    materialize_online(store, NOW)
    with ExitStack() as stack:
        pusher = stack.enter_context(online_push.pusher(home, world))
        for step in later:
            receive(home, *step)
            pusher.turn()
            intake.drain(world, home.inbox)
            truth = run(home, built, step)
            expected |= {
                item: row
                for item, row in truth.items()
                if item not in expected or row[:2] > expected[item][:2]
            }
            assert served(home, store) == {
                item: expected[item][2:] if item in expected else (None, None, None)
                for item in ("a", "b")
            }
            if restarts:
                pusher = stack.enter_context(online_push.pusher(home, world))
    materialize_online(store, NOW, is_settled=lambda: True)
    assert served(home, store) == {
        item: truth[item][2:] if item in truth else (None, None, None) for item in ("a", "b")
    }


def test_a_correction_is_served_and_an_older_count_or_one_that_comes_again_is_not(
    home: Home, world: World
) -> None:
    with online_push.pusher(home, world) as pusher:
        receive(home, counted("a", 48, 48, 9.0, None))
        assert pusher.turn() == 1
        assert served(home)["a"] == (9.0, True, None)
        receive(home, counted("a", 30, 49, 3.0, None), counted("a", 48, 48, 9.0, None))
        pusher.turn()
        assert served(home)["a"] == (9.0, True, None), "late news of an earlier hour"
        receive(home, counted("a", 48, 50, 0.0, None))
        assert pusher.turn() == 1
        assert served(home)["a"] == (0.0, False, 0.0)
        assert pusher.turn() == 0


def test_a_count_that_cannot_be_read_is_left_to_the_run_and_holds_nothing_up(
    home: Home, world: World
) -> None:
    with Inbox(home.inbox) as inbox:
        inbox.add(
            "counts",
            [
                Message("odd", b"no JSON"),
                Message("bad", b'{"item": "a", "shop": "x", "at": "soon", "told": "late"}'),
            ],
        )
    receive(home, counted("b", 30, 30, 2.0, None))
    with online_push.pusher(home, world) as pusher:
        assert pusher.turn() == 1
    assert served(home)["b"] == (2.0, True, None)
    with Inbox(home.inbox) as inbox:
        assert inbox.waiting("counts") == 3, "reading takes nothing out"


def test_a_count_the_run_refused_ends_with_the_run_once_nothing_waits(
    home: Home, world: World
) -> None:
    store = open_store(home.warehouse, home.features)
    receive(home, counted("a", 48, 48, 9.0, None))
    with online_push.pusher(home, world) as pusher:
        pusher.turn()
    assert not intake.is_landed(world, home.inbox)
    materialize_online(store, NOW, is_settled=lambda: intake.is_landed(world, home.inbox))
    assert served(home)["a"] == (9.0, True, None), (
        "it has not been landed yet, so it is still the newest"
    )
    intake.drain(world, home.inbox)
    assert not intake.is_landed(world, home.inbox)
    next((home.inbox / "counts").glob("*.jsonl")).unlink()  # landed, and refused
    materialize_online(store, NOW, is_settled=lambda: intake.is_landed(world, home.inbox))
    assert served(home)["a"] == (4.0, True, None)


def test_a_writer_holding_the_warehouse_does_not_stop_a_push_and_is_not_stopped(
    home: Home, world: World
) -> None:
    receive(home, counted("a", 48, 48, 9.0, None))
    with online_push.pusher(home, world) as pusher, home.connect() as con:
        con.execute("create table raw.being_written (one int)")
        assert pusher.turn() == 1


def test_an_online_store_that_is_away_blocks_no_event_and_is_told_of_it_later(
    home: Home, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store_is_away, stop, pushed = threading.Event(), threading.Event(), online_push.push

    def push(*said: Any) -> int:
        if store_is_away.is_set():
            raise ConnectionError("the store is away")
        return pushed(*said)

    monkeypatch.setattr(online_push, "push", push)
    monkeypatch.setattr(online_push, "OFTEN", 0.02)
    monkeypatch.setenv("COUNTS_SECRET", SECRET)
    store_is_away.set()
    following = threading.Thread(target=online_push.follow, args=(home, world, stop))
    with (
        caplog.at_level(logging.WARNING),
        Inbox(home.inbox) as inbox,
        TestClient(intake.receiver(world, inbox)) as client,
    ):
        following.start()
        try:
            body = json.dumps(
                counted("a", 48, 48, 9.0, None) | {"number": "n1"}, default=str
            ).encode()
            signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
            assert (
                client.post(
                    "/counts", content=body, headers={"X-Signature-256": signature}
                ).status_code
                == 202
            )
            until(lambda: "the store is away" in caplog.text)
            assert "the events are in the inbox, and the next run serves them" in caplog.text
            assert served(home)["a"] == (4.0, True, None)
            store_is_away.clear()
            until(lambda: served(home)["a"] == (9.0, True, None))
            assert caplog.text.count("the store is away") == 1, "said once"
        finally:
            stop.set()
            following.join()


def until(is_so: Any) -> None:
    end = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < end, "never happened"
        time.sleep(0.02)


def test_before_the_first_published_run_there_is_nothing_to_push_onto(
    built: Path, tmp_path: Path, world: World
) -> None:
    home = prepared(built, tmp_path / "home")
    receive(home, counted("a", 48, 48, 9.0, None))
    with (
        online_push.pusher(home, world) as pusher,
        pytest.raises(published_snapshots.PublishError, match="Run `stockhouse run` first"),
    ):
        pusher.turn()


def test_a_world_whose_streams_count_no_stock_is_told_so(world: World) -> None:
    online_push.check(world)
    sales = {
        "sales": {"item_id": "item", "location_id": "shop", "event_at": "at", "quantity": "pieces"}
    }
    elsewhere = world.model_copy(
        update={"sources": {"tills": world.sources["counts"].model_copy(update={"into": [sales]})}}
    )
    with pytest.raises(ContractError, match="no stream of this world counts stock"):
        online_push.check(elsewhere)
