"""The loop through a real ERP: a small company lives in Tryton for eight weeks, Stockhouse plans it,
and beside it the same company is run by Tryton's own order points.

`python tests/line/drill_tryton.py [WEEKS] [KILLS] [FOLDER]`: every sale, purchase, receipt and bill
is made in Tryton over its own interface; every Monday Stockhouse pulls, runs, and sends what was
approved, and is killed (SIGKILL) so often in the middle of sending: before a call, between what the
call did and its answer, after the answer. The same customers ask for the same goods on the same days
in each company, and suppliers are late by the same days. Exits non-zero where stock and positions
differ by a unit on a Monday, or an order is twice or not in Tryton.
"""

from __future__ import annotations

import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from datetime import time as clock
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from orchestration.app import procurement
from orchestration.home import Home
from orchestration.ledger.partners import FILE
from tests.transform.warehouses import query
from tests.worlds.tryton import erp_company
from tests.worlds.tryton.cut_line import CutLine, line_to
from tests.worlds.tryton.erp_company import Erp, said_day, weeks_before

START, HISTORY = date(2025, 6, 2), 12
SUPPLIERS = {"NEAR": ("Near & Co", 3), "MID": ("Mid Ltd", 6), "FAR": ("Far Ltd", 10)}
#: Mean demand a day, variance over mean, cost, supplier. Prices are cost / 0.6.
ITEMS = {
    "MILK": (14.0, 1.2, 3, "NEAR"),
    "BREAD": (9.0, 1.5, 2, "NEAR"),
    "RICE": (6.0, 2.0, 6, "NEAR"),
    "SOAP": (4.0, 2.5, 9, "MID"),
    "CANDLE": (3.0, 4.0, 12, "MID"),
    "LAMP": (1.5, 2.0, 30, "FAR"),
    "MUG": (5.0, 3.0, 6, "FAR"),
    "PLATE": (2.0, 1.2, 15, "FAR"),
}
WEEKDAYS = (0.8, 0.8, 0.9, 1.0, 1.3, 1.5, 0.7)
HOLDING, MARGIN, PURCHASE = 0.25, 0.4, 10.0  # a year, of the price, for each purchase made
SERVICE = 1.645  # order points cover 95 % of lead times
SENDS = (
    "from datetime import timedelta; from orchestration.ledger import outbox; "
    "outbox.CLAIM = timedelta(seconds=0.5); from orchestration.cli import app; app()"
)


def asked(day: date) -> dict[str, int]:
    """What customers want on a day: the same in every company."""
    drawn = np.random.default_rng([day.toordinal(), 22])
    found = {}
    for item, (usual, unevenness, *_) in ITEMS.items():
        at = usual * WEEKDAYS[day.weekday()]
        shape = at / (unevenness - 1)
        found[item] = int(drawn.negative_binomial(shape, 1 / unevenness))
    return found


def arrives_on(supplier: str, ordered: date) -> date:
    """The day on which a supplier brings what was ordered on a day, up to two days late."""
    late = random.Random(f"{supplier} {ordered}").choice((0, 0, 0, 1, 2))
    return ordered + timedelta(days=SUPPLIERS[supplier][1] + late)


def order_points(review: int) -> dict[str, tuple[int, int]]:
    """Order points by the textbook, from the twelve weeks before: they cover the lead time and the
    days between two reviews, and a week is ordered at a time."""
    days = weeks_before(START, HISTORY)
    found = {}
    for item, (_, _, _, supplier) in ITEMS.items():
        sold = [asked(day)[item] for day in days]
        covered = SUPPLIERS[supplier][1] + review
        least = mean(sold) * covered + SERVICE * stdev(sold) * math.sqrt(covered)
        found[item] = (math.ceil(least), math.ceil(least + 7 * mean(sold)))
    return found


def company() -> dict[str, Any]:
    """The company as it is founded."""
    points = order_points(7)
    items = {
        item: {
            "name": item.title(),
            "price": f"{cost / (1 - MARGIN):.2f}",
            "cost": f"{cost}.0000",
            "supplier": supplier,
            "order_point": points[item],
        }
        for item, (_, _, cost, supplier) in ITEMS.items()
    }
    suppliers = {code: {"name": n, "lead_days": d} for code, (n, d) in SUPPLIERS.items()}
    return {"suppliers": suppliers, "items": items}


def first_stock() -> dict[str, int]:
    return {
        item: round(usual * (SUPPLIERS[supplier][1] + 7))
        for item, (usual, _, _, supplier) in ITEMS.items()
    }


@dataclass
class Books:
    """What a company's weeks cost."""

    holding: float = 0.0
    lost: float = 0.0
    asked_units: int = 0
    lost_units: int = 0
    stock_value: list[float] = field(default_factory=list)
    purchases: int = 0

    def day(self, wanted: dict[str, int], sold: dict[str, int], left: dict[str, int]) -> None:
        value = sum(units * ITEMS[item][2] for item, units in left.items())
        self.stock_value.append(value)
        self.holding += value * HOLDING / 365
        self.asked_units += sum(wanted.values())
        for item, units in wanted.items():
            missed = units - sold[item]
            self.lost_units += missed
            self.lost += missed * ITEMS[item][2] / (1 - MARGIN) * MARGIN

    @property
    def ordering(self) -> float:
        return self.purchases * PURCHASE

    def row(self, name: str) -> str:
        total = self.holding + self.lost + self.ordering
        figures = (self.holding, self.lost, self.ordering, total)
        fill = 1 - self.lost_units / self.asked_units
        about = f"{fill:9.1%} {mean(self.stock_value):11,.0f} {self.stock_value[-1]:11,.0f}"
        return (
            f"{name:28}" + "".join(f"{v:10,.0f}" for v in figures) + f"{about} {self.purchases:6}"
        )


HEAD = (
    f"{'':28}"
    + "".join(f"{name:>10}" for name in ("holding", "lost", "ordering", "total"))
    + (f"{'filled':>9} {'mean stock':>11} {'last stock':>11} {'orders':>6}")
)


def live_a_day(erp: Erp, day: date, books: Books) -> None:
    """Goods come in the morning, customers until the evening."""
    erp.at(datetime.combine(day, clock(6)))
    for purchase in erp.purchases("processing"):
        ordered = said_day(purchase["purchase_date"])
        assert ordered is not None
        due = arrives_on(purchase["party."]["code"], ordered)
        moves = [move for line in purchase["lines."] for move in line["moves"]]
        waiting = erp.rows("stock.move", [["id", "in", moves], ["state", "=", "draft"]])
        if waiting and due <= day:
            erp.receive(purchase, [move["id"] for move in waiting])
            erp.book_bill(purchase, f"RE-{purchase['number']}")
    erp.at(datetime.combine(day, clock(18)))
    there, wanted = erp.on_hand(), asked(day)
    sold = {item: min(units, there[item]) for item, units in wanted.items()}
    erp.sell(sold)
    left = {item: there[item] - sold[item] for item in ITEMS}
    books.day(wanted, sold, left)


def before(folder: Path) -> Path:
    """The company on the evening before the first Monday."""
    days = weeks_before(START, HISTORY)
    night = datetime.combine(days[0], clock(8)) - timedelta(days=1)
    erp = Erp(erp_company.found(folder / "founded", company(), night), folder / "before")
    try:
        for week in range(HISTORY):
            mine = days[7 * week : 7 * week + 7]
            erp.at(datetime.combine(mine[-1], clock(22)))
            erp.take_over({day: asked(day) for day in mine})
        erp.at(datetime.combine(days[-1], clock(23)))
        erp.count(first_stock())
    finally:
        erp.stop()
    return folder / "before"


def by_order_points(founded: Path, folder: Path, weeks: int, review: int) -> Books:
    """The weeks as Tryton's own order points run the company, asked every so many days."""
    erp, books = Erp(founded, folder), Books()
    try:
        erp.at(datetime.combine(START, clock(4)))
        erp.set_order_points(order_points(review))
        for number in range(7 * weeks):
            day = START + timedelta(days=number)
            if number % review == 0:
                erp.at(datetime.combine(day, clock(5)))
                erp.order_by_order_points()
            live_a_day(erp, day, books)
        books.purchases = len(erp.purchases("processing", "done"))
    finally:
        erp.stop()
    return books


@dataclass
class Stockhouse:
    """The planner beside the company, in a home of its own."""

    erp: Erp
    folder: Path
    line: CutLine
    kills: Counter[str] = field(default_factory=Counter)
    luck: random.Random = field(default_factory=lambda: random.Random(22))

    def __post_init__(self) -> None:
        contract = yaml.safe_load(erp_company.WORLD.read_text(encoding="utf-8"))
        contract["economics"] = {"holding_per_year": HOLDING, "shortage_margin": MARGIN}
        self.world.mkdir()
        text = yaml.safe_dump(contract, sort_keys=False)
        (self.world / "world.yml").write_text(text, encoding="utf-8")
        self.environment = os.environ | self.erp.environment()
        os.environ["TRYTON_PASSWORD"] = self.environment["TRYTON_PASSWORD"]

    @property
    def world(self) -> Path:
        return self.folder / "world"

    @property
    def root(self) -> Path:
        return self.folder / "home"

    @property
    def home(self) -> Home:
        return Home.open(self.root)

    def command(self, *arguments: str) -> None:
        command = [str(Path(sys.executable).parent / "stockhouse"), *arguments]
        done = subprocess.run(
            [*command, "--home", str(self.root)],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{arguments}:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")

    def plan(self) -> None:
        """Pull, hear, run, and approve as a person would."""
        self.command("pull", str(self.world))
        if self.root.joinpath("derived", "published").exists():
            self.command("supplier", "receive")
        self.command("run", str(self.world))
        self.command("supplier", "receive")
        partners = self.home.state / "partners"
        partners.mkdir(parents=True, exist_ok=True)
        address = self.erp.address.replace(str(self.erp.port), str(self.line.port))
        entry = {"*": {"address": address, "secret": "TRYTON_PASSWORD"}}
        (partners / FILE).write_text(yaml.safe_dump(entry), encoding="utf-8")
        with procurement.open_desk(self.home) as desk:
            waiting = [d for d in desk.ledger.lines() if d.stage == "requisition"]
            if waiting:
                procurement.approve(desk, [d.document_id for d in waiting], "ann")

    def send(self, kills: int) -> None:
        """Send, killed so often in the middle of it, until all of it is sent."""
        for _ in range(kills):
            if not self.killed_send():
                break
        done = self._send()
        if done.wait(timeout=120):
            raise SystemExit(f"sending stopped:\n{(done.stderr and done.stderr.read()) or ''}")

    def _send(self) -> subprocess.Popen[str]:
        self.line.cut = lambda method: None
        command = [sys.executable, "-c", SENDS, "send", "--send", "--home", str(self.root)]
        return subprocess.Popen(
            command,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def killed_send(self) -> bool:
        """A sending that is killed at a call; False where it came to its end before."""
        where = self.luck.choice(("before", "between", "between", "after"))
        at = None if self.luck.random() < 0.5 else self.luck.randint(1, 14)
        calls: list[str] = []
        process = self._send()

        def cut(method: str) -> str | None:
            calls.append(method)
            is_now = len(calls) == at if at else method.endswith("purchase.create")
            if not is_now or process.poll() is not None:
                return None
            self.kills[f"{where} {'the writing call' if not at else 'another call'}"] += 1
            return where

        self.line.kill = lambda: os.kill(process.pid, signal.SIGKILL)
        self.line.cut = cut
        code = process.wait(timeout=120)
        time.sleep(0.6)  # the claim of who was killed runs out
        return code == -signal.SIGKILL

    def compare(self) -> list[str]:
        """What differs between Stockhouse's stock and positions and Tryton's, of each item."""
        ours = {
            item: (hand, position)
            for item, hand, position in query(
                self.home.warehouse,
                "select item_id, on_hand, position from marts.fct_stock_positions",
            )
        }
        there = self.erp.on_hand()
        coming = Counter(there)
        for move in self.erp.awaited():
            coming[move["product."]["code"]] += round(move["quantity"])
        return [
            f"{item}: {ours.get(item)} here, {(there[item], coming[item])} in Tryton"
            for item in ITEMS
            if ours.get(item) != (there[item], coming[item])
        ]

    def doubles(self) -> list[str]:
        """Orders that are not in Tryton once, with just their lines."""
        wanted: dict[str, dict[int, float]] = {}
        with procurement.open_desk(self.home) as desk:
            for document in desk.ledger.lines():
                if document.is_approved and document.order_id:
                    mine = wanted.setdefault(document.order_id, {})
                    mine[int(document.line_id)] = document.quantity
            wrong = [str(finding) for finding in desk.ledger.audit()]
        found: dict[str, list[dict[int, float]]] = {}
        for purchase in self.erp.purchases("draft", "quotation", "confirmed", "processing", "done"):
            lines = {line["sequence"]: line["quantity"] for line in purchase["lines."]}
            found.setdefault(purchase["reference"], []).append(lines)
        wrong += [f"{o}: {found.get(o)} for {w}" for o, w in wanted.items() if found.get(o) != [w]]
        return wrong + [f"{o} was never ordered" for o in found.keys() - wanted.keys()]


@contextmanager
def living(founded: Path, folder: Path) -> Iterator[Stockhouse]:
    erp = Erp(founded, folder / "erp")
    try:
        with line_to(erp.port) as line:
            yield Stockhouse(erp, folder, line)
    finally:
        erp.stop()


def by_stockhouse(
    founded: Path, folder: Path, weeks: int, kills: int
) -> tuple[Books, list[str], str]:
    """The weeks as Stockhouse plans them; what they cost, and what did not hold."""
    books, wrong = Books(), []
    with living(founded, folder) as planner:
        erp = planner.erp
        for week in range(weeks):
            monday = START + timedelta(days=7 * week)
            erp.at(datetime.combine(monday, clock(5)))
            began = time.monotonic()
            planner.plan()
            wrong += [f"{monday}: {said}" for said in planner.compare()]
            left = weeks - week
            planner.send(-(-(kills - planner.kills.total()) // left))
            wrong += [f"{monday}: {said}" for said in planner.doubles()]
            erp.confirm([purchase["id"] for purchase in erp.purchases("draft")])
            for day in range(7):
                live_a_day(erp, monday + timedelta(days=day), books)
            print(
                f"{monday}: {len(erp.purchases('processing', 'done'))} purchases, "
                f"{planner.kills.total()} kills, {len(wrong)} wrong, {time.monotonic() - began:.0f} s",
                flush=True,
            )
        erp.at(datetime.combine(START + timedelta(days=7 * weeks), clock(5)))
        planner.plan()
        wrong += [f"at the end: {said}" for said in planner.compare()]
        books.purchases = len(erp.purchases("processing", "done"))
        with procurement.open_desk(planner.home) as desk:
            lines = [d for d in desk.ledger.lines() if d.order_id and d.is_approved]
        closed = [d for d in lines if d.received >= d.quantity and d.invoices]
        said = f"{len(lines)} order lines, {len(closed)} of them received and billed; kills: " + (
            ", ".join(f"{n} {where}" for where, n in sorted(planner.kills.items()))
        )
    return books, wrong, said


def main() -> None:
    weeks, kills = (int(word) for word in (*sys.argv[1:3], "8", "50")[:2])
    if not erp_company.python().exists():
        raise SystemExit("Tryton's environment is absent: make drill-tryton sets it up")
    folder = Path(sys.argv[3]) if len(sys.argv) > 3 else Path(tempfile.mkdtemp(prefix="tryton-"))
    founded = before(folder)
    books, wrong, said = by_stockhouse(founded, folder / "stockhouse", weeks, kills)
    print(said)
    rows = [books.row("Stockhouse, every Monday")]
    for review, name in ((7, "order points, every Monday"), (1, "order points, every day")):
        rows.append(by_order_points(founded, folder / f"points-{review}", weeks, review).row(name))
    print("\n".join([HEAD, *rows]))
    if wrong:
        raise SystemExit("\n".join(["did not hold:", *wrong]))
    if len(sys.argv) <= 3:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
