"""What the plan can do with what a contract feeds: each canonical table that nobody feeds, and what
that costs the orders."""

from __future__ import annotations

from collections.abc import Collection

from orchestration.landing.contract.validation import rules
from orchestration.landing.contract.world import World

#: The facts of which one is needed to know what day it is.
CLOCKED = ("sales", "returns", "stock")

#: What an order is worth without a table, the dearest first; a table that changes no order by its
#: absence, such as returns, is not named.
WITHOUT = {
    "stock": "what lies on the shelf is assumed, at 1.4 review intervals of demand, and orders for "
    "the lead time's demand on the way",
    "purchase_orders": "what is on order is not known, so that it is ordered again",
    "receipts": "an order counts as received on the day it was due, unless its status says `open`, "
    "and lead times are as promised",
    "items": "no names, packs, weights or categories",
    "supplier_terms": "one supplier for all where no item names its own, no minimum, no order "
    "multiple, no price breaks",
    "locations": "every place buys for itself: no warehouse supplies it, and no room is limited",
    "prices": "what a unit earns is what was paid last year, or assumed from its cost",
    "promotions": "the forecast hears of a promotion when it is over",
    "returns": "what comes back is not taken off demand",
    "constraints": "no budget, capacity or service level limits an order",
    "lanes": "freight costs nothing and transfers take the default lead time",
}
#: Said of a table that is fed and yet as good as not.
ASIDE = " (every row tried is in quarantine)"
#: What a table's absence costs where another is fed; without that, its own sentence says it all.
BESIDE = {"purchase_orders": "stock"}
#: What a column of another table says just as well.
SAID_BY = {
    "prices": (("sales", "unit_price"), ("sales", "revenue")),
    "purchase_orders": (("transfers", "transfer_id"),),
    "lanes": (("shipments", "freight_cost"),),
}


def consequences(world: World, aside: Collection[str] = ()) -> list[str]:
    """What the plan can do with this contract, in sentences: what it orders by, then what is
    lacking and what that costs.

    aside: tables of which every row that was tried is in quarantine; as good as not fed.
    """
    fed: dict[str, set[str]] = {}
    for source in world.sources.values():
        for _, table, words in rules(source):
            if table not in aside:
                fed.setdefault(table, set()).update(words)
    return [_verdict(world, set(fed)), *_lacking(fed, aside)]


def _verdict(world: World, fed: set[str]) -> str:
    if not fed & set(CLOCKED):
        return (
            f"no plan: nothing says what day it is; feed {', '.join(CLOCKED[:-1])} or "
            f"{CLOCKED[-1]}, whose newest row is the company's Now"
        )
    if "sales" not in fed:
        return "no plan: nothing is sold, so nothing can be forecast; feed sales"
    plan = world.plan
    lead = (
        f"{plan.lead_time_days:g} days"
        if plan.lead_time_days is not None
        else f"{plan.lead_time_periods} {plan.grain}s"
        if plan.lead_time_periods is not None
        else f"one {plan.grain}, which is assumed"
    )
    stated = "what supplier_terms say, else " if "supplier_terms" in fed else ""
    return (
        f"orders by forecasts a {plan.grain}, reviewed every {plan.review_days} days, with a lead "
        f"time of {stated}{lead}"
    )


def _lacking(fed: dict[str, set[str]], aside: Collection[str]) -> list[str]:
    if "sales" not in fed:
        return []
    return [
        f"no {table.replace('_', ' ')}{ASIDE if table in aside else ''}: {cost}"
        for table, cost in WITHOUT.items()
        if table not in fed
        and BESIDE.get(table, "sales") in fed
        and not any(name in fed.get(other, ()) for other, name in SAID_BY.get(table, ()))
    ]
