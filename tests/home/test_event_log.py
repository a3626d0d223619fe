"""A run's history, kept open while it is written, is Dagster's own: whoever else opens it reads it
whole."""

from pathlib import Path

import dagster as dg

from orchestration.runs.event_log import KeptOpenEventLog, instance_at


def test_a_run_s_history_is_read_by_dagster_s_own_instance_during_and_after_it(
    tmp_path: Path,
) -> None:
    seen: list[int] = []

    def recorded(run_id: str) -> list[str]:
        with dg.DagsterInstance.from_config(str(tmp_path)) as other:
            assert not isinstance(other.event_log_storage, KeptOpenEventLog)
            return [str(entry.get_dagster_event().event_type) for entry in other.all_logs(run_id)]

    @dg.asset
    def goods(context: dg.AssetExecutionContext) -> None:
        seen.append(len(recorded(context.run.run_id)))

    @dg.asset_check(asset=goods)
    def counted() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    for _ in range(2):
        with instance_at(tmp_path) as instance:
            done = dg.materialize([goods, counted], instance=instance)
            ours = [e.get_dagster_event() for e in instance.all_logs(done.run_id)]
        assert recorded(done.run_id) == [str(event.event_type) for event in ours]
    assert min(seen) > 0, "what a run has done so far is seen by others"
    left = [path.name for path in (tmp_path / "history").rglob("*-wal")]
    assert not left, "the files are closed when the run is over"
    with dg.DagsterInstance.from_config(str(tmp_path)) as other:
        assert other.get_latest_materialization_event(dg.AssetKey("goods")) is not None
        assert len(other.get_runs()) == 2
