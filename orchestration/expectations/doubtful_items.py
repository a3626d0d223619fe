"""Facts that contradict each other or an item's own record: each is told to a person, and none is
let pass by itself."""

from __future__ import annotations

import duckdb
import polars as pl

from models.domain import SERIES
from models.replenishment.implausible_lines import WAITING, YEAR_DAYS
from orchestration.expectations.completeness import ENOUGH

#: What a doubtful item's completeness is at most: too little for its order to be approved by
#: itself.
HELD = ENOUGH / 2

#: Order lines so long overdue that the plan counts on them no more.
OVERDUE = """
    select item_id, location_id, 'overdue_order' as kind, 'warning' as severity,
        format('{:,.10g} of order {}{} were due on {}, {} days ago, and are counted on no more: '
            'close the line, or give it a new day',
            quantity, order_id, coalesce(' line ' || line_id, ''), due_on,
            date_diff('day', due_on, now.day)) as reason
    from marts.fct_overdue_orders, (select cast(now_at as date) as day from raw.world) as now
"""
#: Order lines that came so long after their day that no lead time counts them.
CAME_FAR_LATE = """
    select item_id, location_id, 'came_far_late' as kind, 'warning' as severity,
        format('order {}{} was due on {} and came {} days later, on {}, as hardly any '
            'other of {}: no lead time counts it; is the year right?',
            order_id, coalesce(' line ' || line_id, ''), coalesce(due_at, ordered_at)::date,
            date_diff('day', coalesce(due_at, ordered_at), received_at), received_at::date,
            coalesce(from_id, 'its kind')) as reason
    from intermediate.int_orders_received as seen
    anti join marts.fct_lead_times as counted
        on counted.kind = seen.kind and counted.order_id = seen.order_id
        and counted.item_id = seen.item_id and counted.location_id = seen.location_id
        and counted.line_id is not distinct from seen.line_id
    where not is_assumed and quantity > 0 and received_at >= ordered_at
"""
#: Order lines due so far ahead that they cover nothing of what is planned now.
FAR_AHEAD = f"""
    select item_id, location_id, 'due_far_ahead' as kind, 'warning' as severity,
        format('{{:,.10g}} of order {{}}{{}} are due on {{}}, {{}} days ahead, and cover nothing '
            'that is planned now: is the year right?',
            quantity, order_id, coalesce(' line ' || line_id, ''), due_on,
            date_diff('day', now.day, due_on)) as reason
    from marts.fct_open_orders, (select cast(now_at as date) as day from raw.world) as now
    where date_diff('day', now.day, due_on) > {YEAR_DAYS}
"""
#: Stock that lies where its item is not planned, while places that sell it are.
ELSEWHERE = """
    select stock.item_id, stock.location_id, 'stock_elsewhere' as kind, 'warning' as severity,
        format('{:,.10g} units lie at {}, where the item is not sold, and no place that sells it '
            'is supplied from there: name it as supplied_from of those locations',
            sum(stock.on_hand), any_value(stock.location_id)) as reason
    from (
        select item_id, location_id, on_hand from marts.fct_stock where is_current and on_hand > 0
        qualify row_number() over (
            partition by item_id, location_id order by event_at desc, known_at desc
        ) = 1
    ) as stock
    semi join marts.dim_item_locations as planned using (item_id)
    anti join marts.dim_item_locations as planned using (item_id, location_id)
    group by item_id, location_id
"""
#: Stock of a planned item that the plan cannot use, as fct_stock_positions sets it aside, by why:
#: its status forbids it, its date has passed (since the count too), or it is promised.
UNAVAILABLE = """
    with lots as (
        select item_id, location_id, case
                when is_blocked then 'with the status "' || status || '"'
                when expires_on <= now.day then 'past the date'
                else 'reserved for customers'
            end as why,
            on_hand - case when expires_on <= now.day then least(available, 0) else available end
                as aside
        from marts.fct_stock_lots, (select cast(now_at as date) as day from raw.world) as now
        where is_current
        qualify rank() over (partition by item_id, location_id order by event_at desc) = 1
    ),
    by_why as (
        select item_id, location_id, why, sum(aside) as aside from lots
        semi join marts.dim_item_locations as planned using (item_id, location_id)
        group by all having sum(aside) > 0
    )
    select item_id, location_id, 'stock_not_available' as kind, 'warning' as severity,
        format('set aside at {}: {}; this covers no other demand', location_id,
            string_agg(format('{:,.10g} {}', aside, why), ', ' order by why)) as reason
    from by_why group by item_id, location_id
"""
#: A closed period of the last four weeks far above all the item ever did at the place: more than
#: ten times its highest before, which
RECORD = """
    with periods as (
        select item_id, location_id, period_start, recorded_quantity as sold,
            event_at > (select now_at from raw.world) - interval 35 day as is_new
        from marts.fct_demand where is_current and recorded_quantity is not null
    ),
    records as (
        select item_id, location_id, max(sold) as highest from periods where not is_new
        group by all having count(*) filter (sold > 0) >= 5
    )
    select item_id, location_id, 'beyond_its_record' as kind, 'warning' as severity,
        format('{:,.10g} sold in the period of {}, where it never sold more than {:,.10g}: '
            'check its unit and decimal; its order waits for a person',
            max(sold), max_by(period_start, sold), any_value(highest)) as reason
    from periods inner join records using (item_id, location_id)
    where is_new and sold > 10 * greatest(highest, 1)
    group by item_id, location_id
"""
#: Lines of sales that count nowhere, for they are far beyond their item's record.
UNBELIEVED = """
    select item_id, location_id, 'beyond_its_record' as kind, 'warning' as severity,
        format('{:,.10g} sold{} in row {} of {} count{} nowhere, where {:,.10g}{} is usual: mend '
            'the unit or the decimal in the file; its order waits for a person',
            quantity, coalesce(format(' at {:,.10g} each', price), ''), row_no + above,
            coalesce(manifest.path, odd.source_id), if(quantity = 1, 's', ''), usual_quantity,
            coalesce(format(' at {:,.10g}', usual_price), '')) as reason
    from intermediate.int_sales_unbelieved as odd
    left join (
        select source_id, delivery, min(path) as path, coalesce(max(rows_above), 0) as above
        from raw.manifest group by all
    ) as manifest using (source_id, delivery)
    where is_current
"""
#: Lines that count nowhere, as nobody says what their unit holds; terms are of all places.
UNITS_UNKNOWN = """
    with told as (
        select odd.item_id, coalesce(odd.location_id, planned.location_id) as location_id, told_in,
            unit, row_no, source_id, delivery
        from intermediate.int_units_unknown as odd
        left join marts.dim_item_locations as planned
            on odd.location_id is null and odd.item_id = planned.item_id
    ),
    files as (
        select source_id, delivery, min(path) as path, coalesce(max(rows_above), 0) as above
        from raw.manifest group by all
    )
    select item_id, location_id, 'unit_unknown' as kind, 'warning' as severity,
        format('{} line{} of {} in "{}" count{} nowhere, as row {} of {}: say in item_units what '
            'one holds; its order waits for a person',
            count(*), if(count(*) = 1, '', 's'), told_in, unit, if(count(*) = 1, 's', ''),
            min_by(row_no + coalesce(above, 0), row_no), min_by(coalesce(path, source_id), row_no)
        ) as reason
    from told left join files using (source_id, delivery)
    where location_id is not null
    group by item_id, location_id, told_in, unit
"""
#: Stock, with what is on the way, that all the item's sales would not use up in a lifetime.
CENTURY = """
    with pace as (
        select item_id, avg(sold) * 364 as a_year from (
            select item_id, period_start, sum(recorded_quantity) / max(
                greatest(1, round(date_diff('hour', period_start::timestamp, event_at) / 24.0))
            ) as sold
            from marts.fct_demand
            where is_current and recorded_quantity is not null
                and event_at > (select now_at from raw.world) - interval 365 day
            group by all
        ) group by item_id having avg(sold) > 0
    )
    select item_id, location_id, 'covers_a_century' as kind, 'warning' as severity,
        format('{:,.10g} units are on hand or on the way, where {:,.10g} are sold in a year: count '
            'them and correct the record', position, round(a_year, 1)) as reason
    from marts.fct_stock_positions inner join pace using (item_id)
    where position > greatest(100 * a_year, 10000)
"""
#: Goods that cost far more than they are sold for.
DEAR = """
    select item_id, location_id, 'costs_beyond_price' as kind, 'warning' as severity,
        format('a unit costs {:,.10g} and is sold for {:,.10g}: check its decimal, unit and '
            'currency; its order waits for a person', unit_cost::double, price::double) as reason
    from marts.dim_item_locations where price > 0 and unit_cost > 100 * price
"""
#: Rows in quarantine of some tables with the item that each names, and their cells. The cell that
#: names it is the one that does in most of the source's such rows: a quantity may be an id too.
ASIDE = """
    item_names as (
        select item_id as name, item_id as id from marts.dim_item_locations
        union select alias, id from intermediate.int_aliases_current where kind = 'item'
    ),
    landed as (
        select source_id, delivery, min(landed_seq) as seq from raw.manifest group by all
    ),
    aside as (
        select quarantine_id, source_id, table_name, path, file_row, column_name, value, rule, seq,
            map_entries(cast(raw_text::json as map(varchar, varchar))) as cells
        from raw.quarantine left join landed using (source_id, delivery)
        where table_name in ({tables}) and status = 'open' and json_valid(raw_text)
    ),
    cells as (
        select quarantine_id, source_id, table_name, unnest(range(len(cells))) as place,
            unnest(cells) as cell
        from aside
    ),
    item_cells as (
        select source_id, table_name, cell.key as item_cell
        from cells inner join item_names on cell.value = name
        group by source_id, table_name, cell.key
        qualify row_number() over (
            partition by source_id, table_name
            order by count(distinct quarantine_id) desc, min(place)
        ) = 1
    ),
    of_items as (
        select aside.* exclude (cells), item.id as item_id
        from aside
        inner join item_cells using (source_id, table_name)
        inner join cells as its using (quarantine_id, source_id, table_name)
        inner join item_names as item on its.cell.key = item_cell and its.cell.value = item.name
    )
"""
#: Items that are bought on assumed terms, because a person has to mend the row with theirs.
TERMS_ASIDE = f"""
    with {ASIDE.format(tables="'supplier_terms'")}
    select item_id, location_id, 'terms_set_aside' as kind, 'warning' as severity,
        format('its terms are in quarantine and others are assumed: {{}} "{{}}" in row {{}} of '
            '{{}} {{}}: mend it; its order waits for a person', min_by(column_name, file_row),
            min_by(value, file_row), min(file_row), min_by(path, file_row),
            min_by(rule, file_row)) as reason
    from marts.dim_item_locations inner join of_items using (item_id)
    anti join (select item_id from marts.dim_supplier_terms where is_current) as known
        using (item_id)
    where kind = 'purchase'
    group by item_id, location_id
"""
#: Rows of stock, open orders and receipts that a person has to mend, as long as nothing newer of
#: their source names the item there: the plan may buy what is already there or on its way.
#: The cell of the place is found as that of the item is.
POSITIONS_ASIDE = f"""
    with {ASIDE.format(tables="'stock', 'purchase_orders', 'receipts'")},
    place_names as (
        select location_id as name, location_id as id from marts.dim_item_locations
        union select alias, id from intermediate.int_aliases_current where kind = 'location'
    ),
    place_cells as (
        select source_id, table_name, cell.key as place_cell
        from cells
        inner join place_names on cell.value = name
        inner join item_cells using (source_id, table_name)
        where cell.key <> item_cell
        group by source_id, table_name, cell.key
        qualify row_number() over (
            partition by source_id, table_name
            order by count(distinct quarantine_id) desc, min(place)
        ) = 1
    ),
    named as (
        select of_items.*, place.id as location_id
        from of_items
        left join place_cells using (source_id, table_name)
        left join cells as lies
            on lies.quarantine_id = of_items.quarantine_id and lies.cell.key = place_cell
        left join place_names as place on lies.cell.value = place.name
        where place_cell is null or place.id is not null
    ),
    told as (
        select table_name, source_id, delivery, item_id, location_id from (
            select 'stock' as table_name, source_id, delivery, item_id, location_id from raw.stock
            union all
            select 'purchase_orders', source_id, delivery, item_id, location_id
            from raw.purchase_orders
            union all select 'receipts', source_id, delivery, item_id, location_id from raw.receipts
        ) semi join aside using (source_id, table_name)
    ),
    newest as (
        select table_name, source_id, coalesce(item.id, told.item_id) as item_id,
            coalesce(place.id, told.location_id) as location_id, max(seq) as seq
        from told
        inner join landed using (source_id, delivery)
        left join item_names as item on told.item_id = item.name
        left join place_names as place on told.location_id = place.name
        group by all
    )
    select planned.item_id, planned.location_id, 'position_set_aside' as kind,
        'warning' as severity,
        format('{{}} row{{}} of {{}} {{}} in quarantine and count{{}} nowhere, as {{}} "{{}}" in '
            'row {{}} of {{}} {{}}: mend {{}}; its order waits for a person',
            count(distinct quarantine_id), if(count(distinct quarantine_id) = 1, '', 's'),
            replace(table_name, '_', ' '), if(count(distinct quarantine_id) = 1, 'is', 'are'),
            if(count(distinct quarantine_id) = 1, 's', ''), min_by(column_name, file_row),
            min_by(value, file_row), min(file_row), min_by(path, file_row),
            min_by(rule, file_row), if(count(distinct quarantine_id) = 1, 'it', 'them')) as reason
    from named
    inner join marts.dim_item_locations as planned
        on planned.item_id = named.item_id
        and planned.location_id = coalesce(named.location_id, planned.location_id)
    where not exists (
        select 1 from newest
        where newest.table_name = named.table_name and newest.source_id = named.source_id
            and newest.item_id = planned.item_id and newest.seq > named.seq
            and coalesce(newest.location_id, planned.location_id) = planned.location_id
    )
    group by planned.item_id, planned.location_id, table_name
"""

DOUBTS = (
    OVERDUE,
    CAME_FAR_LATE,
    FAR_AHEAD,
    ELSEWHERE,
    UNAVAILABLE,
    RECORD,
    UNBELIEVED,
    UNITS_UNKNOWN,
    CENTURY,
    DEAR,
    TERMS_ASIDE,
    POSITIONS_ASIDE,
)
#: The kinds of these that keep an item's order off the automatic path, beside WAITING.
DOUBTED = (
    "beyond_its_record",
    "covers_a_century",
    "costs_beyond_price",
    "terms_set_aside",
    "position_set_aside",
    "unit_unknown",
)


def doubts(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """What a person has to look at before the facts are believed: one line of the exception list
    each."""
    found = " union all ".join(f"({query})" for query in DOUBTS)
    return con.execute(f"select * from ({found}) order by all").pl()


def held_back(scores: pl.DataFrame, doubtful: pl.DataFrame) -> pl.DataFrame:
    """The scores of `completeness`, where what is beyond an item's own record, and a line that is
    not plausible, is known too little of to be approved by itself."""
    beyond = (
        doubtful.filter(pl.col("kind").is_in((*DOUBTED, *WAITING)))
        .select(SERIES)
        .unique()
        .with_columns(held=pl.lit(HELD))
    )
    joined = scores.join(beyond, on=list(SERIES), how="left", maintain_order="left")
    return joined.with_columns(score=pl.min_horizontal("score", "held")).drop("held")
