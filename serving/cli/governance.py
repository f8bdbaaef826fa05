"""What governance and IT look after: keys, quarantine."""

from typing import TYPE_CHECKING, Annotated

import typer

from radloop.domain.errors import IntegrityError
from serving.cli.desk import HomeOption, JsonOption, TokenOption, open_desk
from serving.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from radloop.domain.records import Quarantined

keys = typer.Typer(help="The keys that protect bytes at rest, and the one that signs.", no_args_is_help=True)
quarantine = typer.Typer(help="Bad input that was set aside.", no_args_is_help=True)


@keys.command("rotate")
def rotate_keys(*, token: TokenOption = None, home: HomeOption = None) -> None:
    """Make a new key and wrap every object's data key under it. May run while radloop does, and be repeated."""
    desk = open_desk(home, token)
    with desk.changing() as change:
        kek = desk.keyring.rotate()
        change.record("keys.rotate", "key", f"kek-{kek.version}")
    done = desk.store.rewrap_all()
    say(f"key version {kek.version}: {done.rewrapped} of {done.seen} objects rewrapped")
    if done.broken:
        raise IntegrityError(
            f"{done.broken} objects could not be opened with the keys at hand; they were left as they are"
        )


@keys.command("public")
def show_public_key(*, home: HomeOption = None) -> None:
    """Print the public half of the key that signs bundles and reports (PEM): what a reviewer checks them with."""
    from models.bundles import public_key

    say(public_key(open_desk(home).keyring.signing_key).decode().rstrip())


@quarantine.command("list")
def list_quarantine(
    *,
    limit: Annotated[int | None, typer.Option("--limit", help="At most so many.", min=1)] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """List what was set aside, the newest first, with its reason."""
    from radloop.ledger import quarantine as aside

    with open_desk(home).reading() as conn:
        rows = [_aside_row(item) for item in aside.latest(conn, limit)]
    if as_json:
        print_json(rows)
    else:
        print_table("Quarantine", ("id", "at", "peer", "reason", "bytes"), (tuple(row.values()) for row in rows))


def _aside_row(item: "Quarantined") -> dict[str, object]:
    size = item.blob.size if item.blob else None
    return {"id": item.id, "at": item.at.isoformat(), "peer": item.peer, "reason": item.reason, "bytes": size}
