"""What rows of trade must say so that money, calendars, statuses and successions can be read: no
amount without a rate, no weekday, time or status that nobody knows."""

from __future__ import annotations

from collections.abc import Iterator

from orchestration.expectations.laws import Law
from orchestration.landing.contract.canonical import CANONICAL

#: How the status of stock that can be sold or shipped begins; what is on consignment can.
AVAILABLE_STOCK = (
    "avail",
    "free",
    "unrestrict",
    "releas",
    "ok",
    "good",
    "sell",
    "salable",
    "saleable",
    "usable",
    "normal",
    "active",
    "in stock",
    "in_stock",
    "on hand",
    "on_hand",
    "stock",
    "pick",
    "new",
    "consign",
    "frei",
    "verf",
    "konsi",
)
#: How that of stock which cannot begins; as in dbt_project.yml, where it is left out.
UNAVAILABLE_STOCK = (
    "block",
    "quarantin",
    "quality",
    "qc",
    "inspect",
    "hold",
    "on hold",
    "damag",
    "defect",
    "scrap",
    "expired",
    "reserv",
    "allocat",
    "return",
    "recall",
    "transit",
    "in transit",
    "gesperrt",
    "sperr",
    "defekt",
)
#: Weekdays as people write them, English and German, whole or short, or as ISO numbers.
WEEKDAY = (
    "(mon(day)?|tue(s|sday)?|wed(nesday)?|thu(r|rs|rsday)?|fri(day)?|sat(urday)?|sun(day)?"
    "|mo(ntag)?|di(enstag)?|mi(ttwoch)?|do(nnerstag)?|fr(eitag)?|sa(mstag)?|so(nntag)?"
    "|[1-7])"
)
#: A day or a span of days, and lists of them, as models.replenishment.calendars.weekdays reads.
SPAN = f"{WEEKDAY}((\\s*-\\s*|\\s+(to|bis)\\s+){WEEKDAY})?"
WEEKDAYS = f"(daily|{SPAN}((\\s*[,;/+]\\s*|\\s+((and|und)\\s+)?){SPAN})*)"
#: Columns that name weekdays, by table.
IN_WEEKDAYS = {
    "suppliers": ("order_days", "working_days"),
    "locations": ("receiving_days",),
    "lanes": ("departure_days",),
}
#: What is money in tables whose rows may name a currency.
AMOUNTS = (
    "unit_price",
    "revenue",
    "unit_cost",
    "holding_cost",
    "shortage_cost",
    "freight_cost",
    "freight_per_kg",
    "price",
    "list_price",
)


def trading_laws() -> Iterator[Law]:
    """The laws of money, calendars, statuses and successions: errors, as a plan would go on as if
    nothing had been said."""
    for table, spec in CANONICAL.items():
        if "currency" in spec.columns and table != "exchange_rates":
            yield _currency(table, [name for name in AMOUNTS if name in spec.columns])
    for table, columns in IN_WEEKDAYS.items():
        yield _weekdays(table, columns)
    yield Law(
        "suppliers_take_orders_until_a_time_of_day",
        "raw.suppliers",
        """select supplier_id, order_until, source_id, row_no from {batch}
        where not regexp_full_match(trim(order_until),
            '([01]?[0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?')""",
        "The time until which a supplier takes orders is a time of the day, such as 11:30.",
    )
    starts = "|".join((*AVAILABLE_STOCK, *UNAVAILABLE_STOCK))
    yield Law(
        "stock_has_a_status_somebody_reads",
        "raw.stock",
        f"""select status, count(*) as rows_found, min(item_id) as such_as from {{batch}}
        where status is not null and trim(status) <> ''
            and not regexp_matches(lower(trim(status)), '^({starts})')
        group by status""",
        "The status of stock says whether it can be sold: it begins like available, unrestricted, "
        "released or consignment, or like blocked, reserved, quarantine, inspection, hold, damaged "
        "or expired. Translate other words in the contract.",
    )
    yield Law(
        "exchange_rates_are_above_zero",
        "raw.exchange_rates",
        "select currency, rate, event_at, source_id, row_no from {batch} where rate <= 0",
        "A rate says what one unit of a currency is worth in the world's: more than nothing.",
    )
    yield Law(
        "bills_of_materials_take_something",
        "raw.bills_of_materials",
        """select item_id, part_id, quantity, scrap_share, source_id, row_no from {batch}
        where quantity <= 0 or scrap_share < 0 or scrap_share >= 1""",
        "What is made takes more than nothing of its part, and what is lost of it is a share of 0 "
        "or more and below 1: write 2 % as 0.02.",
    )
    yield Law(
        "substitutes_stand_in_for_something",
        "raw.substitutes",
        """select item_id, substitute_id, quantity, source_id, row_no from {batch}
        where quantity <= 0 or item_id = substitute_id""",
        "A substitute is another item, and more than none of it stands in for one.",
    )
    yield from _laws_of_shares()
    yield from _laws_of_chains()


def _laws_of_shares() -> Iterator[Law]:
    """Who shares out what: never more than all of it."""
    yield Law(
        "successions_share_out_at_most_all",
        "raw.successions",
        """select item_id, sum(share) as shared, min(source_id) as source_id from (
            select distinct item_id, successor_id, coalesce(share, 1) as share, source_id
            from {batch} qualify row_number() over (partition by item_id, successor_id
                order by known_at desc, handed_over_at desc nulls last) = 1
        ) as newest group by item_id having sum(share) > 1.000001 or min(share) < 0""",
        "What takes an item's place shares out at most all of its demand: the shares of an item's "
        "successors are 0 or more and add up to 1 at most.",
    )
    yield Law(
        "supplier_terms_share_out_at_most_all",
        "raw.supplier_terms",
        """with in_force as (
            select item_id, supplier_id, share, source_id, row_no from {batch}
            where coalesce(starts_at <= (select now_at from raw.world), true)
                and coalesce(ends_at > (select now_at from raw.world), true)
            qualify row_number() over (partition by item_id, supplier_id
                order by coalesce(starts_at, known_at) desc nulls last, known_at desc nulls last,
                    handed_over_at desc nulls last, share desc nulls last) = 1
        ), shared as (
            select *, sum(share) over (partition by item_id) as shares_add_up_to from in_force
        )
        select item_id, supplier_id, share, shares_add_up_to, source_id, row_no
        from shared where share is not null and shares_add_up_to > 1.000001""",
        "Suppliers share out at most all of what is bought of an item: where the shares of its "
        "terms add up to more than 1, each is taken as its part of their sum.",
        "warning",
    )


def _currency(table: str, amounts: list[str]) -> Law:
    is_amount = " or ".join(f"{name} is not null" for name in amounts)
    return Law(
        f"{table}_are_in_a_currency_with_a_rate",
        f"raw.{table}",
        f"""select upper(trim(currency)) as currency, count(*) as rows_found,
            min(source_id) as source_id, min(row_no) as first_row
        from {{batch}} where ({is_amount})
            and upper(trim(currency)) <> (select currency from raw.world)
            and upper(trim(currency)) not in (
                select upper(trim(currency)) from raw.exchange_rates where rate > 0
                    and coalesce(known_at <= (select now_at from raw.world), true))
        group by 1""",
        f"Every amount in {table} is in the world's currency, or exchange_rates says what its "
        "currency is worth, by a rate that is known by now: it is never counted one to one. Feed "
        "exchange_rates with currency, event_at and rate.",
    )


def _weekdays(table: str, columns: tuple[str, ...]) -> Law:
    said = " union all ".join(
        f"select '{name}' as word, {name} as days, source_id, row_no from {{batch}}"
        for name in columns
    )
    return Law(
        f"{table}_name_weekdays",
        f"raw.{table}",
        f"""select word, days, source_id, row_no from ({said}) as said
        where trim(days) <> '' and not regexp_full_match(lower(trim(days)), '{WEEKDAYS}')""",
        f"{', '.join(columns)} of {table} are weekdays, such as `tue, fri`, `mon-thu` or `2,5`.",
    )


def _laws_of_chains() -> Iterator[Law]:
    """What follows what, and where that has to end."""
    yield _ending("successions", "successor_id", "A succession")
    yield _ending("components", "part_id", "What a kit is made of")
    yield _ending("bills_of_materials", "part_id", "What an item is made of")
    yield _places_lead_to_one_that_buys()
    yield _deliveries_are_not_sales()
    yield _kits_put_together()


def _kits_put_together() -> Law:
    return Law(
        "components_are_of_kits_put_together_when_sold",
        "raw.components",
        """select item_id, part_id, quantity, source_id, row_no from {batch}
        where item_id in (
            select item_id from raw.stock where on_hand > 0 or is_in_stock
            union select item_id from raw.purchase_orders where source_id <> 'ledger')""",
        "A kit is put together when it is sold. One that lies in stock or is ordered is an item "
        "like any other, and what it is made of is no demand of its parts: where it is made ahead, "
        "feed bills_of_materials in place of components.",
        "warning",
    )


def _ending(table: str, follows: str, said: str) -> Law:
    return Law(
        f"{table}_lead_to_an_end",
        f"raw.{table}",
        f"""
        with recursive steps as (
            select distinct item_id, {follows} as next_id from raw.{table}
        ),
        -- each pair once, however many ways lead from the one to the other
        reached as (
            select item_id, next_id from steps
            union
            select reached.item_id, steps.next_id
            from reached join steps on reached.next_id = steps.item_id
        )
        select item_id, {follows}, source_id, row_no from {{batch}} as said
        where item_id = {follows} or exists (
            select 1 from reached
            where reached.item_id = said.{follows} and reached.next_id = said.item_id
        )
        """,
        f"{said}, followed to its end, never leads back to its item: take one step of the loop out "
        "of the file.",
    )


#: Where each place is supplied from, as newest known; a place supplied from itself buys.
_SUPPLIED = """
            select location_id, supplied_from, source_id, row_no from {rows}
            where supplied_from <> location_id
            qualify row_number() over (partition by location_id
                order by known_at desc, handed_over_at desc nulls last) = 1"""


def _places_lead_to_one_that_buys() -> Law:
    return Law(
        "locations_lead_to_one_that_buys",
        "raw.locations",
        f"""
        with recursive steps as ({_SUPPLIED.format(rows="{batch}")}),
        reached as (
            select location_id, supplied_from from steps
            union
            select reached.location_id, steps.supplied_from
            from reached join steps on reached.supplied_from = steps.location_id
        )
        select location_id, supplied_from, source_id, row_no from steps
        where exists (select 1 from reached where reached.location_id = steps.location_id
            and reached.supplied_from = steps.location_id)
        """,
        "Where a place is supplied from, followed to its end, is a place that buys, and never the "
        "place itself again: take one step of the loop out of the file.",
    )


def _deliveries_are_not_sales() -> Law:
    return Law(
        "sales_of_a_supplying_place_are_to_customers",
        "raw.sales",
        f"""
        with supplied as ({_SUPPLIED.format(rows="raw.locations")}),
        sold as (
            select item_id, location_id, sum(quantity) as units, min(row_no) as first_row
            from {{batch}} group by all
        ),
        below as (
            select supplied.supplied_from as location_id, sold.item_id, sum(sold.units) as units
            from sold join supplied using (location_id) group by all
        )
        select sold.location_id, sum(sold.units) as sold_here, sum(below.units) as sold_below,
            min(sold.first_row) as first_row
        from sold join below using (location_id, item_id)
        group by all
        having sum(sold.units) between 0.8 * sum(below.units) and 1.2 * sum(below.units)
        """,
        "A place that supplies others sells what its own customers buy. What it sold is nearly "
        "what the places below it sold: if these rows are deliveries to them, land them as "
        "transfers, or demand counts twice.",
        "warning",
    )
