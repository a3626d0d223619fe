"""Laws that hold whatever people, planners, suppliers and warehouses do, in whatever order."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from models.procurement import x12
from models.procurement.approval import Limits
from models.procurement.documents import fold
from orchestration.ledger import Ledger, LedgerError, Partner, Receipt
from orchestration.ledger.transports import TransportError

from .conftest import NOW, order_line

ITEMS = st.sampled_from(["mug", "cup", "jar"])
UNITS = st.integers(1, 9).map(float)
PEOPLE = st.sampled_from(["ann", "bob", "planner"])


class Procurement(RuleBasedStateMachine):
    lines = Bundle("lines")

    @initialize(cap=st.sampled_from([None, 60.0]))
    def open(self, cap):
        self.folder = tempfile.TemporaryDirectory()
        self.ledger = Ledger.open(f"sqlite:///{Path(self.folder.name) / 'ledger.sqlite'}")
        self.partner = Partner("S1", str(Path(self.folder.name) / "S1"), "GBP")
        self.ledger.propose_limits(Limits(daily_cap=cap, auto_amount=15.0), "eve", NOW)
        self.ledger.confirm_limits("dan", NOW)
        self.cap, self.now, self.control = cap, NOW, 0

    @rule(target=lines, plan=st.dictionaries(ITEMS, UNITS, min_size=1))
    def propose(self, plan):
        before = {
            d.intent_key: d
            for d in self.ledger.lines()
            if d.is_live and (d.is_firm or d.is_approved)
        }
        wanted = [order_line(item, units, unit_cost=2.0) for item, units in plan.items()]
        report = self.ledger.propose(wanted, "run", self.now)
        again = self.ledger.propose(wanted, "run", self.now)
        assert (again.new_orders, again.revised, again.withdrawn) == (0, 0, 0)
        after = {d.intent_key: d for d in self.ledger.lines() if d.is_live}
        assert all(
            after[key].quantity == d.quantity and after[key].document_id == d.document_id
            for key, d in before.items()
        )
        return sorted(report.document_ids.values())[0]

    @rule(line=lines, by=PEOPLE)
    def approve(self, line, by):
        try:
            self.ledger.approve([line], by, self.now)
        except LedgerError as error:
            assert any(
                word in str(error)
                for word in (
                    "separation of duties",
                    "cannot be approved",
                    "daily cap",
                    "signs with",
                )
            )
        else:
            assert by != "planner"

    @rule()
    def approve_automatically(self):
        report = self.ledger.approve_within_limits(self.now)
        values = {d.document_id: d.quantity * d.unit_cost for d in self.ledger.lines()}
        assert all(values[document_id] <= 15.0 for document_id in report.approved)

    @rule(
        line=lines,
        by=PEOPLE,
        what=st.sampled_from(["reject", "cancel", "firm", "change"]),
        units=UNITS,
    )
    def decide(self, line, by, what, units):
        try:
            if what == "firm":
                self.ledger.firm([line], by, self.now)
            elif what == "change":
                self.ledger.change(line, by, self.now, quantity=units, reason="why not")
            else:
                getattr(self.ledger, what)([line], by, self.now, "why not")
        except LedgerError as error:
            assert line in str(error) or by == "planner"

    @rule(luck=st.sampled_from(["there", "lost", "there and lost"]))
    def send(self, luck):
        def hand_over(envelope, partner):
            if luck != "there":
                raise TransportError(luck)

        self.ledger.send({"S1": self.partner}, self.now, hand_over)

    @rule(
        line=lines,
        code=st.sampled_from(["IA", "IQ", "IR", "IB"]),
        units=UNITS,
        change=st.booleans(),
    )
    def answer(self, line, code, units, change):
        document = self.document(line)
        self.control += 1
        head = ["BCA" if change else "BAK", "00", "AD", document.order_id or "SHP9", "20260105"]
        units_said = "0" if code == "IR" else x12.number(units)
        item = (
            ["POC", "1", "CA", "9", "", "EA", "2", "", "VP", "mug"]
            if change
            else ["PO1", "1", "9", "EA", "2", "", "VP", "mug"]
        )
        item[1], item[-1] = document.line_id or "1", document.item_id
        self.hear("865" if change else "855", [head, item, ["ACK", code, units_said, "EA"]])

    @rule(line=lines, units=UNITS, number=st.sampled_from(["INV1", "INV2"]))
    def bill(self, line, units, number):
        document = self.document(line)
        self.control += 1
        item = [
            "IT1",
            document.line_id or "1",
            x12.number(units),
            "EA",
            "2",
            "",
            "VP",
            document.item_id,
        ]
        self.hear(
            "810",
            [
                ["BIG", "20260120", number, "", document.order_id or "SHP9"],
                item,
                ["TDS", str(round(units * 200))],
            ],
        )

    @rule(line=lines, units=UNITS, number=st.sampled_from(["GR1", "GR2"]))
    def book(self, line, units, number):
        document = self.document(line)
        if document.is_approved:
            self.ledger.record_receipts(
                [Receipt(number, document.order_id, document.line_id, units, self.now)],
                "warehouse",
                self.now,
            )

    @rule(days=st.integers(0, 2))
    def pass_time(self, days):
        self.now += timedelta(days=days)

    def hear(self, code, segments):
        body = x12.write(
            code, "XX", segments, self.partner.their, self.partner.ours, self.control, NOW
        ).encode()
        assert self.ledger.receive(body, self.partner, self.now).status == "taken"

    def document(self, line):
        return next(d for d in self.ledger.lines() if d.document_id == line)

    @invariant()
    def chains_and_balances_hold(self):
        assert self.ledger.audit() == []

    @invariant()
    def one_need_has_one_live_order(self):
        keys = [d.intent_key for d in self.ledger.lines() if d.is_live]
        assert len(keys) == len(set(keys))

    @invariant()
    def state_is_the_fold_of_events(self):
        folded = fold(self.ledger.events())
        assert [folded[d.document_id] for d in self.ledger.lines()] == self.ledger.lines()

    @invariant()
    def a_days_approvals_stay_under_the_cap(self):
        if self.cap is not None:
            spent: dict[str, float] = {}
            values = {}
            for event in self.ledger.events():
                if event.kind in ("requested", "revised"):
                    values[event.document_id] = (
                        event.payload["quantity"] * event.payload["unit_cost"]
                    )
                elif event.kind == "approved":
                    spent[event.known_at[:10]] = (
                        spent.get(event.known_at[:10], 0.0) + values[event.document_id]
                    )
            assert all(total <= self.cap for total in spent.values())

    @invariant()
    def rows_for_the_next_run_hold_what_is_open(self):
        rows = self.ledger.canonical_rows()
        newest = rows["purchase_orders"].sort("handed_over_at").unique("row_key", keep="last")
        ordered = {(row["order_id"], row["line_id"]): row["quantity"] for row in newest.to_dicts()}
        for d in self.ledger.lines():
            if d.order_id:
                assert max(ordered[(d.order_id, d.line_id)] - d.received, 0) == d.open_quantity

    @invariant()
    def nobody_approves_what_they_proposed(self):
        assert all(d.approver != d.proposer for d in self.ledger.lines() if d.is_approved)

    def teardown(self):
        if hasattr(self, "ledger"):
            self.ledger.close()
            self.folder.cleanup()


TestProcurement = Procurement.TestCase
TestProcurement.settings = settings(
    max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
