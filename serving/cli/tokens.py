"""`radloop token`: secrets that open the interfaces, limited to scopes, until they end."""

from typing import TYPE_CHECKING, Annotated

import typer

from serving.cli.access import ScopeOption, moment_of, worded_scopes
from serving.cli.desk import HomeOption, JsonOption, TokenOption, open_desk
from serving.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from radloop.ledger.tokens import Token

app = typer.Typer(help="Tokens of people and machines.", no_args_is_help=True)


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
    from flows import access
    from radloop.domain.ids import utc_now

    ends = moment_of(expires, utc_now())
    desk = open_desk(home, token)
    made = access.issue_token(desk.ledger, desk.actor(), owner, name, scope or (), ends)
    if as_json:
        row = {"id": made.id, "owner": owner, "name": made.name, "token": made.secret}
        print_json({**row, "scopes": worded_scopes(made.scopes), "expires_at": ends.isoformat() if ends else None})
    else:
        say(f"{made.id}\ntoken, shown once: {made.secret}\n{access.told(made.scopes, ends)}")


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
    from flows import access

    desk = open_desk(home, token)
    access.end_token(desk.ledger, desk.actor(), token_id)
    say(f"{token_id} has ended")


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
