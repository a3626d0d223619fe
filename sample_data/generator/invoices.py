"""The real rows: which invoice lines of UCI Online Retail the sample keeps, and what they mean for
stock.

`extract` copies lines byte for byte out of the public archive; `Flows` reads the copied drops back,
row by row as world.yml does.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import mean, pvariance

from generator.calendar import index_of

GOODS = re.compile(r"^[0-9]{5}[A-Z]{0,2}$")
#: selling days a year from which an item is listed in a market
LISTING = {"UK": 20, "CONT": 8, "IE": 6, "ROW": 5}
#: items taken from each quartile of selling days, slow to steady: the steady ones are what the
#: small markets buy
TAKEN = (8, 8, 8, 16)
_ROW = (
    "Australia|Bahrain|Brazil|Canada|Hong Kong|Israel|Japan|Lebanon|RSA|Saudi "
    "Arabia|Singapore|USA|United Arab Emirates|Unspecified"
)
MARKETS = {"United Kingdom": "UK", "Channel Islands": "UK", "EIRE": "IE"} | dict.fromkeys(
    _ROW.split("|"), "ROW"
)

Pair = tuple[str, str]


def market(country: str) -> str:
    """The location that serves a country: UK, IE, ROW, else the Continent."""
    return MARKETS.get(country, "CONT")


def item(code: str) -> str:
    """A stock code with its case twins united: 85123a is 85123A."""
    return code.strip().upper()


@dataclass(frozen=True)
class Line:
    """One invoice line: the parsed columns that matter, and the bytes it was read from."""

    text: str
    invoice: str
    item: str
    quantity: int
    time: str
    price: float
    location: str
    description: str

    @property
    def kind(self) -> str:
        """What world.yml makes of the line: service, write-off, no price, return or sale."""
        if not GOODS.match(self.item):
            return "service"
        if self.quantity < 0:
            return "return" if self.invoice.startswith("C") else "write-off"
        return "sale" if self.price > 0 else "no price"


def parse(text: str) -> Iterator[Line]:
    """The lines of one daily drop, in order."""
    for raw in text.splitlines(keepends=True)[1:]:
        invoice, code, description, quantity, time, price, _customer, country = next(
            csv.reader([raw])
        )
        yield Line(
            raw,
            invoice,
            item(code),
            int(quantity),
            time,
            float(price),
            market(country),
            description,
        )


def extract(archive: Path, out: Path) -> None:
    """Copy the chosen lines out of the public archive, one file a day: chosen items where they are
    listed, and every service line."""
    with tarfile.open(archive) as tar:
        drops = {
            Path(member.name).name: io.TextIOWrapper(
                tar.extractfile(member), encoding="utf-8", newline=""
            ).read()  # type: ignore[arg-type]
            for member in tar.getmembers()
            if member.name.endswith(".csv")
        }
    days: dict[Pair, Counter[str]] = defaultdict(Counter)
    for text in drops.values():
        for line in parse(text):
            if line.kind == "sale":
                days[line.item, line.location][line.time[:10]] += line.quantity
    chosen = _select(days)
    listed = {
        pair for pair, sold in days.items() if pair[0] in chosen and len(sold) >= LISTING[pair[1]]
    }
    out.mkdir(parents=True, exist_ok=True)
    for name in sorted(drops):
        kept = [
            line.text
            for line in parse(drops[name])
            if line.kind == "service" or (line.item, line.location) in listed
        ]
        header = drops[name].splitlines(keepends=True)[0]
        (out / name).write_bytes((header + "".join(kept)).encode())


def _select(days: dict[Pair, Counter[str]]) -> set[str]:
    """Items with 30 or more selling days: quartiles by selling days, in each quartiles by
    variability, in each cell by hash order."""
    sold: dict[str, Counter[str]] = defaultdict(Counter)
    for (code, _location), quantities in days.items():
        sold[code].update(quantities)
    ranked = sorted(
        (code for code in sold if len(sold[code]) >= 30), key=lambda code: (len(sold[code]), code)
    )
    chosen: set[str] = set()
    for quartile, taken in zip(_quarters(ranked), TAKEN, strict=True):
        for cell in _quarters(sorted(quartile, key=lambda code: (_variability(sold[code]), code))):
            chosen.update(
                sorted(cell, key=lambda code: hashlib.sha256(code.encode()).hexdigest())[:taken]
            )
    return chosen


def _variability(sold: Counter[str]) -> float:
    """The squared coefficient of variation of the quantities of selling days."""
    return pvariance(sold.values()) / mean(sold.values()) ** 2


def _quarters(ranked: list[str]) -> list[list[str]]:
    bounds = [len(ranked) * part // 4 for part in range(5)]
    return [ranked[low:high] for low, high in pairwise(bounds)]


@dataclass
class Flows:
    """What the drops say about stock: per (item, location) and day index the units that left, net
    of returns and with write-offs."""

    outflow: dict[Pair, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    first_sale: dict[Pair, int] = field(default_factory=dict)
    prices: dict[str, dict[int, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    names: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    open_days: set[int] = field(default_factory=set)
    kits: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path, kits: Mapping[str, Mapping[str, int]]) -> Flows:
        """Read the committed drops; byte-equal lines count once, as `identity: row` has it. What
        leaves of a kit are its parts."""
        flows, seen = cls(kits=kits), set[str]()
        for path in sorted(folder.glob("*.csv")):
            flows.open_days.add(index_of(path.stem))
            for line in parse(path.read_bytes().decode()):
                if line.text.rstrip("\r\n") not in seen:
                    seen.add(line.text.rstrip("\r\n"))
                    flows._add(line)
        return flows

    def _add(self, line: Line) -> None:
        if line.kind not in ("sale", "return", "write-off"):
            return
        index = index_of(line.time)
        units = line.quantity if line.kind != "write-off" else -line.quantity
        parts = self.kits.get(line.item, {line.item: 1})
        for part, count in parts.items():
            self.outflow[part, line.location][index] += units * count
        if line.kind == "sale":
            for part in {line.item, *parts}:
                pair = (part, line.location)
                self.first_sale[pair] = min(index, self.first_sale.get(pair, index))
            self.prices[line.item][index].append(line.price)
            self.names[line.item][line.description.strip()] += 1

    @property
    def sold(self) -> list[Pair]:
        """Every (item, location) that ever sold, as itself or in a kit, in order."""
        return sorted(self.first_sale)

    @property
    def pairs(self) -> list[Pair]:
        """Every (item, location) that is stocked to be sold, in order: all but kits."""
        return [pair for pair in self.sold if pair[0] not in self.kits]

    @property
    def items(self) -> list[str]:
        """Every item, in order, kits too."""
        return sorted(self.prices)
