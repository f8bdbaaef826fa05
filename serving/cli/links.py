"""`radloop link`: the key by which the PACS signs its links into the console, and a link for a try."""

from datetime import timedelta
from typing import Annotated

import typer

from radloop.domain.errors import NotFound
from serving.cli.desk import HomeOption, JsonOption, TokenOption, open_desk
from serving.cli.output import print_json, say

app = typer.Typer(help="Links by which the PACS opens a study in the console.", no_args_is_help=True)


@app.command("key")
def show_key(*, as_json: JsonOption = False, token: TokenOption = None, home: HomeOption = None) -> None:
    """Show the key that the PACS signs with (HMAC-SHA256, hexadecimal); it is made the first time."""
    from radloop import links

    desk = open_desk(home, token)
    with desk.changing() as change:
        change.record("link.key", "key", "links")
    key = links.make_key(desk.settings.keys_path / links.KEY_NAME)
    if as_json:
        return print_json({"key": key, "signs": "study=UID&until=UNIX"})
    say(key)
    return say("the PACS opens /open?study=UID&until=UNIX&key=HEX, where HEX signs the text study=UID&until=UNIX")


@app.command("make")
def make_link(
    study: Annotated[str, typer.Argument(help="Our id of a study version.", metavar="STUDY")],
    *,
    minutes: Annotated[float, typer.Option("--minutes", min=1, max=1440, help="How long it is good.")] = 60,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Make a link to a study as the PACS would, for a try. It holds the study's UID: pass it on as patient data."""
    from radloop import links
    from radloop.domain.ids import utc_now
    from radloop.ledger import studies

    desk = open_desk(home, token)
    with desk.changing() as change:
        version = studies.get(change.conn, study)
        if version is None:
            raise NotFound("there is no such study version")
        change.record("link.make", "study_version", study)
    query = links.query_of(
        links.make_key(desk.settings.keys_path / links.KEY_NAME),
        version.study_uid,
        links.expiry(utc_now(), timedelta(minutes=minutes)),
    )
    say(f"{desk.settings.console.url}/open?{query}")
