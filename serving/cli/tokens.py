"""`radloop token`: secrets that open the interfaces, limited to scopes, until they end."""

from typing import TYPE_CHECKING, Annotated

import typer

from radloop.domain.access import granted
from radloop.domain.enums import ActorKind
from radloop.domain.errors import NotFound, Rejected
from serving.cli.access import ScopeOption, entry_of, moment_of, told, worded_scopes
from serving.cli.desk import HomeOption, JsonOption, TokenOption, open_desk
from serving.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from radloop.domain.access import Permission
    from radloop.ledger.actors import Entry
    from radloop.ledger.tokens import Token

app = typer.Typer(help="Tokens of people and machines.", no_args_is_help=True)

LONGEST_NAME = 64


@app.command("issue")
def issue(
    owner: Annotated[str, typer.Argument(help="Whose token: an actor's name.")],
    name: Annotated[str, typer.Argument(help="What it is for; an earlier one of this owner and name ends.")],
    *,
    scope: ScopeOption = None,
    expires: Annotated[str, typer.Option("--expires", help="When it ends: 90d, 12h, a time, or never.")] = "90d",
    as_json: JsonOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Issue a token and show it, once. A machine's needs scopes; a person's without any may whatever the person may."""
    from radloop.domain.ids import utc_now
    from radloop.ledger import tokens

    if not name.isprintable() or not 0 < len(name.strip()) <= LONGEST_NAME:
        raise Rejected(f"a token's name is 1 to {LONGEST_NAME} printable characters")
    ends = moment_of(expires, utc_now())
    with open_desk(home, token).changing() as change:
        found = entry_of(change, owner)
        scopes = _allowed(found, scope)
        secret = tokens.issue(change.conn, found.actor, name.strip(), scopes, ends)
        held = tokens.held(change.conn, secret)
        if held is None:
            raise Rejected("a disabled actor gets no token")
        change.record("token.issue", "token", held.token_id, f"{found.actor.id}: {told(scopes, ends)}")
    if as_json:
        row = {"id": held.token_id, "owner": owner, "name": name.strip(), "token": secret}
        print_json({**row, "scopes": worded_scopes(scopes), "expires_at": ends.isoformat() if ends else None})
    else:
        say(f"{held.token_id}\ntoken, shown once: {secret}\n{told(scopes, ends)}")


@app.command("list")
def list_tokens(*, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """List the tokens that have not been ended; those whose time is over open nothing."""
    from radloop.ledger import tokens

    with open_desk(home).reading() as conn:
        rows = [_row(one) for one in tokens.known(conn)]
    if as_json:
        print_json(rows)
    else:
        columns = ("id", "owner", "name", "may", "issued", "ends", "used")
        print_table("Tokens", columns, (_cells(row) for row in rows))


@app.command("end")
def end(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="Its id, of `radloop token list`.")],
    *,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """End a token: from now on it opens nothing."""
    from radloop.ledger import tokens

    with open_desk(home, token).changing() as change:
        if not tokens.end(change.conn, token_id):
            raise NotFound("there is no such token, or it has ended")
        change.record("token.end", "token", token_id)
    say(f"{token_id} has ended")


def _allowed(owner: "Entry", asked: "list[Permission] | None") -> "frozenset[Permission] | None":
    if owner.actor.kind is ActorKind.MACHINE:
        if not asked:
            raise Rejected("a machine's token needs scopes: --scope")
        return frozenset(asked)
    beyond = frozenset(asked or ()) - granted(owner.roles)
    if beyond:
        raise Rejected(f"its owner may not {', '.join(sorted(beyond))}")
    return frozenset(asked) if asked else None


def _row(one: "Token") -> dict[str, object]:
    return {
        "id": one.id,
        "owner": one.owner,
        "name": one.name,
        "scopes": worded_scopes(one.scopes),
        "at": one.at.isoformat(),
        "expires_at": one.expires_at.isoformat() if one.expires_at else None,
        "used_at": one.used_at.isoformat() if one.used_at else None,
    }


def _cells(row: dict[str, object]) -> "Sequence[object]":
    scopes = row["scopes"]
    may = ", ".join(scopes) if isinstance(scopes, list) else "what its owner may"
    return (
        *(row[key] for key in ("id", "owner", "name")),
        may,
        row["at"],
        row["expires_at"] or "never",
        row["used_at"],
    )
