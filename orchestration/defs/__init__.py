"""The stations in Dagster's graph; every module here is found by its folder."""

import warnings

# dagster-dbt's SQL parser says on every run that it is deprecated; lift when dagster-dbt asks for
# sqlglotc
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import sqlglot.tokens  # noqa: F401
