-- which id stands for which: every name other systems use, beside the one id the marts use
select kind, alias, id, known_at from {{ ref('int_aliases_current') }}
