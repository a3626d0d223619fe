"""Push: a stock count that a stream brought is served online seconds later, while the warehouse
waits for the next run.

inbox -> the world's own contract, landed in memory -> with the published counts -> view stock_now
-> the online store

Of all features only `stock_now` can be served this way without saying something else than the next
run: it follows from the counts of one item at one place, whichever order they came in. Demand waits
for its period to close, for returns to be netted and stock-outs to be masked, prices for the year
they are compared with, lead times for all lines of their supplier, plans for every promotion's
scope.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import polars as pl
from feast import FeatureStore

from feature_repo.store import open_store, push
from orchestration.facts import published_snapshots
from orchestration.facts.timeline import DAYS_A_PERIOD
from orchestration.home import Home
from orchestration.intake import Inbox
from orchestration.intake.inbox import message_lines
from orchestration.intake.options import Folder, stream_of
from orchestration.landing import ContractError, LandReport, World
from orchestration.landing.load.delivery_batches import load_deliveries
from orchestration.landing.load.landing import session
from orchestration.landing.load.store import Archive
from orchestration.landing.readers.sourcing import Delivery

log = logging.getLogger(__name__)

VIEW, TABLE = "stock_now", "stock"
#: Seconds between looks into the inbox, and at most while the online store or the publication is
#: away.
OFTEN, SELDOM = 0.5, 30.0

ALIASES = "select kind, alias, id, known_at from marts.bridge_aliases where status = 'confirmed'"
#: The streams' counts under the marts' ids; the same as marts.fct_stock makes of them.
COUNTED = """
    create or replace temp view counted as
    select
      coalesce(item.id, fact.item_id) as item_id, coalesce(place.id,
          fact.location_id) as location_id, fact.event_at,
      greatest(fact.known_at, item.known_at, place.known_at) as known_at, fact.on_hand,
      coalesce(fact.is_in_stock, fact.on_hand > 0) as is_in_stock, fact.delivery
    from raw.stock as fact
    left join aliases as item on item.kind = 'item' and item.alias = fact.item_id
    left join aliases as place on place.kind = 'location' and place.alias = fact.location_id"""
PUBLISHED = """
    select item_id, location_id, event_at, known_at, on_hand, is_in_stock
    from marts.fct_stock semi join asked using (item_id, location_id)"""
#: The last row of features.feat_stock for each pair asked for; a test compares the two.
LAST = """
    with seen as (
      select item_id, location_id, event_at, known_at, on_hand, is_in_stock from counted semi
          join asked using (item_id, location_id)
      union select * from published
    )
    select
      item_id, location_id, max(event_at) as event_at, max(known_at) as known_at,
      cast(arg_max(on_hand, struct_pack(event_at,
          known_at)) filter (where on_hand is not null) as float) as on_hand,
      arg_max(is_in_stock, struct_pack(event_at, known_at)) as is_in_stock,
      cast((epoch(max(event_at)) - epoch(max(event_at) filter (where not is_in_stock))) / 86400.0 /
          $days as float)
        as periods_since_stock_out
    from seen group by all"""


def counting_streams(world: World) -> list[str]:
    """The sources whose messages count stock: fed by a stream through the inbox, with a rule into
    `stock`."""
    return [
        source_id
        for source_id, source in world.sources.items()
        if source.stream is not None
        and any(TABLE in rule for rule in source.into)
        and not isinstance(stream_of(world, source_id), Folder)
    ]


def check(world: World) -> None:
    """Raise ContractError where no stream of the world counts stock."""
    if not counting_streams(world):
        raise ContractError(
            "no stream of this world counts stock, and nothing else can be served before the line "
            "has run",
            where=world.where("sources"),
            mend="leave out --push",
        )


def follow(home: Home, world: World, stop: threading.Event) -> None:
    """Push what comes until `stop` is set. What fails is reported and tried again, and the next run
    serves it in any case."""
    with pusher(home, world) as pushing:
        wait, told = OFTEN, ""
        while not stop.wait(wait):
            try:
                pushing.turn()
                wait, told = OFTEN, ""
            except Exception as error:
                wait = min(2 * wait, SELDOM)
                if str(error) != told:
                    log.warning(
                        "not served at once: %s; the events are in the inbox, and the next run "
                        "serves them",
                        error,
                    )
                told = str(error)


@contextmanager
def pusher(home: Home, world: World) -> Iterator[Pusher]:
    """A pusher over the home's inbox; what it lands is in memory and gone on leaving."""
    with (
        tempfile.TemporaryDirectory(prefix="stockhouse-push-") as scratch,
        closing(Inbox(home.inbox)) as inbox,
        duckdb.connect(config={"threads": "1"}) as con,
        session(con, world, Path(scratch) / "archive") as (cur, archive),
    ):
        yield Pusher(home, world, inbox, cur, archive)


@dataclass
class Pusher:
    """What has been read of each stream since the start, and the pairs (item_id, location_id) that
    wait to be served."""

    home: Home
    world: World
    inbox: Inbox
    cur: duckdb.DuckDBPyConnection
    archive: Archive
    store: FeatureStore | None = None
    last: dict[str, int] = field(default_factory=dict)
    waiting: set[tuple[str, str]] = field(default_factory=set)

    def turn(self) -> int:
        """Serve the counts that came since the last turn; how many rows were newer than the served
        ones.

        The first turn reads the inbox from its beginning, so nothing is missed while this was not
        running. Counts of files that were landed since the last publication are not seen until the
        next one. Raises PublishError before the first published run, and what the online store
        raises; the pairs then wait for the next turn.
        """
        snapshot = published_snapshots.current(self.home.published)
        with snapshot.connect() as published:
            self.cur.register("aliases", published.execute(ALIASES).to_arrow_table())
            self.cur.execute(COUNTED)
            for source_id in counting_streams(self.world):
                while self._take(source_id):
                    pass
            if not self.waiting:
                return 0
            asked = pl.DataFrame(
                sorted(self.waiting), schema=["item_id", "location_id"], orient="row"
            )
            published.register("asked", asked)
            self.cur.register("asked", asked)
            self.cur.register("published", published.execute(PUBLISHED).to_arrow_table())
        rows = self.cur.execute(LAST, {"days": DAYS_A_PERIOD[self.world.plan.grain]}).pl()
        self.store = self.store or open_store(self.home.warehouse, self.home.features)
        pushed = push(self.store, VIEW, rows)
        self.waiting.clear()
        return pushed

    def _take(self, source_id: str) -> bool:
        """Land the next messages of a source in memory, batch by batch as the line does, which
        refuses what the line refuses."""
        messages = self.inbox.after(source_id, self.last.get(source_id, 0))
        if not messages:
            return False
        told = (
            line
            for _, message_id, received_at, body in messages
            for line in message_lines(message_id, received_at, body)
        )
        lines = "".join(f"{line}\n" for line in told).encode()
        sha256, name = (
            hashlib.sha256(lines).hexdigest(),
            f"batch-{messages[0][0]:012d}-{messages[-1][0]:012d}",
        )
        file = self.archive.incoming / name
        file.write_bytes(lines)
        delivery = Delivery(sha256, len(lines), f"{source_id}/{name}.jsonl", name, file)
        try:
            load_deliveries(
                self.cur, self.world, source_id, [delivery], self.archive, LandReport(), keep=False
            )
        except ContractError as error:
            log.warning("not served at once: %s", error)
        file.unlink()
        self.last[source_id] = messages[-1][0]
        for table in {name for rule in self.world.sources[source_id].into for name in rule} - {
            TABLE
        }:
            self.cur.execute(f"delete from raw.{table}")
        found = self.cur.execute(
            "select distinct item_id, location_id from counted where delivery = ?", [sha256]
        ).fetchall()
        self.waiting |= set(found)
        return True
