"""The master data: items, suppliers, their terms, locations and lanes. Invented, except names and
prices, which come from the invoices."""

from __future__ import annotations

import re
from dataclasses import dataclass
from statistics import median

from generator.calendar import FRIDAY, LAST, LISTED, RENEGOTIATED, TUESDAY, day, stream
from generator.invoices import Flows
from generator.money import AGREED, HOME, vat

#: category → subcategory → words in the item's name; the first that matches wins
CATEGORIES: dict[str, dict[str, str]] = {
    "Seasonal": {
        "Christmas": "CHRISTMAS|XMAS|ADVENT|SANTA|REINDEER|SNOW",
        "Easter": "EASTER|EGG|BUNNY|RABBIT",
    },
    "Bags": {"Lunch bags": "LUNCH BAG", "Shoppers": "BAG|SHOPPER|PURSE|WALLET"},
    "Kitchen": {
        "Baking": "CAKE|BAKING|MUFFIN|RECIPE|COOKIE|JELLY",
        "Tableware": (
            "MUG|CUP|TEA|PLATE|BOWL|GLASS|SPOON|CUTLERY|NAPKIN|TRAY|JUG|BOTTLE"
            "|TABLECLOTH|DOILY|DOILEY"
        ),
        "Storage": "TIN|JAR|CABINET|DRAWER|STORAGE|BOX|BASKET|HOLDER|RACK",
    },
    "Light": {"Candles": "CANDLE|T-LIGHT|TEALIGHT|INCENSE", "Lamps": "LIGHT|LANTERN|LAMP"},
    "Paper": {
        "Cards and wrap": "CARD|WRAP|PAPER|TAG|RIBBON|STICKER|TAPE",
        "Writing": "PEN|NOTEBOOK|BOOK|CHALK|ERASER|RULER|JOURNAL",
    },
    "Toys": {
        "Games": "GAME|PUZZLE|DOMINO|TOY|DOLL|SKIPPING|PLAY|SOLDIER|CRAYON",
        "Children": "CHILD|KID|BABY|GIRL|BOY",
    },
    "Garden": {"Outdoor": "GARDEN|PLANT|WATERING|BIRD|FLOWER POT|PICNIC|PARASOL|UMBRELLA"},
    "Decoration": {
        "Wall": "SIGN|CLOCK|FRAME|MIRROR|HOOK|WALL|MAGNET",
        "Hanging": "HANGING|HEART|BUNTING|GARLAND|DECORATION",
    },
}


@dataclass(frozen=True)
class Supplier:
    """A vendor of the company: planned lead time in days, the real SCMS vendor its lateness is
    drawn from, how it ships, and in which money, units and on which days it deals.

    working_days: its lead time is promised in working days, so many of a week. keeps_days: what
    perishes still keeps so long when it arrives.
    """

    supplier_id: str
    name: str
    region_id: str
    payment_days: int
    lead_time_days: int
    transit_days: int
    mode: str
    lateness_of: str
    raises_prices: bool = False
    ordered_on: int = FRIDAY
    ordered_at: str = "16:00"
    order_days: str | None = None
    order_until: str | None = None
    working_days: str | None = None
    lead_time_working_days: int | None = None
    currency: str = HOME
    sells_cases: bool = False
    keeps_days: int | None = None


SUPPLIERS = (
    Supplier(
        "S01",
        "Albion Gift Makers",
        "UK",
        30,
        7,
        2,
        "Truck",
        "Standard Diagnostics, Inc.",
        working_days="mon-fri",
        lead_time_working_days=5,
    ),
    Supplier(
        "S02",
        "Thames Paper Mill",
        "UK",
        30,
        7,
        2,
        "Truck",
        "Trinity Biotech, Plc",
        raises_prices=True,
        ordered_on=TUESDAY,
        ordered_at="10:00",
        order_days="tue, thu",
        order_until="11:00",
    ),
    Supplier(
        "S03",
        "Liffey Candle Works",
        "IE",
        30,
        10,
        3,
        "Truck",
        "ABBVIE LOGISTICS (FORMERLY ABBOTT LOGISTICS BV)",
        keeps_days=480,
    ),
    Supplier("S04", "Brabant Tin and Box", "CONT", 45, 14, 4, "Truck", "Orgenics, Ltd"),
    Supplier("S05", "Porto Ceramics", "CONT", 45, 14, 5, "Truck", "HETERO LABS LIMITED"),
    Supplier(
        "S06",
        "Lodz Textiles",
        "CONT",
        45,
        14,
        4,
        "Truck",
        "MYLAN LABORATORIES LTD (FORMERLY MATRIX LABORATORIES)",
        raises_prices=True,
    ),
    Supplier(
        "S07",
        "Bursa Glass",
        "CONT",
        60,
        21,
        9,
        "Truck",
        "CIPLA LIMITED",
        currency="EUR",
        sells_cases=True,
    ),
    Supplier("S08", "Jaipur Crafts", "ROW", 60, 21, 5, "Air", "CIPLA LIMITED"),
    Supplier(
        "S09",
        "Tirupur Bags",
        "ROW",
        60,
        28,
        20,
        "Ocean",
        "Aurobindo Pharma Limited",
        raises_prices=True,
    ),
    Supplier("S10", "Ningbo Lighting", "ROW", 90, 28, 21, "Ocean", "SCMS from RDC"),
    Supplier(
        "S11",
        "Shantou Toys",
        "ROW",
        90,
        35,
        24,
        "Ocean",
        "CHEMBIO DIAGNOSTIC SYSTEMS, INC.",
        currency="USD",
    ),
    Supplier(
        "S12",
        "Yiwu General Trading",
        "ROW",
        90,
        35,
        24,
        "Ocean",
        "SCMS from RDC",
        raises_prices=True,
    ),
)
#: who makes what; two suppliers of one category share its items
MAKERS = {
    "Seasonal": ("S12", "S10"),
    "Bags": ("S09", "S06"),
    "Kitchen": ("S04", "S05", "S07"),
    "Light": ("S03", "S10"),
    "Paper": ("S02",),
    "Toys": ("S11",),
    "Garden": ("S05", "S12"),
    "Decoration": ("S08", "S01"),
    "Other": ("S01", "S08", "S12"),
}
#: location → units that fit on its shelves
CAPACITY = {"DC1": 120_000, "UK": 40_000, "IE": 3_000, "CONT": 12_000, "ROW": 3_000}
#: location → what people call it, and where goods are delivered to; invented
PLACES = {
    "DC1": ("Distribution centre", "Unit 4, Quay Road, Felixstowe IP11 3SY, United Kingdom"),
    "UK": ("Market United Kingdom", "18 Tanner Lane, Nottingham NG1 6AA, United Kingdom"),
    "IE": ("Market Ireland", "7 Mill Street, Cork T12 XY00, Ireland"),
    "CONT": ("Market Continent", "Havenlaan 31, 1000 Brussel, Belgium"),
    "ROW": ("Market Rest of World", "Unit 5, Quay Road, Felixstowe IP11 3SY, United Kingdom"),
}
#: location → transit days from DC1
LANES = {"UK": 1, "IE": 2, "CONT": 3, "ROW": 5}
#: kit → what one of it takes: put together when it is sold, so it is neither stocked nor bought
KITS = {"22634": {"22972": 1, "84997B": 1}}  # the breakfast set: the mug and the cutlery
#: item → what takes its place from a day on, and when that was said
SUCCESSORS = {"22912": ("22914", "2011-12-19", "2011-11-28")}  # the yellow coat rack: the blue one
#: cases on a pallet
PALLET = 10
BANK_HOLIDAYS = {
    "2010-12-27": "Christmas Day (substitute)",
    "2010-12-28": "Boxing Day (substitute)",
    "2011-01-03": "New Year's Day (substitute)",
    "2011-04-22": "Good Friday",
    "2011-04-25": "Easter Monday",
    "2011-04-29": "Royal Wedding",
    "2011-05-02": "Early May bank holiday",
    "2011-05-30": "Spring bank holiday",
    "2011-08-29": "Summer bank holiday",
    "2011-12-26": "Boxing Day",
    "2011-12-27": "Christmas Day (substitute)",
    "2012-01-02": "New Year's Day (substitute)",
}


@dataclass(frozen=True)
class Item:
    """One item as the ERP's item master knows it; weights and volumes are of one unit, money in
    GBP."""

    item_id: str
    name: str
    category: str
    subcategory: str
    supplier: Supplier
    pack_size: int
    weight_kg: float
    volume_m3: float
    unit_cost: float
    price: float
    moq: int
    order_multiple: int
    shelf_life_days: int | None

    @property
    def sold_by(self) -> int:
        """How many units one of the supplier's holds: a case is what orders are a multiple of."""
        return self.order_multiple if self.supplier.sells_cases else 1

    def cost_at(self, index: int, quantity: int) -> float:
        """The supplier's price of one of its units on a day, in its currency, for an order line of
        so many pieces."""
        return next(
            cost
            for from_quantity, cost in reversed(self.breaks(raised=day(index) > RENEGOTIATED))
            if quantity >= from_quantity * self.sold_by
        )

    def breaks(self, raised: bool) -> list[tuple[int, float]]:
        """The supplier's price breaks in its own units and currency: (from quantity, price),
        cheapest last."""
        base = self.unit_cost * (1.06 if raised and self.supplier.raises_prices else 1.0)
        base *= self.sold_by / AGREED[self.supplier.currency]
        least = self.moq // self.sold_by
        return [(least, round(base, 2)), (least * 4, round(base * 0.95, 2))]


def items(flows: Flows) -> dict[str, Item]:
    """The item master: name and price from the invoices, the rest drawn per item."""
    return {code: _item(code, flows) for code in flows.items}


def _item(code: str, flows: Flows) -> Item:
    draw = stream("item", code)
    name = max(flows.names[code].items(), key=lambda entry: (entry[1], entry[0]))[0]
    category, subcategory = classify(name)
    maker = draw.choice(MAKERS[category])
    price = median(price for prices in flows.prices[code].values() for price in prices)
    weight = round((0.04 + 0.12 * price**0.8) * (0.6 + 0.8 * draw.random()), 3)
    weekly = sum(sum(flows.outflow[pair].values()) for pair in flows.pairs if pair[0] == code) / (
        (LAST + 1) / 7
    )
    multiple = next((size for size in (24, 12, 6, 4, 2) if weekly * 1.5 >= size), 1)
    moq = multiple * (2 if weekly * 2 >= multiple * 2 and draw.random() < 0.5 else 1)
    return Item(
        item_id=code,
        name=name,
        category=category,
        subcategory=subcategory,
        supplier=next(one for one in SUPPLIERS if one.supplier_id == maker),
        pack_size=next(
            (size for size in (12, 6, 3) if price * size <= 18 and multiple % size == 0), 1
        ),
        weight_kg=weight,
        volume_m3=round(weight * (0.003 + 0.005 * draw.random()), 5),
        unit_cost=max(0.02, round(price * (0.42 + 0.16 * draw.random()), 2)),
        price=price,
        moq=moq,
        order_multiple=multiple,
        shelf_life_days=540 if subcategory == "Candles" else None,
    )


def classify(name: str) -> tuple[str, str]:
    """Category and subcategory of an item, by the first list of words that its name meets."""
    for category, parts in CATEGORIES.items():
        for subcategory, words in parts.items():
            if re.search(rf"\b({words})", name.upper()):
                return category, subcategory
    return "Other", "Sundries"


def item_rows(master: dict[str, Item]) -> list[dict[str, object]]:
    """erp/items.csv; a kit costs what its parts cost, and nobody supplies it."""
    return [
        {
            "item": one.item_id,
            "description": one.name,
            "category": one.category,
            "subcategory": one.subcategory,
            "main_supplier": None if one.item_id in KITS else one.supplier.supplier_id,
            "pack_size": one.pack_size,
            "weight_kg": f"{one.weight_kg:.3f}",
            "volume_m3": f"{one.volume_m3:.5f}",
            "unit_cost": f"{_standard_cost(one, master):.2f}",
            "shelf_life_days": one.shelf_life_days,
            "listed_on": LISTED.isoformat(),
        }
        for one in master.values()
    ]


def _standard_cost(one: Item, master: dict[str, Item]) -> float:
    parts = KITS.get(one.item_id, {one.item_id: 1})
    return sum(master[part].unit_cost * count for part, count in parts.items())


def supplier_rows() -> list[dict[str, object]]:
    """erp/suppliers.csv."""
    return [
        {
            "supplier": one.supplier_id,
            "name": one.name,
            "region": one.region_id,
            "payment_days": one.payment_days,
            "order_days": one.order_days,
            "order_until": one.order_until,
            "working_days": one.working_days,
        }
        for one in SUPPLIERS
    ]


def location_rows() -> list[dict[str, object]]:
    """erp/locations.csv; capacity in units, the planner's workbook says it too."""
    centre = {
        "location": "DC1",
        **_addressed("DC1"),
        "region": "UK",
        "kind": "distribution_centre",
        "supplied_from": None,
        "capacity_units": CAPACITY["DC1"],
    }
    markets = [
        {
            "location": place,
            **_addressed(place),
            "region": place,
            "kind": "store",
            "supplied_from": "DC1",
            "capacity_units": CAPACITY[place],
        }
        for place in LANES
    ]
    return [centre, *markets]


def _addressed(place: str) -> dict[str, str]:
    name, address = PLACES[place]
    return {"name": name, "address": address}


def unit_rows(master: dict[str, Item]) -> list[dict[str, object]]:
    """erp/units.csv: what the cases and pallets of suppliers hold that sell by them."""
    return [
        {"item": one.item_id, "unit": unit, "pieces": one.sold_by * cases}
        for one in master.values()
        if one.supplier.sells_cases
        for unit, cases in (("case", 1), ("pallet", PALLET))
    ]


def holiday_rows() -> list[dict[str, object]]:
    """erp/holidays.csv: bank holidays of the United Kingdom, and when a supplier is closed."""
    public = [(day, name, "UK", None) for day, name in BANK_HOLIDAYS.items()]
    closed = [(day, "Republic Day", None, "S08") for day in ("2011-01-26", "2012-01-26")]
    return [
        dict(zip(("day", "name", "region", "supplier"), row, strict=True))
        for row in sorted([*public, *closed])
    ]


def listed_from(flows: Flows, code: str, place: str) -> int:
    """The Monday of an item's first sale at a place; DC1 lists it four weeks before it first sells
    anywhere."""
    anywhere = min(flows.first_sale[pair] for pair in flows.sold if pair[0] == code)
    first = flows.first_sale.get((code, place), anywhere - 28)
    return first - day(first).weekday()


def assortment_rows(flows: Flows) -> list[dict[str, object]]:
    """erp/assortment.csv: which item is listed where and from when; kits where they are sold."""
    starts = {
        pair: listed_from(flows, *pair)
        for pair in [*flows.sold, *((code, "DC1") for code in flows.items if code not in KITS)]
    }
    return [
        {
            "item": code,
            "location": place,
            "listed_from": max(day(index), day(0)).isoformat(),
            "announced_on": LISTED.isoformat() if index <= 0 else day(index - 14).isoformat(),
        }
        for (code, place), index in sorted(starts.items())
    ]


def price_rows(flows: Flows, master: dict[str, Item], months: list[int]) -> list[dict[str, object]]:
    """erp/price_list.csv: a list a month; each price is the median invoiced in the month before
    (the first: of the first selling day). Lamps and candles are listed with VAT."""
    rows: list[dict[str, object]] = []
    taxed = {code for code, one in master.items() if one.category == "Light"}
    for code in flows.items:
        prices, current = flows.prices[code], None
        for start, stop in zip(months, [*months[1:], LAST + 1], strict=True):
            if current is None and min(prices) < stop:
                current = median(prices[min(prices)])
            if current is not None:
                tax = vat(start) if code in taxed else None
                rows.append(
                    {
                        "item": code,
                        "valid_from": day(start).isoformat(),
                        "price": f"{current * (1 + (tax or 0)):.2f}",
                        "vat_included": tax,
                        "published_on": day(start - 7).isoformat(),
                    }
                )
            inside = [price for index in range(start, stop) for price in prices.get(index, [])]
            current = median(inside) if inside else current
    return rows
