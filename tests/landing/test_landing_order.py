"""The law of order: any order, overlap, repetition or split of the same rows gives the same
business columns in every table."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.landing.company import Company

SOURCES = """
sources:
  keyed:
    silo: pos
    path: keyed/**/*.csv
    key: [id]
    known_after: 1 day
    delivered_at: regexp_extract(_file, '^\\d{4}-\\d{2}-\\d{2}')::date
    into:
      - sales: {when: "qty::int >= 0", item_id: item, location_id: "'n'", event_at: day, quantity: qty}
      - returns: {when: "qty::int < 0", item_id: item, location_id: "'n'", event_at: day, quantity: "-qty::int"}
      - items: {item_id: item, name: name}
  master:
    silo: erp
    path: master/**/*.csv
    key: [id]
    known_at: regexp_extract(_file, '^\\d{4}-\\d{2}-\\d{2}')::date
    into:
      - suppliers: {supplier_id: id, name: name}
      - suppliers: {when: "qty::int = 5", supplier_id: item}
  keyless:
    silo: erp
    path: keyless/**/*.csv
    identity: row
    known_at: day
    into:
      - adjustments: {item_id: item, location_id: "'n'", event_at: day, delta: qty}
      - locations: {location_id: name}
"""
SOURCES = SOURCES.replace(
    "- items: {item_id: item, name: name}", "- items: {item_id: item, name: name, known_at: day}"
)
HEADER = "id,item,name,day,qty\n"
line = st.builds(
    lambda i, item, name, day, qty: f"{i},{item},{name},2024-01-{day:02d},{qty}",
    st.integers(1, 12),
    st.sampled_from("ab"),
    st.sampled_from(["x", "y", ""]),
    st.integers(1, 5),
    st.sampled_from([-1, 0, 2, 5]),
)
drop = st.lists(line, min_size=1, max_size=6, unique_by=lambda text: text.split(",")[0])


class AnyOrder(RuleBasedStateMachine):
    """Two warehouses get the same drops: one in one go, as they are; the other piecemeal, shuffled,
    split and repeated."""

    @initialize(
        drops=st.lists(
            st.tuples(st.sampled_from(["keyed", "keyless", "master"]), drop), min_size=1, max_size=6
        )
    )
    def begin(self, drops: list[tuple[str, list[str]]]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="stockhouse-order-"))
        self.plain, self.messy = (
            Company(self.folder / "plain", SOURCES),
            Company(self.folder / "messy", SOURCES),
        )
        self.drops = [
            (source, f"2024-02-{day:02d}", rows)
            for day, (source, rows) in enumerate(drops, start=1)
        ]
        self.waiting = list(self.drops)
        self.files = 0
        # every path must match something: a drop of headers alone
        for company in (self.plain, self.messy):
            for source in ("keyed", "keyless", "master"):
                company.write(f"{source}/2024-01-31.csv", HEADER)
        for source, day, rows in self.drops:
            self.plain.write(f"{source}/{day}.csv", HEADER + "".join(row + "\n" for row in rows))
        self.plain.land()
        self.messy.land()

    def _hand_over(self, source: str, day: str, rows: list[str]) -> None:
        self.files += 1
        self.messy.write(
            f"{source}/{self.files}/{day}.csv", HEADER + "".join(row + "\n" for row in rows)
        )

    @rule(data=st.data(), lands=st.booleans())
    def deliver(self, data: st.DataObject, lands: bool) -> None:
        if not self.waiting:
            return
        source, day, rows = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        cut = data.draw(st.integers(0, len(rows)))
        overlap = data.draw(st.integers(0, 2))
        self._hand_over(source, day, data.draw(st.permutations(rows[: cut + overlap])))
        self._hand_over(source, day, rows[cut:])
        if lands:
            self.messy.land()

    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        done = [entry for entry in self.drops if entry not in self.waiting]
        if done:
            self._hand_over(*data.draw(st.sampled_from(done)))
            self.messy.land()

    @rule()
    def rebuild(self) -> None:
        self.messy.reland()

    @invariant()
    def counts_add_up(self) -> None:
        if hasattr(self, "messy"):
            assert self.messy.rows(
                """SELECT count(*) FROM raw.manifest
                    WHERE rows_in <> rows_claimed + rows_skipped + rows_unclaimed
                OR claims <> rows_loaded + rows_quarantined + rows_repeated"""
            ) == [(0,)]

    def teardown(self) -> None:
        if not hasattr(self, "messy"):
            return
        for entry in self.waiting:
            self._hand_over(*entry)
        self.messy.land()
        try:
            assert self.messy.business() == self.plain.business()
        finally:
            for company in (self.plain, self.messy):
                company.con.close()
            shutil.rmtree(self.folder)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(
    max_examples=12,
    stateful_step_count=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
