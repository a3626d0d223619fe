"""Commands about the demand models that are kept: list them, hold one, let it go, and read what it
is good and bad at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestration.cli import render
from orchestration.cli.shell import AsJson, By, HomeFolder, Reason, emit
from orchestration.home import DEFAULT_HOME, Home

commands = typer.Typer(
    no_args_is_help=True,
    help="The demand models that are kept: list, pin or unpin one, its card, and who forecasts.",
)
Name = Annotated[str, typer.Argument(help="A model, as `stockhouse model list` names it.")]


@commands.command("list")
def list_models(home: HomeFolder = Path(DEFAULT_HOME), as_json: AsJson = False) -> None:
    """List the models that can be used, the newest first, and which of them decides."""
    import polars as pl

    from orchestration.facts import kept_models

    place = Home.open(home)
    used, held = kept_models.model_in_use(place), kept_models.pinned(place)
    rows = [
        {
            "model": one.name,
            "trained_as_of": one.card["as_of"],
            "why": one.card["reason"],
            "wape_promised": (one.card.get("unseen") or {}).get("wape"),
            "in_use": "" if used is None or one.name != used.name else str(held or "the newest"),
        }
        for one in kept_models.kept_models(place)
    ]
    title = f"{render.count_of(len(rows), 'model')}: pin one to go back to it" if rows else ""
    shown = render.listing(pl.DataFrame(rows), title) if rows else "no model was trained yet"
    emit({"models": rows}, shown, as_json=as_json)


@commands.command()
def pin(
    name: Name,
    reason: Reason,
    by: By,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Use this model from the next run on, whatever is trained or drifts: the way back to an
    earlier one."""
    from orchestration.facts import kept_models

    found = kept_models.pin(Home.open(home), name, by, reason)
    said = {"model": found.name, "by": by, "reason": reason}
    emit(said, f"{found.name} decides until `stockhouse model unpin`", as_json=as_json)


@commands.command()
def unpin(
    reason: Reason, by: By, home: HomeFolder = Path(DEFAULT_HOME), as_json: AsJson = False
) -> None:
    """Let the newest model decide again."""
    from orchestration.facts import kept_models

    let_go = kept_models.unpin(Home.open(home), by, reason)
    emit(
        {"model": let_go.model, "by": by, "reason": reason},
        f"{let_go.model} is no longer pinned: the newest model decides",
        as_json=as_json,
    )


@commands.command()
def use(
    forecaster: Annotated[
        str, typer.Argument(help="xgboost, or the name of a forecaster that an extension offers.")
    ],
    reason: Reason,
    by: By,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Let another forecaster decide from the next run on: the company's own, or XGBoost again."""
    from orchestration.facts import kept_models

    kept_models.choose(Home.open(home), forecaster, by, reason)
    said = {"forecaster": forecaster, "by": by, "reason": reason}
    emit(said, f"{forecaster} forecasts from the next run on", as_json=as_json)


@commands.command()
def card(
    out: Annotated[Path, typer.Option(help="The page to write (.html).")] = Path("model-card.html"),
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Write the card of the model in use: what it knows, and what it is good and bad at by class,
    judged on the newest window, which the model of this page had not seen."""
    from models.forecasting.drift import TAIL
    from orchestration.facts import kept_models
    from orchestration.planning.demand import open_demand
    from orchestration.planning.model_card import judge
    from orchestration.reports.model_card import write_card

    place = Home.open(home)
    used, held = kept_models.model_in_use(place), kept_models.pinned(place)
    if used is None:
        raise ValueError("no model was trained yet: `stockhouse forecast` trains one")
    scores, ahead = judge(open_demand(place, used.card["horizon"]))
    window = ahead.period_starts[0], ahead.period_starts[-1]
    write_card(used.card, scores, window, TAIL, str(held) if held else None, out)
    emit(
        {"card": str(out), "model": used.name, "scores": scores.to_dicts()},
        f"card of {used.name}: {out}",
        as_json=as_json,
    )
