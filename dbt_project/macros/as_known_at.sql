{#
  What a fact or dimension said at a cutoff: per grain the newest version known by then. `relation` is a mart, `grain` its columns.
#}
{% macro as_known_at(relation, grain, cutoff) %}
  select *
  from (
    select *, row_number() over (partition by {{ grain | join(', ') }} order by known_at desc) as newest
    from {{ relation }}
    where known_at <= {{ cutoff }}
  ) as known
  where newest = 1
{% endmacro %}
