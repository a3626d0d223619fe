-- Beside the ledger, which POSTGRES_DB makes: Dagster's own runs, events and schedules.
create database dagster;
