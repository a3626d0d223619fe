"""The reference: every word of a contract, every canonical column, command, environment variable,
exit code and metric, from what the code and dbt themselves say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from pydantic import BaseModel

from orchestration.facts import decisions, order_states
from orchestration.home import files
from orchestration.intake import options
from orchestration.landing import World
from orchestration.landing.contract import canonical, column_glossary
from orchestration.landing.contract.world import Strict

#: What the platform reads from its environment, and what each is for.
VARIABLES = {
    "STOCKHOUSE_HOME": "the home that commands and graph work on, where --home is not given",
    "STOCKHOUSE_WORLD": "the world of a home that was never run",
    "STOCKHOUSE_DATA": "the root of that world's paths, where it is not the world's own folder",
    "STOCKHOUSE_WAREHOUSE": "the DuckDB file that dbt works on when it is called by itself",
    "STOCKHOUSE_LEDGER_URL": "postgresql://… keeps orders in PostgreSQL instead of the home",
    "STOCKHOUSE_LEDGER_KEY": "the secret that checkpoints of the ledger are signed with",
    "STOCKHOUSE_DAGSTER_URL": "postgresql://… keeps Dagster's runs in PostgreSQL",
    "STOCKHOUSE_ONLINE_URL": "redis://… or postgresql://… serves features from there",
    "STOCKHOUSE_FEATURES_TOKEN": "what `serve-features` asks for; needed beyond this machine",
    "STOCKHOUSE_OIDC_ISSUER": "the identity provider that lets people in at the desk",
    "STOCKHOUSE_OIDC_CLIENT_ID": "what that provider calls the desk",
    "STOCKHOUSE_OIDC_CLIENT_SECRET": "by which the desk proves itself to it; empty: by PKCE alone",
    "STOCKHOUSE_OIDC_ROLES": "which group has which role: buyers=planner, heads=approver",
    "STOCKHOUSE_OIDC_GROUPS_CLAIM": "the claim in which its groups are (groups)",
    "STOCKHOUSE_OIDC_NAME_CLAIM": "the claim that is a person's name here (preferred_username)",
    "STOCKHOUSE_OIDC_SCOPES": "what the desk asks it for (openid profile email)",
    "STOCKHOUSE_OIDC_TITLE": "what the sign-in page calls it",
    "STOCKHOUSE_PRIVACY_KEY": "the secret that customers are hashed with, instead of the home's",
    "STOCKHOUSE_EXTENSIONS": "your own code to run: installed names and paths to .py files",
    "STOCKHOUSE_RAW": "the folder of `export-raw`, as every worker of dbt's target spark sees it",
    "STOCKHOUSE_SPARK": "the Spark master of that target, such as spark://HOST:7077 (local[2])",
    "STOCKHOUSE_SPARK_WAREHOUSE": "the folder in which that target keeps its tables",
    "STOCKHOUSE_SPARK_MEMORY": "memory of Spark's driver and of each executor (2g)",
    "STOCKHOUSE_SPARK_PARTITIONS": "into how many parts Spark shuffles (4)",
    "STOCKHOUSE_FAILPOINT": "kills a run at a named place; for drills only",
    "DAGSTER_HOME": "HOME/derived/dagster: Dagster's pages show and drive that home",
    "XDG_STATE_HOME": "where a user's copy of the customers' key is kept (~/.local/state)",
    "COLUMNS": "how wide tables are printed into a file or a pipe",
}
EXIT_CODES = {
    0: "done",
    1: "a gate, a check or the machine said no; what the message names can be mended there",
    2: "the input has to be mended: an option, a contract, a file; nothing was half written",
}
#: The station at which a folder of the dbt project is built.
STATION = {
    "intermediate": "transform",
    "marts": "transform",
    "features": "features",
    "metrics": "publish",
}
#: The models of a contract in the order a person meets them.
GRAMMAR = ("World", "Plan", "Economics", "Source", "Format", "Csv", "Xlsx", "Json", "Unpivot")


@dataclass(frozen=True)
class Command:
    """One command of the command line: what it does, and its options with their help."""

    name: str
    what: str
    options: Sequence[tuple[str, str]]


def write_reference(target: Path, manifest: Path, commands: Sequence[Command]) -> Path:
    """Draw the reference as one page at target; returns target.

    manifest: the file in which dbt says what every model reads and means.
    """
    nodes = json.loads(manifest.read_text(encoding="utf-8"))["nodes"].values()
    models = [node for node in nodes if node["resource_type"] == "model"]
    pages = Environment(
        loader=PackageLoader("orchestration.reports.dashboard", "."), autoescape=True
    )
    page = pages.get_template("reference.html.j2").render(
        grammar=grammar(),
        tables=tables(models),
        table_words=canonical.CANONICAL,
        variables=VARIABLES,
        exit_codes=EXIT_CODES,
        commands=commands,
        metrics=metrics(models),
        decided=decided(),
    )
    files.write(target, page)
    return target


def grammar() -> list[dict[str, Any]]:
    """Every group of words of a contract: its title, what it is, and name, values, default and
    meaning of each word."""
    schema = World.model_json_schema()
    groups = [schema if name == "World" else schema["$defs"][name] for name in GRAMMAR]
    groups += [
        kind.model_json_schema()
        for kind in vars(options).values()
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind is not Strict
    ]
    return [
        {
            "title": group["title"],
            "what": group["description"],
            "words": [
                (name, _values(said), said.get("default"), said.get("description", ""))
                for name, said in group["properties"].items()
            ],
        }
        for group in groups
    ]


def _values(said: Mapping[str, Any]) -> str:
    """What a word may be, in words."""
    if "enum" in said:
        return ", ".join(map(json.dumps, said["enum"]))
    if "$ref" in said:
        return str(said["$ref"].rpartition("/")[2])
    if "anyOf" in said:
        kinds = [_values(one) for one in said["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    kind = said.get("type", "any")
    if kind == "array":
        return f"list of {_values(said['items'])}"
    if kind == "object" and isinstance(said.get("additionalProperties"), Mapping):
        return f"name: {_values(said['additionalProperties'])}"
    return kind if isinstance(kind, str) else " or ".join(one for one in kind if one != "null")


def tables(models: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Every canonical table: its columns with meaning, unit, example, and who reads them at which
    station."""
    columns: dict[str, list[dict[str, Any]]] = {}
    for word in column_glossary.words():
        readers: dict[str, list[str]] = {}
        for model in models:
            folder = model["fqn"][1]
            if folder in STATION and _reads(model, word.table, word.column):
                readers.setdefault(STATION[folder], []).append(model["name"])
        columns.setdefault(word.table, []).append({"word": word, "readers": readers})
    return columns


def _reads(model: Mapping[str, Any], table: str, column: str) -> bool:
    sql = model["raw_code"]
    return bool(re.search(rf"\bstg_{table}\b", sql) and re.search(rf"\b{column}\b", sql))


def metrics(models: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Every metric with its formula and its columns, as dbt has them."""
    return sorted(
        (model for model in models if model["fqn"][1] == "metrics"), key=lambda one: one["name"]
    )


def decided() -> list[dict[str, Any]]:
    """Every table of decisions, and the ledger's order lines: name, what it is, and its columns
    with their meanings."""
    found = [
        {
            "name": f"decisions.{table}",
            "what": decisions.TABLES[table],
            "columns": [(name, decisions.said_of(table, name)) for name in columns],
        }
        for table, columns in decisions.DECISIONS.items()
    ]
    name = f"{order_states.SCHEMA}.{order_states.TABLE}"
    columns = [(name, said) for name, (_, said) in order_states.COLUMNS.items()]
    return [*found, {"name": name, "what": order_states.ABOUT, "columns": columns}]
