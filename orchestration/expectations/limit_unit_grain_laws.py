"""What rows must say in words that somebody reads: limits and scopes, aliases, units, and one row a
business grain."""

from __future__ import annotations

from collections.abc import Iterator

from models.procurement.unit_codes import BASE, PACKS
from orchestration.expectations.laws import Law
from orchestration.expectations.unit_words import unit_word
from orchestration.home.sql import document_key
from orchestration.landing.contract.canonical import ADDED_UP, GRAINS

#: A planner's limits, and whose they may be: what `scope` names. A budget has a name of its own
#: behind the word.
LIMITS = {
    "budget": ("supplier",),
    "capacity": ("location",),
    "truck_kg": ("location",),
    "service_level": ("item", "location", "category"),
    "supplier_minimum": ("supplier",),
    "supplier_minimum_kg": ("supplier",),
    "supplier_minimum_m3": ("supplier",),
    "supplier_minimum_units": ("supplier",),
    "supplier_minimum_pallets": ("supplier",),
    "supplier_truck_cost": ("supplier",),
    "duty_share": ("supplier",),
}
#: Scopes that mean everything, where a limit may be for everything.
EVERYTHING = ("all", "purchase", "purchases")
#: Limits that are always of one thing.
OF_ONE = (
    "capacity",
    "truck_kg",
    "supplier_minimum",
    "supplier_minimum_kg",
    "supplier_minimum_m3",
    "supplier_minimum_units",
    "supplier_minimum_pallets",
    "supplier_truck_cost",
)

#: Every id the company's own rows use, by kind of thing, with what other systems call them.
_KNOWN = """
        select 'supplier' as kind, supplier_id as id from raw.suppliers union select 'supplier',
            supplier_id from raw.items
        union select 'supplier', supplier_id from raw.supplier_terms union select 'supplier',
            supplier_id from raw.purchase_orders
        union select 'supplier', 'implicit supplier'
        union select 'location', location_id from raw.locations union select 'location',
            supplied_from from raw.locations
        union select 'location', location_id from raw.stock union select 'location', location_id
            from raw.sales
        union select 'location', location_id from raw.purchase_orders
        union select 'location', from_id from raw.transfers union select 'location', to_id
            from raw.transfers
        union select 'item', item_id from raw.items union select 'item', item_id from raw.sales
        union select 'category', levels[1] from raw.items union select kind, alias
            from raw.aliases union select kind, id from raw.aliases
"""
_LIMITS = ", ".join(
    f"('{name}', '{kind}', {name not in OF_ONE})"
    for name, kinds in LIMITS.items()
    for kind in kinds
)
_EVERYTHING = ", ".join(f"'{word}'" for word in EVERYTHING)

#: The tables in which each kind of thing is named; the first is the one the law stands at.
SPELT = {
    "item": ("sales", "items", "stock", "purchase_orders", "receipts", "supplier_terms"),
    "location": ("stock", "sales", "locations", "purchase_orders", "receipts"),
    "supplier": ("supplier_terms", "items", "suppliers", "purchase_orders"),
}

#: What each table between places names, and which kinds of thing it may be.
BETWEEN = {
    "lanes": {
        "from_id": "['supplier', 'location']",
        "to_id": "['location']",
        "item_id": "['item']",
    },
    "lane_stops": {"from_id": "['supplier', 'location']", "to_id": "['location']"},
}
#: From so alike on, two names of hubs are taken for one that was mistyped (Jaro-Winkler).
ALIKE = 0.93

COUNTED = (
    "sales",
    "returns",
    "purchase_orders",
    "receipts",
    "stock",
    "supplier_terms",
    "customer_orders",
)


def words_laws() -> Iterator[Law]:
    """The laws of words and of the business grain, errors where a plan would go on as if nothing
    had been said."""
    yield _limits_somebody_reads()
    yield _limits_of_something_known()
    yield _aliases_that_end()
    yield _receipts_with_an_order()
    yield _receipts_with_a_place()
    yield _receipts_that_came()
    yield from map(_between_places, BETWEEN)
    yield _hubs_in_one_spelling()
    yield from map(_spelling, SPELT)
    for table in COUNTED:
        yield _units(table)
    for table, grain in GRAINS.items():
        yield _grain(table, grain)


def _limits_somebody_reads() -> Law:
    return Law(
        "constraints_are_limits_somebody_reads",
        "raw.constraints",
        f"""
        with words(word) as (values {", ".join(f"('{name}')" for name in LIMITS)})
        select name, scope, value, source_id, row_no,
            (select max_by(word, jaro_winkler_similarity(word, lower(replace(name, ' ', '_'))))
                from words) as nearest
        from {{batch}} where name not in (select word from words) and not regexp_matches(name,
            '^budget($|[_ -])')
        """,
        (
            f"Every limit is one of {', '.join(LIMITS)}, in these letters: another word would be "
            "read "
            "by nobody."
        ),
    )


def _limits_of_something_known() -> Law:
    return Law(
        "constraints_are_of_something_known",
        "raw.constraints",
        f"""
        with limits(word, kind, may_be_all) as (values {_LIMITS}),
        known as ({_KNOWN}),
        said as (select *, case when starts_with(name, 'budget') then 'budget'
            else name end as word from {{batch}})
        select distinct name, scope, value,
            (select max_by(id, jaro_winkler_similarity(lower(id), lower(said.scope))) from known
             where kind in (select kind from limits where word = said.word)) as nearest,
            source_id, row_no
        from said join limits on said.word = limits.word
        where not (may_be_all and coalesce(scope in ({_EVERYTHING}), true))
          and scope not in (select id from known where id is not null and kind in (select kind
              from limits where word = said.word))
        """,
        (
            "The scope of every limit is a supplier, location, item or category that the company's "
            "rows know: another would limit nothing."
        ),
    )


def _between_places(table: str) -> Law:
    """Lanes and their stops lie between a supplier or place and a place that other rows know."""
    ends = " union all ".join(
        f"select '{name}' as word, {name} as id, {kinds} as kinds, source_id, row_no from {{batch}}"
        for name, kinds in BETWEEN[table].items()
    )
    return Law(
        f"{table}_lie_between_places_somebody_knows",
        f"raw.{table}",
        f"""
        with known as ({_KNOWN})
        select word, id, max_by(nearest, likeness) as nearest, min(source_id) as source_id,
            min(row_no) as first_row, count(distinct row_no) as rows_found
        from (
            select said.*, known.id as nearest,
                jaro_winkler_similarity(lower(known.id), lower(said.id)) as likeness
            from ({ends}) as said
            join known on known.id is not null and list_contains(said.kinds, known.kind)
            where said.id is not null and not exists (select 1 from known as same
                where same.id = said.id and list_contains(said.kinds, same.kind))
        ) as unknown group by word, id
        """,
        f"{', '.join(BETWEEN[table])} of {table} name suppliers, places and items that other rows "
        "know: what lies elsewhere serves nobody, and drops out of plan and twin in silence.",
        "warning",
    )


def _hubs_in_one_spelling() -> Law:
    letters = "regexp_replace(upper({}), '[^A-Z]', '', 'g')"
    return Law(
        "lane_stops_spell_each_hub_in_one_way",
        "raw.lane_stops",
        f"""
        with hubs as (
            select hub_id, count(*) as rows_found, min(source_id) as source_id,
                min(row_no) as first_row
            from {{batch}} group by hub_id
        ),
        known as (
            select hub_id as id, rows_found as named from hubs
            union all select id, 9e9 from ({_KNOWN}) as other where kind = 'location'
        )
        select hub_id, arg_max(known.id, jaro_winkler_similarity(upper(known.id), upper(hub_id)))
            as nearest, any_value(rows_found) as rows_found, any_value(hubs.source_id) as source_id,
            any_value(first_row) as first_row
        from hubs join known on known.id <> hub_id and known.named > rows_found
            and (upper(trim(known.id)) = upper(trim(hub_id))
                or ({letters.format("known.id")} <> {letters.format("hub_id")}
                    and jaro_winkler_similarity(upper(known.id), upper(hub_id)) >= {ALIKE}))
        where hub_id not in (select id from known where named >= 9e9 and id is not null)
        group by hub_id
        """,
        "Each hub has one spelling: of two that are nearly the same, a block of one would not "
        "stop what passes the other. Where they are one, say so in aliases (location).",
        "warning",
    )


def _aliases_that_end() -> Law:
    return Law(
        "aliases_lead_to_an_end",
        "raw.aliases",
        """
        with recursive newest as (
            select lower(trim(kind)) as kind, alias, id, source_id, row_no from {batch}
                where alias <> id
            qualify row_number() over (partition by lower(trim(kind)), alias
                order by known_at desc, handed_over_at desc nulls last) = 1
        ),
        followed as (
            select kind, alias, id, [alias] as passed, false as is_loop from newest
            union all
            select followed.kind, followed.alias, newest.id, list_append(passed, newest.alias),
                list_contains(passed, newest.id)
            from followed join newest on followed.kind = newest.kind and followed.id = newest.alias
            where not is_loop and len(passed) < 20
        )
        select followed.kind, followed.alias, array_to_string(list_append(passed, followed.id),
            ' -> ') as chain, source_id, row_no
        from followed join newest on followed.kind = newest.kind and followed.alias = newest.alias
        where is_loop and followed.id = followed.alias
        """,
        (
            "An alias, followed to its end, leads to one thing and never back to itself: take one "
            "step "
            "of the loop out of the file."
        ),
    )


def _receipts_with_an_order() -> Law:
    return Law(
        "receipts_find_their_order",
        "raw.receipts",
        f"""
        with orders as (
            select {document_key("order_id")} as number, {document_key("line_id")} as line
            from raw.purchase_orders
        ),
        said as (
            select *, {document_key("order_id")} as number, {document_key("line_id")} as line
            from {{batch}} where order_id is not null and source_id <> 'ledger'
        )
        select order_id, line_id, item_id, location_id, quantity, event_at, source_id, row_no
            from said
        where exists (select 1 from orders) and not exists (
            select 1 from orders where orders.number = said.number and (orders.line = said.line
                or orders.line is null or said.line is null)
        )
        """,
        (
            "Every receipt that names an order and a line finds them: what it brought would be "
            "counted, and still be waited for."
        ),
        "warning",
    )


def _receipts_that_came() -> Law:
    return Law(
        "receipts_bring_goods",
        "raw.receipts",
        """
        select order_id, line_id, item_id, location_id, quantity, event_at, source_id, row_no
        from {batch} where quantity < 0
        """,
        "Receipts below zero are goods sent back to their supplier: they leave the stock, and the "
        "order waits for them again until a status says that nothing more is to come.",
        "warning",
    )


def _receipts_with_a_place() -> Law:
    return Law(
        "receipts_have_a_place",
        "raw.receipts",
        f"""
        with orders as (
            select {document_key("lines.order_id")} as number,
                count(distinct coalesce(lines.location_id, headers.location_id)) as places
            from raw.purchase_orders as lines
            left join raw.orders as headers
                on {document_key("lines.order_id")} = {document_key("headers.order_id")}
            group by 1
        )
        select order_id, line_id, item_id, quantity, source_id, row_no
        from {{batch}} where location_id is null
            and {document_key("order_id")} not in (select number from orders where places >= 1)
        """,
        "Every receipt says where it came to, or names an order that does: until then it counts "
        "nowhere.",
        "warning",
    )


def _spelling(kind: str) -> Law:
    column, tables = f"{kind}_id", SPELT[kind]
    ids = " union all ".join(
        f"select {column} as id, source_id, '{table}' as told_in from "
        + ("{batch}" if table == tables[0] else f"raw.{table}")
        for table in tables
    )
    look = r"regexp_replace(regexp_replace(upper(id), '\s|[.]0+$', '', 'g'), '^0+(.)', '\1')"
    return Law(
        f"{tables[0]}_spell_each_{kind}_in_one_way",
        f"raw.{tables[0]}",
        f"""
        with spelt as (
            select id, {look} as look, string_agg(distinct told_in, ', ' order by told_in) as tables
            from ({ids}) as said where id is not null and source_id <> 'ledger' group by id
        )
        select look, string_agg(id || ' (' || tables || ')', '; ' order by id) as spellings
        from spelt where not exists (
            select 1 from raw.aliases as known
            where lower(trim(known.kind)) = '{kind}' and known.alias = spelt.id
        )
        group by look having count(*) > 1
        """,
        f"Each {kind} has one spelling in all tables: of two that differ in case, blanks or "
        "leading zeros, one may have the sales and the other the stock. Where they are one, say "
        "so in aliases, or in the contract.",
        "warning",
    )


def _units(table: str) -> Law:
    own = ", ".join(f"'{unit}'" for unit in (*BASE, "dozen"))
    packs = ", ".join(f"'{unit}'" for unit in PACKS)
    return Law(
        f"{table}_are_in_units_somebody_knows",
        f"raw.{table}",
        f"""
        select unit, count(*) as rows_found, min(item_id) as such_as,
            (select max_by(known.unit, jaro_winkler_similarity(lower(known.unit),
                lower(said.unit))) from raw.item_units as known) as nearest
        from (select *, {unit_word("unit")} as one from {{batch}} where unit is not null) as said
        where one not in ({own}) and one <> (select lower(currency) from raw.world)
          and not exists (select 1 from raw.item_units as known
            where known.item_id = said.item_id and {unit_word("known.unit")} = one)
          and not (one in ({packs})
            and exists (select 1 from raw.items as item where item.item_id = said.item_id
                and item.pack_size > 0))
        group by unit
        """,
        (
            f"Every unit in {table} is the item's own, or item_units or its pack size says what it "
            "holds; rows in any other count nowhere."
        ),
        "warning",
    )


def _grain(table: str, grain: tuple[str, ...]) -> Law:
    columns = ", ".join(f"lower({name})" if name == "unit" else name for name in grain)
    if table in ADDED_UP:
        return _parts(table, columns)
    return Law(
        f"{table}_say_one_thing_at_a_time",
        f"raw.{table}",
        f"""
        select source_id, {columns}, known_at, count(distinct row_key) as rows_found,
            min(row_no) as first_row, max_by(row_no, struct_pack(told := coalesce(handed_over_at,
                timestamp '0001-01-01'), said := row_hash)) as row_that_counts from {{batch}}
        where source_id <> 'ledger' group by source_id, {columns}, known_at
            having count(distinct row_hash) > 1
        """,
        f"One source tells of {', '.join(grain)} in one row of {table} at a time; of several only "
        "one counts, wherever it stands in the file: leave one.",
        "warning",
    )


def _parts(table: str, columns: str) -> Law:
    """Rows of one grain that are added up though nobody said so, and equally new versions of one
    row, of which only one counts."""
    counted = " and on_hand is not null" if table == "stock" else ""
    # of an order to a supplier that is told anew, the newest row counts
    told = ", known_at" if table == "purchase_orders" else ""
    return Law(
        f"{table}_say_one_thing_at_a_time",
        f"raw.{table}",
        f"""
        select source_id, {columns}{told}, count(distinct row_key) as rows_added_up,
            count(*) as rows_found, min(row_no) as first_row, max(row_no) as last_row
        from {{batch}}
        where source_id <> 'ledger'{counted} group by source_id, {columns}{told}
        having count(*) > count(distinct hash(row_key, known_at, handed_over_at))
            or (min(row_key) <> max(row_key) and source_id || '/{table}' not in (
                select unnest(added_up) from raw.world where added_up is not null))
        """,
        f"One source tells of {columns} in one row of {table} at a time. Rows that differ in the "
        f"source's key are added up: say `{table}: {{several: sum}}` where they are parts, "
        "`several: newest` where they are counts of the same. Of rows with one key that are known "
        "at one time only one counts: name what tells them apart in the key.",
        "warning",
    )
