"""The fault drill: orders survive kill -9 at any statement, suppliers that misbehave, rivals, full
disks and jumping clocks.

`python tests/ledger/drill_procurement.py [RUNS] [FIRST_SEED]` runs seeds one after another (1,000
by default) and exits non-zero where one order was lost or doubled, a balance is off or a chain
broken. A seed replays its run.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from models.domain import OrderLine
from models.procurement import x12
from orchestration.ledger import Ledger, LedgerError, Partner, Receipt, store
from orchestration.ledger.schema import encumbrances, outbox
from orchestration.ledger.transports import Envelope, TransportError, deliver

NOW = datetime(2026, 1, 5)
SUPPLIERS = ("S1", "S2")
OUTCOMES = {0: "done", 1: "crashed", 2: "refused"}
ITEMS = tuple(f"item {i}" for i in range(6))


@dataclass
class Supplier:
    """A counterparty that keeps what it was sent by control number, as X12 partners do, and answers
    each order once or oddly."""

    partner: Partner
    seen: dict[int, bytes] = field(default_factory=dict)
    orders: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    waiting: list[bytes] = field(default_factory=list)
    receipted: list[int] = field(default_factory=list)
    control: int = 0

    def read_mail(self, dice: random.Random) -> None:
        for path in sorted((Path(self.partner.address) / "out").glob("*.edi")):
            body = path.read_bytes()
            control = x12.read(body).control
            if control in self.seen:
                if self.seen[control] != body:
                    self.violations.append(
                        f"{path.name}: control number {control} was used for two messages"
                    )
                continue
            self.seen[control] = body
            for transaction in x12.read(body).sets:
                self.take(transaction, dice)

    def take(self, transaction: x12.TransactionSet, dice: random.Random) -> None:
        if transaction.code == "997":
            self.receipted.append(int(transaction.segments[0][2]))
            return
        head = transaction.segments[0]
        order_id = head[3]
        if transaction.code == "850":
            if order_id in self.orders:
                self.violations.append(
                    f"order {order_id} was placed twice under two control numbers"
                )
            self.orders[order_id] = {}
        elif order_id not in self.orders:
            self.violations.append(f"a change of order {order_id} came before the order")
            return
        lines = self.orders[order_id]
        if head[1] == "01":
            for line in lines.values():
                line["cancelled"] = True
        for segment in transaction.segments:
            if segment[0] == "PO1":
                lines[segment[1]] = {
                    "item": segment[7],
                    "quantity": float(segment[2]),
                    "price": segment[4],
                    "cancelled": False,
                }
            elif segment[0] == "POC":
                was = lines.setdefault(
                    segment[1], {"item": segment[9], "price": segment[6], "cancelled": False}
                )
                was |= {"quantity": float(segment[3]), "cancelled": segment[2] == "DI"}
        if transaction.code == "850":
            self.answer(order_id, dice)

    def answer(self, order_id: str, dice: random.Random) -> None:
        """Accept, short, or stay silent; sometimes twice, sometimes with a second opinion; then
        ship and bill."""
        lines = self.orders[order_id]
        mood = dice.choice(("accept", "accept", "short", "silent", "contradict"))
        shares = {"accept": (1.0,), "short": (0.5,), "silent": (), "contradict": (0.5, 1.0)}[mood]
        for share in shares:
            said: list[list[str]] = [["BAK", "00", "AD", order_id, "20260105"]]
            for line_id, line in lines.items():
                code = "IA" if share == 1 else "IQ"
                said.append(
                    [
                        "PO1",
                        line_id,
                        x12.number(line["quantity"]),
                        "EA",
                        line["price"],
                        "",
                        "VP",
                        line["item"],
                    ]
                )
                said.append(["ACK", code, x12.number(line["quantity"] * share), "EA"])
            self.say("855", "PR", said)
        if shares:
            shipped = {line_id: line["quantity"] * shares[-1] for line_id, line in lines.items()}
            bill: list[list[str]] = [["BIG", "20260120", f"INV-{order_id}", "20260105", order_id]]
            notice = [
                ["BSN", "00", f"SHIP-{order_id}", "20260120", "0900"],
                ["HL", "1", "", "S"],
                ["HL", "2", "1", "O"],
                ["PRF", order_id],
            ]
            total = 0
            for line_id, units in shipped.items():
                item, price = lines[line_id]["item"], lines[line_id]["price"]
                bill.append(["IT1", line_id, x12.number(units), "EA", price, "", "VP", item])
                notice += [
                    ["LIN", line_id, "VP", item],
                    ["SN1", line_id, x12.number(units), "EA"],
                ]
                total += round(units * float(price) * 100)
            self.say("856", "SH", notice)
            self.say("810", "IN", [*bill, ["TDS", str(total)]])

    def say(self, code: str, group: str, segments: list[list[str]]) -> None:
        self.control += 1
        self.waiting.append(
            x12.write(
                code, group, segments, self.partner.their, self.partner.ours, self.control, NOW
            ).encode()
        )


class Run:
    """One seeded run: a home, two suppliers, and a world that fails at every turn."""

    def __init__(self, seed: int, home: Path) -> None:
        self.dice, self.home = random.Random(seed), home
        self.url = f"sqlite:///{home / 'ledger.sqlite'}"
        self.partners = {
            name: Partner(name, str(home / name), "GBP", receipts=name == "S2")
            for name in SUPPLIERS
        }
        self.suppliers = [Supplier(partner) for partner in self.partners.values()]
        self.plan = [self.line(item) for item in ITEMS]
        self.now = NOW
        self.faults: Counter[str] = Counter()

    def line(self, item: str) -> OrderLine:
        quantity = float(self.dice.randrange(2, 40, 2))
        supplier, cost = SUPPLIERS[ITEMS.index(item) % 2], 1.0 + ITEMS.index(item) / 4
        review, due, parts = date(2026, 1, 5), date(2026, 1, 20), {"expected_demand": quantity}
        return OrderLine(
            "w", "purchase", item, "DC", supplier, quantity, review, due, cost, parts, "drill"
        )

    def steps(self) -> Iterator[Callable[[Ledger], object]]:
        """What happens, in an order the dice decide."""
        moves: list[Callable[[], Callable[[Ledger], object]]] = [
            self.propose,
            self.propose,
            self.approve,
            self.approve,
            self.send,
            self.send,
            self.send,
            self.hear,
            self.hear,
            self.book,
            self.cancel,
            self.switch,
        ]
        yield self.propose()
        for _ in range(7):
            yield self.dice.choice(moves)()

    def propose(self) -> Callable[[Ledger], object]:
        plan = [
            self.line(line.item_id) if self.dice.random() < 0.3 else line
            for line in self.plan
            if self.dice.random() < 0.9
        ]
        return lambda ledger: ledger.propose(plan, "drill", self.now)

    def approve(self) -> Callable[[Ledger], object]:
        return lambda ledger: ledger.approve_within_limits(self.now)

    def send(self) -> Callable[[Ledger], object]:
        dice = random.Random(self.dice.random())

        def unreliable(envelope: Envelope, partner: Partner) -> None:
            luck = dice.random()
            if luck < 0.2:
                raise TransportError("no line")
            deliver(envelope, partner)
            if luck < 0.5:
                raise TransportError("it was committed, and the answer timed out")

        return lambda ledger: (overdue(ledger), ledger.send(self.partners, self.now, unreliable))

    def hear(self) -> Callable[[Ledger], object]:
        mail = []
        for supplier in self.suppliers:
            supplier.read_mail(self.dice)
            mail += [(body, supplier.partner) for body in supplier.waiting]
        mail += [entry for entry in mail if self.dice.random() < 0.3]
        self.dice.shuffle(mail)
        return lambda ledger: [ledger.receive(body, partner, self.now) for body, partner in mail]

    def book(self) -> Callable[[Ledger], object]:
        def goods(ledger: Ledger) -> None:
            known = [d for d in ledger.lines() if d.shipments]
            receipts = [
                Receipt(
                    f"GR-{d.order_id}-{d.line_id}",
                    d.order_id,
                    d.line_id,
                    sum(d.shipments.values()),
                    self.now,
                )
                for d in known
            ]
            ledger.record_receipts(receipts, "warehouse", self.now)

        return goods

    def cancel(self) -> Callable[[Ledger], object]:
        luck = self.dice.random()

        def call_off(ledger: Ledger) -> None:
            lines = [d for d in ledger.lines() if d.stage in ("approved", "sent", "acknowledged")]
            if lines:
                ledger.cancel([lines[int(luck * len(lines))].document_id], "ann", self.now, "drill")

        return call_off

    def switch(self) -> Callable[[Ledger], object]:
        stop = self.dice.random() < 0.5
        return lambda ledger: (
            ledger.stop("ann", self.now, "drill")
            if stop
            else ledger.resume("ann", self.now, "drill")
        )

    def play(self) -> list[str]:
        """Steps under faults, then everything that is left without; the violations."""
        Ledger.open(self.url).close()
        for step in self.steps():
            fault = self.dice.choice(
                ("none", "kill", "kill", "kill", "rival", "lock", "full", "clock")
            )
            rival = (
                self.dice.choice((self.propose, self.approve, self.send))()
                if fault == "rival"
                else None
            )
            children = [
                fork(self.url, act, fault, self.dice.randrange(1, self.dice.choice((8, 16, 40))))
                for act in (step, rival)
                if act
            ]
            for child in children:
                _, ended = os.waitpid(child, 0)
                outcome = "killed" if os.WIFSIGNALED(ended) else OUTCOMES[os.WEXITSTATUS(ended)]
                self.faults[f"{fault}: {outcome}"] += 1
        return self.finish()

    def finish(self) -> list[str]:
        """Everything that is left to do, without faults; then the violations."""
        final = self.plan
        rest: list[Callable[[Ledger], object]] = [
            lambda ledger: ledger.resume("ann", self.now, "drill over"),
            lambda ledger: ledger.propose(final, "last", self.now),
            lambda ledger: ledger.approve_within_limits(self.now),
            lambda ledger: [ledger.revive(row.message_id, "ann", self.now) for row in dead(ledger)],
            lambda ledger: (overdue(ledger), ledger.send(self.partners, self.now)),
        ]
        ledger = Ledger.open(self.url)
        for act in rest:
            act(ledger)
        for _ in range(2):
            self.hear()(ledger)
            self.book()(ledger)
        ledger.send(self.partners, self.now)
        for supplier in self.suppliers:
            supplier.read_mail(self.dice)
        violations = self.judge(ledger)
        ledger.close()
        return violations

    def judge(self, ledger: Ledger) -> list[str]:
        """Nothing lost, nothing twice, every balance even, every chain whole."""
        violations = ledger.audit() + [
            word for supplier in self.suppliers for word in supplier.violations
        ]
        placed = {
            (order_id, line_id): line
            for s in self.suppliers
            for order_id, lines in s.orders.items()
            for line_id, line in lines.items()
        }
        lines = ledger.lines()
        for d in lines:
            there = placed.pop((d.order_id, d.line_id), None)
            if d.is_approved and not d.ended and there is None:
                violations.append(
                    f"{d.document_id} ({d.stage}) is lost: the supplier never heard of it"
                )
            elif (
                there
                and not d.ended
                and (there["quantity"], there["item"], there["cancelled"])
                != (d.quantity, d.item_id, False)
            ):
                violations.append(
                    f"{d.document_id}: the supplier has {there}, the ledger {d.quantity}"
                )
            elif there and d.ended == "cancelled" and not there["cancelled"]:
                violations.append(f"{d.document_id} is cancelled here and open there")
        violations += [f"{place} is at the supplier and not in the ledger" for place in placed]
        for s in self.suppliers:
            wanted = {x12.read(body).control for body in s.waiting} if s.partner.receipts else set()
            if sorted(s.receipted) != sorted(wanted):
                violations.append(
                    f"{s.partner.partner_id} was sent receipts for {sorted(s.receipted)}, it had "
                    f"sent {sorted(wanted)}"
                )
        keys = [d.intent_key for d in lines if d.is_live]
        violations += [f"{key} has two live orders" for key in set(keys) if keys.count(key) > 1]
        held = sum(row.amount for row in ledger.store.read(sa.select(encumbrances.c.amount)))
        if held != sum(d.encumbered for d in lines):
            violations.append(
                f"{held} parts are held, the lines add up to {sum(d.encumbered for d in lines)}"
            )
        return violations


def overdue(ledger: Ledger) -> None:
    """Let every waiting message be due: the drill does not wait an hour."""
    with ledger.store.locked() as connection:
        connection.execute(sa.update(outbox).values(next_at="", claimed_until=""))


def dead(ledger: Ledger) -> list[sa.Row[Any]]:
    return ledger.store.read(sa.select(outbox.c.message_id).where(outbox.c.status == "dead"))


def fork(url: str, act: Callable[[Ledger], object], fault: str, at: int) -> int:
    """Do one step in a process of its own, under a fault; the process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        if fault == "full":
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            limit = 33 * 1024 + 512 * at  # SQLite's shared memory fits, its log soon does not
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        if fault == "clock":
            store.datetime = jumped(timedelta(days=at - 30))  # type: ignore[misc]
        ledger = Ledger.open(url)
        if fault == "kill":
            kill_at(ledger, at)
        if fault == "lock":
            hold_lock(url, 0.02)
        act(ledger)
        code = 0
    except (LedgerError, sa.exc.OperationalError) as error:
        code = 2  # refused whole: the next step finds the ledger as it was
        if isinstance(error, sa.exc.OperationalError) and fault != "full":
            sys.stderr.write(f"{error}\n")
    finally:
        os._exit(code)


def kill_at(ledger: Ledger, at: int) -> None:
    """kill -9 this process before its n-th statement, or in place of its n-th commit."""
    left = [at]

    def count(*_: Any) -> None:
        left[0] -= 1
        if left[0] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sa.event.listen(ledger.store.engine, "before_cursor_execute", count)
    sa.event.listen(ledger.store.engine, "commit", count)
    sa.event.listen(ledger.store.engine, "after_cursor_execute", count)


def hold_lock(url: str, seconds: float) -> None:
    """Another process that holds the write lock for a while."""
    if os.fork() == 0:
        engine = store.make_engine(url)
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            time.sleep(seconds)
            connection.exec_driver_sql("ROLLBACK")
        os._exit(0)
    time.sleep(seconds / 4)


def jumped(by: timedelta) -> type[datetime]:
    """A clock that is wrong by days."""

    class Jumped(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(UTC) + by

    return Jumped


@contextmanager
def home() -> Iterator[Path]:
    """A folder for one run, in memory where there is such a place: kill -9 loses no page of
    either."""
    # removed again below
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
    with tempfile.TemporaryDirectory(prefix="drill-", dir=memory) as folder:
        yield Path(folder)


def run(seed: int) -> tuple[list[str], Counter[str]]:
    """The violations of one seeded run, and the faults it went through."""
    with home() as folder:
        drill = Run(seed, folder)
        return drill.play(), drill.faults


if __name__ == "__main__":
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    started, failed, faults = time.monotonic(), 0, Counter[str]()
    for seed in range(first, first + runs):
        violations, met = run(seed)
        faults += met
        failed += len(violations)
        for word in violations:
            sys.stdout.write(f"seed {seed}: {word}\n")
        if (seed - first) % 50 == 49:
            sys.stdout.write(f"{seed - first + 1} runs, {failed} violations so far\n")
            sys.stdout.flush()
    sys.stdout.write(
        f"{runs} runs, {failed} violations, {time.monotonic() - started:.0f} s; {dict(faults)}\n"
    )
    sys.exit(bool(failed))
