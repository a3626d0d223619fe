-- A company small enough to check by hand: two items, one warehouse (dc) that buys from one supplier, one shop that the warehouse feeds.
insert into raw.world by name
select 'tiny' as world, 'EUR' as currency, 'UTC' as timezone, 'day' as grain, 1 as week_starts_on, timestamp '2024-12-30' as now_at, timestamp '2024-12-30' as newest_at, null::timestamp as begins_at, null::varchar[] as added_up;

insert into raw.items by name
select
    col0 as item_id, col1 as name, 'acme' as supplier_id, col2 as unit_cost, timestamp '2024-01-01' as known_at,
    row_number() over ()::ubigint as row_key, 'master' as source_id, 'd-items' as delivery, row_number() over () as row_no, 'items.csv' as part
from (values ('mug', 'Red mug', 4.0), ('lamp', 'Desk lamp', 11.0));

insert into raw.suppliers by name
select
    'acme' as supplier_id, 'Acme' as name, timestamp '2024-01-01' as known_at, 1 as row_key, 'master' as source_id, 'd-items' as delivery,
    3 as row_no, 'suppliers' as part;

insert into raw.sales by name
select
    item_id, 'shop' as location_id, 2 + d % 7 + (item_id = 'lamp')::int as quantity, timestamp '2024-07-01' + to_days(d::int) as event_at,
    event_at + interval 1 day as known_at, hash(item_id, d) as row_key, 'till' as source_id, 'd-sales' as delivery,
    2 * d + (item_id = 'lamp')::int + 1 as row_no, 'sales.csv' as part, 9.5 as unit_price
from range(182) t(d), (values ('mug'), ('lamp')) i(item_id);

insert into raw.stock by name
select
    item_id, location_id, timestamp '2024-12-29 20:00' as event_at, 25 as on_hand, timestamp '2024-12-29 21:00' as known_at,
    hash(item_id, location_id) as row_key, 'counts' as source_id, 'd-stock' as delivery, row_number() over () as row_no, 'Count' as part
from (values ('mug'), ('lamp')) i(item_id), (values ('dc'), ('shop')) l(location_id);

insert into raw.manifest by name
select
    col0 as delivery, col1 as source_id, 'erp' as silo, col2 as path, 1000 as bytes, row_number() over () as landed_seq,
    col3 + col4 as rows_in, col4 as rows_skipped, 0 as rows_unclaimed, col3 as rows_claimed, col3 as claims, col3 as rows_loaded,
    0 as rows_quarantined, 0 as rows_repeated, null::timestamp as handed_over_at, 1 as rows_above
from (values
    ('d-items', 'master', 'erp/items.csv', 3, 0), ('d-sales', 'till', 'erp/sales.csv', 364, 6), ('d-stock', 'counts', 'count.xlsx', 4, 0)
);

create schema marts;
create table marts.dim_items as
select item_id, name, 'ware' as category, supplier_id, unit_cost, true as is_declared, known_at, known_at as valid_from, true as is_current
from raw.items;
create table marts.dim_locations as
select col0 as location_id, col1 as kind, timestamp '2024-01-01' as known_at, true as is_current
from (values ('dc', 'distribution_centre'), ('shop', 'store'));
create table marts.dim_suppliers as select supplier_id, name, known_at, true as is_current from raw.suppliers;
create table marts.dim_item_locations as
select
    item_id, location_id, if(location_id = 'dc', 'distribution_centre', 'store') as role, location_id <> 'dc' as is_forecast, if(location_id = 'dc', 'purchase', 'transfer') as kind,
    if(location_id = 'dc', 'acme', 'dc') as from_id, 7.0 as lead_time_days, 7 as lead_time_periods, if(location_id = 'dc', 24, 1) as moq,
    if(location_id = 'dc', 12, 1) as order_multiple, unit_cost, unit_cost * 2 as price, 0.01 as holding_cost, 1.0 as shortage_cost,
    'ware' as category, false as is_assumed
from raw.items, (values ('dc'), ('shop')) l(location_id);
create table marts.dim_supplier_terms as
select 'mug' as item_id, col0 as supplier_id, 7.0 as lead_time_days, col1 as moq, col2 as order_multiple, 0.0 as from_quantity,
    4.0 as unit_cost, true as is_current
from (values ('acme', 24.0, 12.0), ('bell', 10.0, 5.0));
create table marts.fct_demand as
select
    item_id, location_id, event_at::date as period_start, quantity::double as quantity, quantity::double as recorded_quantity,
    quantity::double as sold_quantity, 0.0 as returned_quantity, quantity * unit_price as revenue, false as is_censored,
    event_at + interval 1 day as event_at, known_at, 1 as version, true as is_current
from raw.sales;
create table marts.fct_stock_positions as
select item_id, location_id, on_hand, 0.0 as on_order, on_hand as position, known_at as stock_known_at from raw.stock;
create table marts.fct_stock as
select item_id, location_id, event_at, on_hand, on_hand > 0 as is_in_stock, 4.0 as unit_cost, known_at, true as is_current from raw.stock;
create table marts.fct_constraints as
select 'budget' as name, null::varchar as scope, 1000.0 as value, timestamp '2024-01-01' as known_at, true as is_current;
comment on table marts.fct_demand is 'Units wanted, per item, location and period; unknown where the shelf was empty.';
comment on column marts.fct_demand.quantity is 'Units wanted; null = unknown.';

insert into decisions.order_lines by name
select
    'run-1' as run_id, timestamp '2024-12-30' as as_of, 'line-' || col0 as order_line_id,
    'tiny|' || col2 || '|' || col1 || '|' || col3 || '|2024-12-30' as intent_key, col2 as kind, col1 as item_id,
    col3 as location_id, col4 as from_id, col5 as quantity, date '2024-12-30' as review_period, date '2025-01-06' as due_on,
    col6 as unit_cost, col5 * col6 as value, 'expected demand 30, safety 10, position 4' as reason, 'quantile' as policy,
    'pooled_quantile' as model, 36.0 as eoq_quantity, 24.0 as min_max_quantity
from (values (1, 'mug', 'purchase', 'dc', 'acme', 36.0, 4.0), (2, 'lamp', 'purchase', 'dc', 'acme', 24.0, 11.0),
    (3, 'mug', 'transfer', 'shop', 'dc', 17.0, 4.0));
insert into decisions.explanations by name
select run_id, as_of, order_line_id, part, if(part = 'expected_demand', quantity + 4, -4) as quantity
from decisions.order_lines, (values ('expected_demand'), ('stock_position')) p(part);
insert into decisions.champions by name
select
    'run-1' as run_id, timestamp '2024-12-30' as as_of, col0 as policy, col1 as holding_cost, col2 as shortage_cost,
    col1 + col2 as total_cost, col3 as mean_difference, col3 - 5 as lower, col3 + 5 as upper, col0 = 'quantile' as is_champion
from (values ('quantile', 60.0, 40.0, 0.0), ('eoq', 90.0, 55.0, 45.0), ('min_max', 80.0, 50.0, 30.0));
insert into decisions.forecasts by name
select
    'run-1' as run_id, timestamp '2024-12-30' as as_of, 'pooled_quantile' as model, item_id, 'shop' as location_id,
    date '2024-12-30' + h::int as period_start, q as quantile, 5.0 + 6 * coalesce(q - 0.5, 0) as value
from range(14) t(h), (values ('mug'), ('lamp')) i(item_id), (values (null::double), (0.025), (0.25), (0.5), (0.75), (0.975)) q(q);
insert into decisions.exceptions by name
select
    'run-1' as run_id, timestamp '2024-12-30' as as_of, 'lamp' as item_id, 'shop' as location_id, 'stock_out' as kind, 'warning' as severity,
    'The shop will be out of lamps before the next delivery.' as reason;

create schema metrics;
create table metrics.kpi_cover_days as
select item_id, location_id, on_hand, 4.0 as daily_issues, on_hand / 4.0 as cover_days
from marts.fct_stock_positions where stock_known_at is not null;
create table metrics.kpi_working_capital as
select item_id, location_id, on_hand * unit_cost as stock_value
from marts.fct_stock_positions inner join marts.dim_item_locations using (item_id, location_id) where stock_known_at is not null;
create table metrics.kpi_supplier_performance as
select supplier_id, 10 as due_lines, 0.9 as otif_share from marts.dim_suppliers;
create table marts.dim_bills_of_materials (item_id varchar, part_id varchar);
