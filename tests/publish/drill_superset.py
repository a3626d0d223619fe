"""Superset itself imports the dashboard and draws every chart: run in an environment of its own, as
Superset's pins are not ours. Where the home has published twice, each chart's figures are the same
in both: the drill is for a home that ran twice with nothing new between.

    make drill-superset LAKEHOUSE=HOME
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import zipfile
from io import BytesIO
from pathlib import Path

BUNDLE = Path(__file__).resolve().parents[2] / ".github/deploy/bi/superset"
CONFIG = """
SECRET_KEY = "drill"
SQLALCHEMY_DATABASE_URI = "sqlite:///{folder}/superset.db"
WTF_CSRF_ENABLED = False
PREVENT_UNSAFE_DB_CONNECTIONS = False
"""


def bundle(snapshot: Path) -> BytesIO:
    """The export as Superset reads it, its database pointed at this snapshot."""
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as out:
        for path in sorted(BUNDLE.rglob("*.yaml")):
            text = path.read_text(encoding="utf-8")
            text = text.replace(
                "duckdb:////published/current/stockhouse.duckdb", f"duckdb:///{snapshot}"
            )
            out.writestr(f"stockhouse/{path.relative_to(BUNDLE)}", text)
    packed.seek(0)
    return packed


def asked(params: dict) -> dict:  # type: ignore[type-arg]
    """The query behind a chart, as its page would ask it."""
    metrics = params.get("metrics") or [params["metric"]]
    columns = list(params.get("groupby", []))
    if "x_axis" in params:
        columns = [
            {
                "columnType": "BASE_AXIS",
                "expressionType": "SQL",
                "label": params["x_axis"],
                "sqlExpression": params["x_axis"],
                "timeGrain": params["time_grain_sqla"],
            },
            *columns,
        ]
    return {"metrics": metrics, "columns": columns, "row_limit": 1000}


def main(published: Path) -> int:
    versions = sorted((published / "versions").iterdir())[-2:]
    files = [version / "stockhouse.duckdb" for version in versions]
    folder = tempfile.mkdtemp()
    config = Path(folder) / "superset_config.py"
    config.write_text(CONFIG.format(folder=folder), encoding="utf-8")
    os.environ |= {"SUPERSET_CONFIG_PATH": str(config), "SUPERSET_HOME": folder}
    from superset.app import create_app

    app = create_app()
    app.config["TESTING"] = True
    with app.app_context():
        import superset
        from flask_migrate import upgrade
        from superset import security_manager

        upgrade(directory=str(Path(superset.__file__).parent / "migrations"))
        security_manager.sync_role_definitions()
        role = security_manager.find_role("Admin")
        security_manager.add_user("drill", "d", "d", "d@example.org", role, "drill-drill")
    told = [drawn(app, file) for file in files]
    failed = sum(1 for charts in told for rows in charts.values() if not isinstance(rows, list))
    for name, rows in told[-1].items():
        is_drawn = isinstance(rows, list)
        print(f"{'drawn ' if is_drawn else 'FAILED'} {name}: {str(rows)[:160]}")
    differing = [name for name in told[0] if told[0][name] != told[-1][name]]
    print(f"{len(told[-1])} charts in {len(files)} versions, {failed} failed")
    print(f"differing between the two: {', '.join(differing) or 'none'}")
    return int(bool(failed or differing or not told[-1]))


def drawn(app, file: Path) -> dict:  # type: ignore[no-untyped-def, type-arg]
    """What every chart of the dashboard shows of one published file: rows, or the refusal."""
    with app.app_context():
        from flask_appbuilder.security.sqla.models import User
        from superset import db
        from superset.commands.dashboard.importers.v1 import ImportDashboardsCommand
        from superset.models.dashboard import Dashboard
        from superset.utils.core import override_user

        user = db.session.query(User).one()
        with zipfile.ZipFile(bundle(file)) as packed, override_user(user):
            contents = {
                name.split("/", 1)[1]: packed.read(name).decode() for name in packed.namelist()
            }
            ImportDashboardsCommand(contents, overwrite=True).run()
        board = db.session.query(Dashboard).filter_by(slug="stockhouse").one()
        charts = [
            (chart.slice_name, chart.datasource_id, json.loads(chart.params))
            for chart in board.slices
        ]
    # outside that context: each request signs in for itself
    client = app.test_client()
    login = {"username": "drill", "password": "drill-drill", "provider": "db"}
    token = client.post("/api/v1/security/login", json=login).json["access_token"]
    found = {}
    for name, dataset, params in sorted(charts):
        body = {
            "datasource": {"id": dataset, "type": "table"},
            "queries": [asked(params)],
            "result_format": "json",
            "result_type": "full",
            "force": True,
        }
        said = client.post(
            "/api/v1/chart/data", json=body, headers={"Authorization": f"Bearer {token}"}
        )
        rows = said.json["result"][0]["data"] if said.status_code == 200 else None
        found[name] = sorted(rows, key=str) if rows else said.json
    return found


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
