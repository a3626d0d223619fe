with source as {{ inlined() }} (
  select * from {{ ref('stg_sales_lines') }}
),

versions as ({{ versions('source', 'sales') }})

select * from versions
