"""Features are served to this machine, or to whoever has the token, and a question that cannot be
answered is told why."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from feast import FeatureStore
from feast.feature_server_utils import convert_response_to_dict
from feast.ui_server import get_app as feast_ui
from small_marts import NOW, at
from starlette.testclient import TestClient

from feature_repo.online_offer import OnlineOffer
from feature_repo.store import (
    materialize_online,
    online_frame,
    online_settings,
    open_store,
    training_frame,
)
from orchestration.home import Home, HomeError
from orchestration.serving import serving

SECRET = "a secret of enough characters"  # noqa: S105 - opens nothing but the server in these tests
KEYS = {
    "item_id": "a",
    "location_id": "x",
    "region_id": "north",
    "supplier_id": "s",
    "lane_id": "s>x",
}


@pytest.fixture(scope="module")
def home(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home whose features are served; read only."""
    home = Home.found(tmp_path_factory.mktemp("home"), "small")
    shutil.copy(built, home.warehouse)
    materialize_online(open_store(home.warehouse, home.features), NOW)
    return home


@pytest.fixture(scope="module")
def store(home: Home) -> FeatureStore:
    return open_store(home.warehouse, home.features)


@pytest.fixture(scope="module")
def client(store: FeatureStore) -> Iterator[TestClient]:
    with TestClient(serving.feature_server(store), base_url="http://127.0.0.1") as client:
        yield client


def ask(client: TestClient, entities: dict[str, list[Any]], **asked: Any) -> Any:
    return client.post("/get-online-features", json={"entities": entities, **asked})


def test_an_online_vector_is_the_offline_row_of_now(store: FeatureStore) -> None:
    rows = pl.DataFrame([KEYS, KEYS | {"item_id": "b"}, KEYS | {"item_id": "nobody"}]).with_columns(
        target_on=pl.lit(date(2026, 4, 1))
    )
    stamps = rows.with_columns(event_timestamp=pl.lit(at(80.0)).cast(pl.Datetime("us", "UTC")))
    for service in ("demand_v1", "signals_v1", "plans_v1", "replenishment_v1", "lanes_v1"):
        known = training_frame(store, stamps, service).drop("event_timestamp")
        assert online_frame(store, rows, service).equals(known), service
        assert known.drop(rows.columns).row(0) != (None,) * (known.width - rows.width)


def test_the_server_answers_what_the_store_serves(client: TestClient, store: FeatureStore) -> None:
    answer = ask(
        client, {"item_id": ["a", "b"], "location_id": ["x", "x"]}, feature_service="demand_v1"
    ).json()
    served = dict(
        zip(
            answer["metadata"]["feature_names"],
            (result["values"] for result in answer["results"]),
            strict=True,
        )
    )
    expected = online_frame(
        store, pl.DataFrame({"item_id": ["a", "b"], "location_id": ["x", "x"]}), "demand_v1"
    )
    assert served == expected.to_dict(as_series=False)
    assert client.get("/health").status_code == 200


def test_the_servers_json_is_feasts_own(store: FeatureStore) -> None:
    rows = [KEYS | {"target_on": at(90.0)}, KEYS | {"item_id": "nobody", "target_on": at(90.0)}]
    for service in ("demand_v1", "signals_v1", "plans_v1", "replenishment_v1", "lanes_v1"):
        keys = OnlineOffer.of(store).keys_of(service)
        answer = store.get_online_features(
            store.get_feature_service(service), [{key: row[key] for key in keys} for row in rows]
        )
        answer.proto.results[-1].values[0].float_val = math.nan
        assert serving.as_json(answer.proto) == convert_response_to_dict(answer.proto), service


@pytest.mark.parametrize(
    ("entities", "asked", "words"),
    [
        (
            {"item_id": ["a"], "location_id": ["x"]},
            {"feature_service": "demand_v9"},
            "no online feature service demand_v9; there are",
        ),
        (
            {"item_id": ["a"], "location_id": ["x"]},
            {"feature_service": "labels_v1"},
            "no online feature service labels_v1",
        ),
        (
            {"item_id": ["a"], "location_id": ["x"]},
            {"features": ["demand_stats:lag"]},
            "view demand_stats has no lag; it has",
        ),
        (
            {"item_id": ["a"], "location_id": ["x"]},
            {"features": ["demand:lag"]},
            "no online view demand; there are",
        ),
        (
            {"item_id": ["a"], "location_id": ["x"]},
            {"features": ["demand_observed:demand"]},
            "no online view demand_observed",
        ),
        ({"item_id": ["a"], "location_id": ["x"]}, {}, "name a feature service"),
        ({"item_id": ["a"]}, {"feature_service": "demand_v1"}, r"the rows lack \['location_id'\]"),
        (
            {"item_id": [17], "location_id": ["x"]},
            {"feature_service": "demand_v1"},
            r"row 0: item_id is 17 \(int\); it is written as text",
        ),
        (
            {"item_id": ["a", None], "location_id": ["x", "x"]},
            {"feature_service": "demand_v1"},
            "row 1: item_id is None",
        ),
        (
            {"item_id": ["a", "b"], "location_id": ["x"]},
            {"feature_service": "demand_v1"},
            "every key needs a value in every row",
        ),
        (
            {"item_id": [], "location_id": []},
            {"feature_service": "demand_v1"},
            "there must be a row",
        ),
        (
            {"item_id": ["a"], "location_id": ["x"], "target_on": ["2026-04-01"]},
            {"feature_service": "plans_v1"},
            "seconds since 1970",
        ),
        (
            {"item_id": ["a"] * 10_001, "location_id": ["x"] * 10_001},
            {"feature_service": "demand_v1"},
            "10001 rows are too many",
        ),
    ],
)
def test_a_question_that_cannot_be_answered_is_told_what_is_wrong(
    client: TestClient, entities: dict[str, list[Any]], asked: dict[str, Any], words: str
) -> None:
    answer = ask(client, entities, **asked)
    assert answer.status_code == 422
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(answer.json()["detail"])


def test_a_frame_that_cannot_be_answered_is_told_what_is_wrong(store: FeatureStore) -> None:
    rows = pl.DataFrame(KEYS)
    with pytest.raises(LookupError, match="no online feature service labels_v1"):
        online_frame(store, rows, "labels_v1")
    with pytest.raises(LookupError, match=r"the rows lack \['item_id'\]"):
        online_frame(store, rows.drop("item_id"), "demand_v1")
    with pytest.raises(TypeError, match="row 0: item_id is 17"):
        online_frame(store, rows.with_columns(item_id=pl.lit(17)), "demand_v1")
    with pytest.raises(TypeError, match="no time zone"):
        online_frame(store, rows.with_columns(target_on=pl.lit(datetime(2026, 4, 1))), "plans_v1")


def test_only_reading_is_served(client: TestClient) -> None:
    for path in (
        "/push",
        "/write-to-online-store",
        "/materialize",
        "/materialize-incremental",
        "/search",
        "/chat",
        "/docs",
        "/static/x",
    ):
        assert client.post(path, json={}).status_code == 404, path


def test_a_page_under_another_name_cannot_reach_a_local_server(client: TestClient) -> None:
    assert client.get("/health", headers={"Host": "evil.example"}).status_code == 400


def test_with_a_token_nothing_is_told_without_it(store: FeatureStore) -> None:
    with TestClient(
        serving.feature_server(store, SECRET, is_local=False), base_url="http://shop.example"
    ) as client:
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": SECRET},
            {"Authorization": f"bearer {SECRET}x"},
        ):
            assert client.get("/health", headers=headers).status_code == 401
            assert client.post("/get-online-features", json={}, headers=headers).status_code == 401
        client.headers["Authorization"] = f"Bearer {SECRET}"
        assert (
            ask(
                client, {"item_id": ["a"], "location_id": ["x"]}, feature_service="demand_v1"
            ).status_code
            == 200
        )


def test_an_address_others_can_reach_needs_a_token(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(serving.TOKEN, raising=False)
    # what must be refused
    for host in ("0.0.0.0", "192.168.1.5", "shop.example", "::"):  # noqa: S104
        with pytest.raises(
            ValueError, match=f"{host} can be reached by others: set STOCKHOUSE_FEATURES_TOKEN"
        ):
            serving.serve(home, host=host)
    monkeypatch.setenv(serving.TOKEN, "short")
    with pytest.raises(ValueError, match="a token needs 16 or more"):
        serving.serve(home)
    monkeypatch.delenv(serving.TOKEN)
    with pytest.raises(
        HomeError, match="serves no features yet: run `stockhouse run WORLD --until features"
    ):
        serving.serve(Home.found(tmp_path / "new", "small"))
    for host in ("127.0.0.1", "localhost", "::1"):
        serving.check_address(host, None)
    serving.check_address("0.0.0.0", SECRET)  # noqa: S104


def test_the_online_store_is_chosen_by_a_url() -> None:
    assert online_settings(None) is None
    assert online_settings("redis://127.0.0.1/3") == {
        "type": "redis",
        "connection_string": "127.0.0.1:6379,db=3",
    }
    assert (
        online_settings("rediss://me:p%40ss@cache:7000")["connection_string"]
        == "cache:7000,db=0,username=me,password=p@ss,ssl=true"
    )
    told = online_settings("postgresql://me:p%40ss@db/shop?schema=corner&sslmode=require")
    assert told == {
        "type": "postgres",
        "host": "db",
        "port": 5432,
        "database": "shop",
        "user": "me",
        "password": "p@ss",
        "db_schema": "corner",
        "sslmode": "require",
    }
    with pytest.raises(ValueError, match="not mysql://"):
        online_settings("mysql://db/shop")


def test_feasts_own_pages_open_over_the_home(
    home: Home, store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOCKHOUSE_HOME", str(home.root))
    repo = FeatureStore(repo_path="feature_repo")
    with TestClient(feast_ui(repo, "stockhouse"), base_url="http://127.0.0.1") as client:
        assert "<title>" in client.get("/").text
        assert client.get("/projects-list.json").json()["projects"][0]["id"] == "stockhouse"
        assert "demand_stats" in client.get("/api/v1/feature_views?project=stockhouse").text


def test_what_the_guide_shows_runs(
    home: Home, built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    guide = (Path(__file__).parents[2] / ".github/USING.md").read_text(encoding="utf-8")
    block = guide.split("```python\n")[1].split("```")[0]
    assert len(block.strip().splitlines()) <= 12
    for shown, here in {
        '".lakehouse/derived"': repr(str(home.derived)),
        '"22086", "22139"': '"a", "b"',
        '"UK", "CONT"': '"x", "x"',
        "2011, 11, 1": "2026, 3, 1",
    }.items():
        assert shown in block, shown
        block = block.replace(shown, here)
    names: dict[str, Any] = {}
    exec(compile(block, "USING.md", "exec"), names)  # noqa: S102 - our own page
    assert names["training"]["demand_lag_1"].null_count() == 0
    assert names["now"]["demand_lag_1"].null_count() == 0
    assert (
        names["training"].select("demand_lag_1", "demand_mean_28").rows()
        != names["now"].select("demand_lag_1", "demand_mean_28").rows()
    )
