"""procure: what suppliers say is received, goods and bills are matched, and approved orders leave;
the daily line only shows them."""

from collections.abc import Iterator

import dagster as dg

from orchestration.app import procurement, webhook_watch
from orchestration.app.event_replan import replan as replan_events
from orchestration.defs.resources import OWNERS, Lakehouse

#: The steps of the procure job, in the order they run: receive first, so that nobody chases a
#: supplier who has answered.
INBOX, INVOICES, OUTBOX = (
    dg.AssetKey(["ledger", name]) for name in ("inbox", "invoices", "outbox")
)


#: The run config of a run that sends for real.
SEND = {"ops": {"procure__send": {"config": {"send": True}}}}


class Sending(dg.Config):
    """send: hand the messages to the suppliers; otherwise they are only written as a dry run."""

    send: bool = False


@dg.multi_asset(
    name="procure__poll",
    specs=[
        dg.AssetSpec(
            INBOX,
            group_name="procure",
            description=(
                "What partners sent (answers, ship notices, invoices, receipts), byte for byte; "
                "each is taken once, odd ones are exceptions."
            ),
            owners=OWNERS,
            kinds={"sqlite"},
        )
    ],
)
def poll(lakehouse: Lakehouse) -> Iterator[dg.MaterializeResult]:
    """Hear every partner out; a message that cannot be read is kept, rejected and owned by
    somebody."""
    with procurement.open_desk(lakehouse.open_home()) as desk:
        heard = procurement.poll(desk)
    received = heard.messages.values()
    counts = {
        status: sum(reception.status == status for reception in received)
        for status in ("taken", "rejected", "repeated")
    }
    yield dg.MaterializeResult(
        asset_key=INBOX,
        metadata=counts
        | {
            "exceptions": sum(reception.exceptions for reception in received),
            "left": "\n".join(heard.left),
        },
    )


@dg.multi_asset(
    name="procure__match",
    specs=[
        dg.AssetSpec(
            INVOICES,
            group_name="procure",
            deps=[INBOX],
            description=(
                "Bills matched with order and receipt, three ways; those that agree are proposed "
                "for payment."
            ),
            owners=OWNERS,
            kinds={"sqlite"},
        )
    ],
)
def match(lakehouse: Lakehouse) -> Iterator[dg.MaterializeResult]:
    """Goods the company's systems report are booked against our orders, bills are matched, silent
    suppliers noticed."""
    with procurement.open_desk(lakehouse.open_home()) as desk:
        done = procurement.match(desk)
        measures = desk.ledger.measures()
    figures = {name: value for name, value in measures.items() if isinstance(value, (int, float))}
    yield dg.MaterializeResult(
        asset_key=INVOICES,
        metadata={
            "receipts": done.receipts,
            "lowered_receipts": done.lowered,
            "chased": done.chased,
            **figures,
        },
    )


@dg.multi_asset(
    name="procure__send",
    specs=[
        dg.AssetSpec(
            OUTBOX,
            group_name="procure",
            deps=[INVOICES, ["ledger", "requisitions"]],
            description=(
                "Messages to suppliers, each written with the decision that caused it and sent "
                "under one control number."
            ),
            owners=OWNERS,
            kinds={"sqlite", "file"},
        )
    ],
)
def send(
    context: dg.AssetExecutionContext, config: Sending, lakehouse: Lakehouse
) -> Iterator[dg.MaterializeResult]:
    """Approve within the limits and send, where the run says so; the kill switch stops both, also
    in the middle."""
    with procurement.open_desk(lakehouse.open_home()) as desk:
        figures: dict[str, int | bool] = {"is_sending": config.send}
        if config.send:
            approved, sent = procurement.approve_and_send(desk)
            for reason in (*sent.altered, *sent.unwritable):
                context.log.warning(reason)
            figures |= {
                "approved": len(approved.approved),
                "waiting_for_people": len(approved.waiting),
                "queued": sent.queued,
                "sent": sent.sent,
                "waiting": sent.waiting,
                "dead": sent.dead,
                "unwritable": len(sent.unwritable),
                "altered": len(sent.altered),
                "is_stopped": sent.is_stopped,
            }
        figures["dry_run_files"] = len(procurement.dry_run(desk))
        told = webhook_watch.notify(desk.home, desk.ledger)
        for one in told.values():
            if one.trouble:
                context.log.warning(f"order events wait: {one.trouble}")
        figures["told"] = sum(one.arrived for one in told.values())
    yield dg.MaterializeResult(asset_key=OUTBOX, metadata=figures)


@dg.multi_asset(
    name="publish__dry_run",
    specs=[
        dg.AssetSpec(
            ["published", "dry_run"],
            group_name="publish",
            deps=[["published", "snapshot"], ["ledger", "requisitions"]],
            description=(
                "The messages a sending would make now, one file an order in the supplier's "
                "dry_run folder; nothing is sent."
            ),
            owners=OWNERS,
            kinds={"file"},
        )
    ],
)
def dry_run(lakehouse: Lakehouse) -> Iterator[dg.MaterializeResult]:
    """The line ends with orders anybody can read; sending them is another, explicit step."""
    with procurement.open_desk(lakehouse.open_home()) as desk:
        files = procurement.dry_run(desk)
    yield dg.MaterializeResult(
        asset_key=["published", "dry_run"], metadata={"dry_run_files": len(files)}
    )


@dg.op
def replan(context: dg.OpExecutionContext, lakehouse: Lakehouse) -> None:
    """Weigh what happened since the last look and propose what should change; only the ledger is
    written."""
    done = replan_events(lakehouse.open_home(), lakehouse.open_world())
    if done is None:
        context.log.info("nothing has happened that was not answered")
    else:
        what = "; ".join(done.reasons) or "what happened is over, or was published anew"
        context.log.info(
            f"{what}: {done.items} items, {done.report}, {len(done.rescues)} faster ways, "
            f"{done.seconds} s after hearing of it"
        )


@dg.job(
    description=(
        "Re-plan at once what an event concerns: a late answer, a short shipment, a closed place, "
        "a surge."
    )
)
def event_replan() -> None:
    """The replan as a graph of one step, for the sensor that sees an event."""
    replan()
