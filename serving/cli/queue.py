"""`radloop queue`: deliveries that are due or wait for a person."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from radloop.domain.errors import SettingsError
from serving.cli.desk import Desk, HomeOption, JsonOption, TokenOption, open_desk
from serving.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from radloop.domain.records import Delivery

app = typer.Typer(help="Deliveries that are due or parked; resend or drop them.")

Ids = Annotated[
    list[str] | None, typer.Argument(help="Ids of deliveries, as `radloop queue` shows them.", metavar="ID...")
]
ParkedOption = Annotated[bool, typer.Option("--parked", help="All parked deliveries.")]
PeerOption = Annotated[str | None, typer.Option("--peer", help="Only those of this peer.")]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which deliveries a person means."""

    ids: tuple[str, ...]
    parked: bool
    peer: str | None


@app.callback(invoke_without_command=True)
def queue(context: typer.Context, *, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Deliveries that are due or parked; resend or drop them."""
    if context.invoked_subcommand is None:
        list_queue(as_json=as_json, home=home)


@app.command("list")
def list_queue(*, peer: PeerOption = None, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """List what is due, under way or parked; the parked first."""
    from radloop.ledger import deliveries

    with open_desk(home).reading() as conn:
        found = [d for d in deliveries.unfinished(conn) if peer in (None, d.peer)]
    if as_json:
        print_json([_row(delivery) for delivery in found])
        return
    columns = ("id", "peer", "kind", "state", "urgency", "attempts", "next", "error")
    print_table("Queue", columns, (tuple(_row(delivery).values()) for delivery in found))


@app.command()
def resend(
    ids: Ids = None,
    *,
    parked: ParkedOption = False,
    peer: PeerOption = None,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Send deliveries again, with the same bytes and identifiers."""
    from flows import outbox

    _change(open_desk(home, token), Chosen(tuple(ids or ()), parked, peer), outbox.RESEND, outbox.resend)


@app.command()
def drop(
    ids: Ids = None,
    *,
    why: Annotated[str, typer.Option("--why", help="The reason, for the audit; no patient data.")],
    parked: ParkedOption = False,
    peer: PeerOption = None,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Give deliveries up, with a reason."""
    from functools import partial

    from flows import outbox

    if not why.strip():
        raise SettingsError("--why: expected a reason")
    chosen = Chosen(tuple(ids or ()), parked, peer)
    _change(open_desk(home, token), chosen, outbox.DROP, partial(outbox.drop, why=why))


def _change(desk: Desk, chosen: Chosen, action: str, apply: "Callable[[Connection, str, Sequence[str]], None]") -> None:
    with desk.changing() as change:
        wanted = _select(change.conn, chosen)
        apply(change.conn, change.actor.name, wanted)
    say(f"{len(wanted)} deliveries: {action.removeprefix('delivery.')}")


def _select(conn: "Connection", chosen: Chosen) -> tuple[str, ...]:
    from radloop.domain.enums import DeliveryState
    from radloop.ledger import deliveries

    if bool(chosen.ids) == (chosen.parked or chosen.peer is not None):
        raise SettingsError("expected ids of deliveries, or --parked or --peer")
    if chosen.ids:
        return chosen.ids
    return tuple(
        delivery.id
        for delivery in deliveries.unfinished(conn)
        if chosen.peer in (None, delivery.peer) and (not chosen.parked or delivery.state is DeliveryState.PARKED)
        if delivery.state is not DeliveryState.SENT
    )


def _row(delivery: "Delivery") -> dict[str, object]:
    return {
        "id": delivery.id,
        "peer": delivery.peer,
        "kind": delivery.object.kind,
        "state": delivery.state,
        "urgency": delivery.urgency,
        "attempts": delivery.attempts,
        "next_at": delivery.next_at.isoformat(),
        "error": delivery.error,
    }
