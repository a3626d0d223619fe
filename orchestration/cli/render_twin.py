"""What a person sees of the twin and of learning: studies, scorecards and gaps to the optimum."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from models.labels import IMPOSSIBLE, in_words


def front(found: dict[str, Any]) -> Table:
    """What service costs on a network, from the cheapest to the best served."""
    table = Table(title=f"{found['problem']}: cost and service, a period", padding=0)
    for name in ("missing unit costs", "holding", "ordering", "fill rate", "bullwhip"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in found["rows"]:
        bullwhip = "–" if row["bullwhip"] is None else f"{row['bullwhip']:.2f}"
        table.add_row(
            f"{row['price']:g} times",
            f"{row['holding']:,.2f}",
            f"{row['ordering']:,.2f}",
            f"{row['fill_rate']:.2%}",
            bullwhip,
        )
    return table


def agent_card(card: dict[str, Any], judge: str) -> Text:
    """What a company's agent came to, in a few lines, and the command that judges it now."""
    saves = 1 - card["cost"] / card["structured_cost"] if card["structured_cost"] else 0.0
    net = (
        f"the net saves {saves:.2%}"
        if saves > 0
        else "the net found nothing that saves there, so the agent orders as its structured part"
    )
    now = f" Now: `{judge}`." if judge else ""
    ended = "; ".join(f"seed {run['seed']} {run['ended']}" for run in card["runs"])
    return Text(
        f"Agent of {card['world']}, on what was known by {card['trained_until']}: it learned from "
        f"{card['reviews']} reviews. To its structured part a missing unit costs "
        f"{card['scale']:.2f} times what it does.\n"
        f"In the newest lesson, kept aside, it costs {card['cost']:,.2f}, its structured part "
        f"alone {card['structured_cost']:,.2f}, that before learning {card['start_cost']:,.2f}: "
        f"{net}.\n{ended}. {card['seconds']:.0f} CPU s.\n"
        "The next `stockhouse run` rehearses it beside the other policies, in shadow; from the "
        "review after that on it decides where its cost is below the champion's by an interval "
        f"that excludes zero.{now}"
    )


def gap_table(found: dict[str, Any]) -> Group:
    """How far from the reference each policy is, by problem, and by kind of problem in short."""
    table = Table(title="Cost a period against the reference, 95 % interval", padding=0)
    for name in ("problem", "policy"):
        table.add_column(name, no_wrap=True)
    for name in ("cost", "reference", "gap", "interval", "CPU s", "seed"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in found["rows"]:
        lower, upper = row["interval"]
        table.add_row(
            row["problem"],
            row["policy"],
            f"{row['cost']:,.3f}",
            f"{row['reference']:,.3f}",
            f"{row['gap']:+.2%}",
            f"{lower:+.2%} … {upper:+.2%}",
            f"{row['seconds']:.0f}",
            str(row["seed"]),
        )
    parts: list[RenderableType] = [table]
    if "handed_over" in found:
        parts.append(
            Text(
                f"{found['handed_over']:.2%} of decisions on unseen demand lie outside what the "
                "agent was trained on: the structured policy takes them alone."
            )
        )
    for one in found.get("summary", []):
        parts.append(
            Text(
                f"{one['problems']}, {one['cases']} cases, {one['policy']}: mean gap "
                f"{one['mean_gap']:+.2%}, worst {one['worst_gap']:+.2%}, {one['seconds']:.0f} CPU s"
            )
        )
    for one in found.get("bounds", []):
        parts.append(
            Text(
                f"{one['problem']}, {one['policy']}: {one['above']:+.2%} above "
                f"{one['bound']:,.3f}, which no policy can go below"
            )
        )
    ended = [run for run in found.get("runs", []) if run["ended"].startswith("stopped")]
    parts += [Text(f"seed {run['seed']} {run['ended']}; the last good one counts") for run in ended]
    parts.append(Text(f"Made by code {found['code']}."))
    if not found.get("is_current", True):
        parts.append(Text("The code has changed since: `stockhouse learn --report --retrain`."))
    return Group(*parts)


#: Why the company's own row ranks nothing, and why there may be none.
REALLY_DID = (
    "What the company really did is beside and not among them: the demand on record is what its "
    "own orders could serve, so they lose few sales here, and nothing held them to the limits"
)
NOT_RECORDED = (
    "What the company really did cannot be shown: no order of these periods, or no stock at their "
    "start, is on record"
)


def scorecard(card: dict[str, Any]) -> Table:
    """What each policy cost in a replay, cheapest first, and what the company really did."""
    table = Table(title="Replay")
    table.add_column("policy")
    for name in (
        "holding",
        "shortage",
        "total",
        "with freight",
        "end stock",
        "on the way",
        "fill rate",
        "against the incumbent",
    ):
        table.add_column(name, justify="right")
    rows = sorted(card["policies"].items(), key=lambda pair: pair[1]["total_cost"])
    done = card["as_placed"]
    for name, policy in rows + ([("what the company really did", done)] if done else []):
        rival = policy.get("difference")
        table.add_row(
            name + (" ★" if name == card["champion"] else ""),
            f"{policy['holding_cost']:,.1f}",
            f"{policy['shortage_cost']:,.1f}",
            f"{policy['total_cost']:,.1f}",
            f"{policy['total_with_freight']:,.1f}",
            f"{policy['end_stock_value']:,.0f}",
            f"{policy['pipeline_value']:,.0f}",
            f"{policy['fill_rate']:.1%}",
            f"{rival['mean']:+,.0f} ({rival['lower']:+,.0f} … {rival['upper']:+,.0f})"
            if rival
            else "",
        )
    verdicts = [
        (
            f"forecasts by {name} cost {one['mean']:+,.0f} ({one['lower']:+,.0f} … "
            f"{one['upper']:+,.0f}) against those by {card['forecast_by']}: "
        )
        + ("cheaper beyond chance" if one["is_cheaper"] else "not promoted")
        for name, one in card["challengers"].items()
    ]
    verdicts.append(REALLY_DID if done else NOT_RECORDED)
    table.caption = "\n".join(verdicts)
    return table


#: What each fill rate is a share of: the figures of one study, and of the past, are not the same.
FILL_RATES = (
    "Fill rate: the share of the sampled demand that is met from stock in its own period, in all "
    "futures; of measures, in the first of them alone. The past's (`stockhouse metrics fill_rate`) "
    "is of what was sold and what empty shelves are estimated to have lost, which counts a day as "
    "short only where the records show an empty shelf."
)


def study(said: dict[str, Any]) -> Group:
    """What each scenario changes in total, with the range of the futures, and what to do."""
    shown: list[RenderableType] = [
        f"From what was known by {said['as_of']} UTC; demand {said['demand']}."
    ]
    if said["shelf_life"]:
        shown.append(said["shelf_life"])
    usual = said["against"] or "without"
    for answer in said["scenarios"]:
        table = Table(title=answer["title"], padding=0)
        table.add_column(f"{said['periods']} periods, {said['futures']} futures", no_wrap=True)
        for name in (usual, "with", "difference", "95 % of futures", "95 % sure of the mean"):
            table.add_column(name, justify="right", no_wrap=True)
        for name, one in answer["totals"].items():
            as_number = "{:+,.2%}" if name == "fill_rate" else "{:+,.0f}"
            words = ("before", "after", "difference", "lower", "upper", "mean_lower", "mean_upper")
            cells = [as_number.format(one[word]) for word in words]
            plain = [cell.removeprefix("+") for cell in cells[:2]]
            spans = [f"{cells[3]} … {cells[4]}", f"{cells[5]} … {cells[6]}"]
            called = name.replace("_", " ")
            if name == "lost" and said["waiting_share"]:
                called = f"not met in time ({said['waiting_share']:.0%} wait)"
            table.add_row(called, *plain, cells[2], *spans)
        shown += [one["words"] for one in answer["outside"]]
        shown += [table, f"{len(answer['turn_unprofitable'])} items and lanes turn unprofitable."]
        if len(answer["measures"]) > 1:
            shown.append(_measures(answer))
    shown.append(FILL_RATES)
    if said["robustness"]:
        shown.append(_robustness(said["robustness"]))
    if promoted := said.get("promoted"):
        shown.append(
            f"{in_words(promoted['measure'])} for {promoted['scenario']}: "
            f"{promoted['lines']} order lines, {promoted['new_orders']} of them new in the ledger."
        )
    return Group(*shown, said["trust"]["words"], f"Kept as study {said['study_id']}.")


def _measures(answer: dict[str, Any]) -> Table:
    table = Table(title="What to do about it: money beside doing nothing", padding=0)
    table.add_column("measure", no_wrap=True)
    for name in ("order lines", "premium paid", "costs in all", "95 % sure", "fill rate"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in answer["measures"]:
        best = " ★" if one["measure"] == answer["best_measure"] else ""
        name = in_words(one["measure"]) + best
        if not one["order_lines"]:
            why = "" if one["measure"] == "do_nothing" else IMPOSSIBLE
            table.add_row(name, why, "", "", "", f"{one['fill_rate']:.2%}")
            continue
        span = f"{one['mean_lower']:+,.0f} … {one['mean_upper']:+,.0f}"
        table.add_row(
            name,
            f"{one['order_lines']:,}",
            f"{one['premium']:,.0f}",
            f"{one['cost']:+,.0f}",
            span,
            f"{one['fill_rate']:.2%}",
        )
    return table


def _robustness(found: list[dict[str, Any]]) -> Table:
    table = Table(title=f"Does {in_words(found[0]['champion'])} hold?", padding=0)
    for name in (
        "rival",
        "scenarios",
        "cheaper for sure",
        "dearer for sure",
        "mean",
        "most regret",
    ):
        table.add_column(name, justify="left" if name == "rival" else "right", no_wrap=True)
    for one in found:
        counts = [str(one[name]) for name in ("scenarios", "cheaper_for_sure", "dearer_for_sure")]
        money = f"{one['mean_difference']:+,.0f}", f"{one['most_regret']:,.0f}"
        table.add_row(in_words(one["policy"]), *counts, *money)
    table.caption = (
        "Mean: what the rival costs beyond the champion, over scenarios and their first futures."
    )
    if untuned := [in_words(one["policy"]) for one in found if one["is_untuned"]]:
        table.caption += (
            f" No rehearsal has tuned {', '.join(untuned)}: it decides as the newsvendor does."
        )
    return table


def placement(said: dict[str, Any]) -> str:
    """Where safety stock stands in a network, in short."""
    sure = "no placement costs less" if said["gap"] < 1e-9 else f"within {said['gap']:.2%} of any"
    return (
        f"{said['network']}: {said['stages']:,} stages, {said['arcs']:,} arcs. Safety stock at "
        f"{said['stages_with_stock']:,} of them costs {said['cost']:,.0f} ({sure}; "
        f"{said['method']}).\nTried out on {said['futures']} futures of {said['periods']} periods: "
        f"{said['on_time']:.2%} of demand served on time, {said['worst_on_time']:.2%} at the worst "
        "stage."
    )


def replayed_study(said: dict[str, Any]) -> str:
    """Whether a kept study comes out the same."""
    if not said["differing"]:
        return f"Study {said['study_id']}: all {said['figures']:,} figures are the same."
    lines = [f"{one['figure']}: {one['kept']} then, {one['now']} now" for one in said["differing"]]
    return "\n".join([f"Study {said['study_id']}: {len(lines)} figures differ.", *lines[:20]])
