"""The soak: everything at once, day after day, of a shop whose customers, tills and suppliers are
robots.

`python tests/line/drill_soak.py [DAYS] [KILLS] [SEED] [FOLDER]`: the tills send signed messages to
`stockhouse receive`, every night `pull`, `run --send` and `supplier receive` plan, order and book,
and readers open what is published all the while. Processes are killed (SIGKILL) at random moments
and started again, each with a clock that is up to two days wrong (Debian's `faketime`). After every
night: no message lost or counted twice, stock and positions as in the shop, every order at the
supplier once, the ledger's chain whole, what is published never torn and never older. At the end
the warehouse is rebuilt from its archive, and once more from a backup. Exits non-zero where one of
them does not hold.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from models.procurement.approval import Limits
from orchestration.app import procurement
from orchestration.facts import published_snapshots
from orchestration.home import Home
from tests.ledger.drill_eight_weeks import Counterparty, rows_of, write

ROOT = Path(__file__).resolve().parents[2]
SECRET = "told to nobody"  # noqa: S105 - signs nothing but this drill's messages
#: Article: units sold a day, cost.
ARTICLES = {"mug": (6, 4.0), "cup": (3, 2.5), "jug": (9, 7.0)}
HISTORY, FIRST, SHELF = 120, date(2024, 1, 1), 60
WORLD = """
world: soak
currency: EUR
plan: {grain: day, review: daily, lead_time_days: 3, absent_sales: zero}
sources:
  past:
    silo: erp
    path: past.csv
    key: [number]
    known_after: 0 days
    into: [sales: {item_id: article, location_id: "'main'", event_at: day, quantity: pieces}]
  till:
    silo: erp
    stream: {webhook: "${TILL_SECRET}", message_id: number}
    key: [number]
    known_at: at
    into: [sales: {item_id: article, location_id: "'main'", event_at: at, quantity: pieces}]
  counts:
    silo: erp
    path: counts.csv
    key: [at, article]
    known_at: at
    into: [stock: {item_id: article, location_id: "'main'", event_at: at, on_hand: pieces}]
  suppliers:
    silo: sheets
    path: suppliers.csv
    key: [supplier]
    known_at: date '2024-01-01'
    into: [suppliers: {supplier_id: supplier, name: name}]
  terms:
    silo: sheets
    path: terms.csv
    key: [article]
    known_at: date '2024-01-01'
    into: [supplier_terms: {item_id: article, supplier_id: supplier, lead_time_days: 3, unit_cost: cost}]
  receipts:
    silo: erp
    path: erp/receipts.csv
    key: [receipt]
    known_after: 0 days
    into:
      - receipts: {order_id: order, line_id: line, supplier_id: supplier, item_id: item,
          location_id: location, quantity: quantity, event_at: received_at}
"""
RECEIPT = ("receipt", "order", "line", "supplier", "item", "location", "quantity", "received_at")
COUNT = ("at", "article", "pieces")
SOLD = """
select period_start, item_id, cast(recorded_quantity as bigint) from marts.fct_demand
where is_current and period_start >= ? and recorded_quantity <> 0
"""
POSITIONS = "select item_id, on_hand, on_order from marts.fct_stock_positions"


def found(folder: Path, luck: random.Random) -> Path:
    """The shop before its first day: its contract, its past, what is on the shelves."""
    numbers = np.random.default_rng(luck.randrange(2**32))
    days = [FIRST + timedelta(days=k) for k in range(HISTORY)]
    past = [
        {"number": f"P{k}{name}", "article": name, "day": str(day), "pieces": str(units)}
        for k, day in enumerate(days)
        for name, (usual, _) in ARTICLES.items()
        if (units := numbers.poisson(usual))
    ]
    terms = [{"article": n, "supplier": "S1", "cost": str(c)} for n, (_, c) in ARTICLES.items()]
    shelves = [
        {"at": f"{days[-1]} 22:00:00", "article": name, "pieces": str(SHELF)} for name in ARTICLES
    ]
    write(folder / "past.csv", past, list(past[0]))
    write(folder / "terms.csv", terms, list(terms[0]))
    write(folder / "suppliers.csv", [{"supplier": "S1", "name": "Potter"}], ["supplier", "name"])
    write(folder / "counts.csv", shelves, list(COUNT))
    write(folder / "erp/receipts.csv", [], list(RECEIPT))
    (folder / "world.yml").write_text(WORLD, encoding="utf-8")
    return folder


@dataclass
class Supplier(Counterparty):
    """One that keeps what it was ordered: the units of an order line, as often as it came."""

    taken: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def deliver(
        self, order: str, name: str, place: str, lines: list[Any], *more: Any, **options: Any
    ) -> None:
        for line in lines:
            self.taken.setdefault((order, line[1]), []).append(float(line[2]))
        super().deliver(order, name, place, lines, *more, **options)


@dataclass
class Readers:
    """Who opens what is published, over and over: what they saw that no reader may see."""

    home: Path
    reads: int = 0
    seen: int = 0
    wrong: list[str] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def read(self) -> None:
        while not self.is_over.wait(0.2):
            if not (self.home / "derived/published/current").exists():
                continue
            try:
                self.open()
            except Exception as error:  # whatever a reader meets is a finding
                self.wrong.append(f"a reader met {error!r}")

    def open(self) -> None:
        snapshot = published_snapshots.current(Home.open(self.home).published)
        with snapshot.connect() as con:
            row = con.execute("select run_id, version from published.snapshot").fetchone()
            planned = con.execute("select count(*) from decisions.targets").fetchone()
        assert row and planned
        self.reads += 1
        if row[0] != snapshot.run_id or row[1] < self.seen or not planned[0]:
            self.wrong.append(f"a reader saw {row} after version {self.seen}, {planned[0]} targets")
        self.seen = max(self.seen, row[1])


@dataclass
class Shop:
    """The shop with its tills and its home; truth is what is kept here, not what is read there."""

    data: Path
    root: Path
    luck: random.Random
    stock: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(ARTICLES, SHELF)))
    sold: Counter[tuple[date, str]] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    open_orders: Counter[str] = field(default_factory=Counter)
    messages: int = 0
    is_allowed: bool = False
    receiver: subprocess.Popen[bytes] | None = None
    port: int = 0

    def __post_init__(self) -> None:
        partners = self.root / "state" / "partners"
        self.supplier = Supplier(self.data, partners, late="")

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A command of the product in a process whose clock is wrong by up to two days."""
        off = f"{self.luck.randint(-48 * 60, 48 * 60):+d}m"
        command = ["faketime", "-f", off, str(Path(sys.executable).parent / "stockhouse")]
        environment = os.environ | {"TILL_SECRET": SECRET}
        return subprocess.Popen(
            [*command, *arguments, "--home", str(self.root)],
            env=environment,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # killed with every process it started
        )

    def command(self, *arguments: str, kills: int = 0) -> None:
        """A command killed so often at a random moment, and then left to end."""
        name, usual = arguments[0], self.seconds.get(arguments[0], 3.0)
        for _ in range(kills):
            process = self.start(*arguments)
            time.sleep(self.luck.uniform(0.05, 1.0) * usual)
            if process.poll() is None:
                self.kills[name] += 1
            end(process)
            self.answered()
        self.open_orders = self.ordered() if name == "run" else self.open_orders
        began = time.monotonic()
        done = self.start(*arguments)
        said = done.communicate()[1].decode()
        if done.returncode:
            raise SystemExit(f"{arguments} ended with {done.returncode}:\n{said[-3000:]}")
        self.seconds[name] = time.monotonic() - began

    def ordered(self) -> Counter[str]:
        """Units of each article that are approved and have not come."""
        coming = Counter[str]()
        if not self.is_published:
            return coming
        with procurement.open_desk(Home.open(self.root)) as desk:
            for line in desk.ledger.lines():
                coming[line.item_id] += round(line.ordered) if line.is_approved else 0
        for row in rows_of(self.data / "erp/receipts.csv"):
            coming[row["item"]] -= round(float(row["quantity"]))
        return coming

    @property
    def is_published(self) -> bool:
        """Whether a first run has ended."""
        return (self.root / "derived/published/current").exists()

    def answered(self) -> None:
        """The supplier reads its post and answers."""
        if self.is_published:
            with procurement.open_desk(Home.open(self.root)) as desk:
                self.supplier.answer(desk)

    def listen(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.receiver = self.start("receive", str(self.data), "--port", str(self.port))

    def day(self, on: date, kills: int) -> None:
        """Goods come, customers buy; the tills send until every message was acknowledged, some of
        them twice, in any order."""
        receipts = self.data / "erp/receipts.csv"
        before = len(rows_of(receipts))
        self.supplier.goods_until(datetime.combine(on, datetime.min.time()) + timedelta(hours=12))
        for row in rows_of(receipts)[before:]:
            self.stock[row["item"]] += round(float(row["quantity"]))
        sold = [message for name in ARTICLES for message in self.sell(name, on)]
        sent = [*sold, *self.luck.sample(sold, len(sold) // 5)]
        self.luck.shuffle(sent)
        fatal = set(self.luck.sample(range(len(sent)), min(kills, len(sent))))
        for place, message in enumerate(sent):
            self.say(message, is_fatal=place in fatal)

    def sell(self, name: str, on: date) -> Iterator[dict[str, object]]:
        """What customers take of an article on a day, a message a piece."""
        wanted = sum(self.luck.random() < ARTICLES[name][0] / 40 for _ in range(40))
        for _ in range(min(wanted, self.stock[name])):
            self.stock[name] -= 1
            self.sold[on, name] += 1
            self.messages += 1
            at = f"{on} {self.luck.randint(9, 19):02d}:{self.luck.randint(0, 59):02d}:00"
            yield {"number": self.messages, "article": name, "at": at, "pieces": 1}

    def say(self, message: dict[str, object], is_fatal: bool) -> None:
        """Send a message until it is acknowledged; if fatal, its receiver is killed meanwhile."""
        body = json.dumps(message).encode()
        signed = {"X-Signature-256": hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}
        if is_fatal and self.receiver is not None:
            killer = threading.Timer(self.luck.uniform(0, 0.02), end, [self.receiver])
            killer.start()
            self.kills["receive"] += 1
        limit = time.monotonic() + 120
        while time.monotonic() < limit:
            if self.receiver is None or self.receiver.poll() is not None:
                self.listen()
            try:
                url = f"http://127.0.0.1:{self.port}/till"
                if httpx.post(url, content=body, headers=signed, timeout=5).status_code == 202:
                    return
            except httpx.HTTPError:
                time.sleep(0.1)
        raise SystemExit("the receiver acknowledges nothing")

    def night(self, on: date, kills: int) -> None:
        """The shelves are counted, and the line runs."""
        path = self.data / "counts.csv"
        counted = [
            {"at": f"{on} 22:00:00", "article": name, "pieces": str(self.stock[name])}
            for name in ARTICLES
        ]
        write(path, [*rows_of(path), *counted], list(COUNT))
        each = [self.luck.choice(("run", "run", "pull", "supplier")) for _ in range(kills)]
        self.command("pull", str(self.data), kills=each.count("pull"))
        self.allow()
        run = ("run", str(self.data), "--as-of", str(on), "--send")
        self.command(*run, kills=each.count("run"))
        self.answered()
        self.command("supplier", "receive", kills=each.count("supplier"))

    def allow(self) -> None:
        """Two people let the line order by itself, once there is a ledger to say so to."""
        wide = Limits(worst_risk=1.0, usual_factor=1e6, auto_amount=1e6)
        if not self.is_published or self.is_allowed:
            return
        with procurement.open_desk(Home.open(self.root)) as desk:
            desk.ledger.propose_limits(wide, "eve", desk.now)
            desk.ledger.confirm_limits("dan", desk.now)
        self.is_allowed = True


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def compare(shop: Shop) -> list[str]:
    """Where the home, the supplier and the shop do not say the same."""
    home = Home.open(shop.root)
    with home.connect(read_only=True) as con:
        first = FIRST + timedelta(days=HISTORY)
        sold = {(day, item): units for day, item, units in con.execute(SOLD, [first]).fetchall()}
        stock = {item: units for item, *units in con.execute(POSITIONS).fetchall()}
    wrong = [
        f"{day} {item}: {sold.get((day, item))} sold here, {shop.sold.get((day, item))} at the till"
        for day, item in sorted(sold.keys() | shop.sold.keys())
        if sold.get((day, item)) != shop.sold.get((day, item))
    ]
    wrong += [
        f"{item}: {stock[item]} in stock and on order here, {there} in the shop"
        for item in ARTICLES
        if stock[item] != (there := [shop.stock[item], shop.open_orders[item]])
    ]
    with procurement.open_desk(home) as desk:
        wrong += [str(finding) for finding in desk.ledger.audit()]
        lines = [line for line in desk.ledger.lines() if line.order_id]
    wanted = {(line.order_id, line.line_id): line.ordered for line in lines}
    taken = shop.supplier.taken
    wrong += [
        f"order line {key}: {wanted.get(key)} here, {taken.get(key)} at the supplier"
        for key in sorted(wanted.keys() | taken.keys())
        if taken.get(key) != [wanted.get(key)]
    ]
    came = Counter[tuple[str, str]]()
    for row in rows_of(shop.data / "erp/receipts.csv"):
        came[row["order"], row["line"]] += round(float(row["quantity"]))
    booked = {(line.order_id, line.line_id): line.received for line in lines if line.received}
    if booked != came:
        wrong.append(f"{booked} booked here, {dict(came)} came")
    live = Counter(line.intent_key for line in lines if line.is_live)
    return wrong + [
        f"{need} was ordered {times} times" for need, times in live.items() if times > 1
    ]


def play(shop: Shop, days: int, kills: int) -> tuple[Readers, list[str]]:
    """The days, one after another, a rebuild and an audit; what did not hold."""
    readers, wrong = Readers(shop.root), list[str]()
    reading = threading.Thread(target=readers.read)
    reading.start()
    try:
        for number in range(days):
            on, began = FIRST + timedelta(days=HISTORY + number), time.monotonic()
            due = round(kills * (number + 1) / days) - shop.kills.total()
            shop.day(on, kills=due // 3)
            shop.night(on, kills=due - due // 3)
            odd = [f"{on}: {said}" for said in compare(shop)]
            wrong += odd
            told = (
                f"{on}: {shop.messages} messages, {len(shop.supplier.taken)} order lines, "
                f"{shop.kills.total()} kills, {readers.reads} reads, "
                f"{len(wrong) + len(readers.wrong)} wrong, {time.monotonic() - began:.0f} s"
            )
            print(told, *odd, sep="\n", file=sys.stderr, flush=True)
        shop.command("rebuild", str(shop.data))  # exits 1 where a table is not as before
        shop.command("audit")
    finally:
        readers.is_over.set()
        reading.join()
        if shop.receiver is not None:
            end(shop.receiver)
    return readers, [*wrong, *readers.wrong]


def main() -> int:
    asked = [int(word) for word in sys.argv[1:4]]
    days, kills, seed = (*asked, *(14, 60, 7)[len(asked) :])
    if not shutil.which("faketime"):
        raise SystemExit("the soak makes clocks jump with Debian's package faketime: install it")
    luck, began = random.Random(seed), time.monotonic()
    folder = Path(sys.argv[4]) if len(sys.argv) > 4 else Path(tempfile.mkdtemp(prefix="soak-"))
    shop = Shop(found(folder / "shop", luck), folder / "home", luck)
    readers, wrong = play(shop, days, kills)
    killed = ", ".join(f"{times} of `{name}`" for name, times in sorted(shop.kills.items()))
    rows = {
        "days and nights": days,
        "messages of the tills, a fifth of them sent twice": shop.messages,
        "order lines, each sent, answered and billed once": len(shop.supplier.taken),
        "processes killed": f"{shop.kills.total()} ({killed})",
        "clocks": "each process up to two days wrong",
        "versions published, and times a reader opened one": f"{readers.seen}, {readers.reads:,}",
        "what did not hold": "; ".join(wrong) or "nothing",
        "seconds": round(time.monotonic() - began),
    }
    print("| | |\n|---|---|", *(f"| {name} | {said} |" for name, said in rows.items()), sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
