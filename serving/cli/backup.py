"""`radloop backup` and `radloop restore`: a home copied while it works, and one made of the copy."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radloop.domain.errors import IntegrityError, SettingsError
from serving.cli.desk import HomeOption, JsonOption, TokenOption, open_desk, system_user
from serving.cli.output import complain, print_json, say
from serving.cli.verdicts import at_home

if TYPE_CHECKING:
    from flows.backup import BackedUp
    from flows.backup_restore import Restored

DirArgument = Annotated[Path, typer.Argument(help="The backup's folder, outside the home.", metavar="DIR")]
REMINDER = (
    "what was deleted after this backup was made is back: `radloop retain --dry-run`, then `radloop retain`, delete "
    "what is due by policy; consent withdrawn, holds set and access taken away since have to be entered again"
)


def backup(
    folder: DirArgument,
    *,
    keys_to: Annotated[
        Path | None, typer.Option("--keys-to", help="Copy the keys too, into this folder: never into the backup's.")
    ] = None,
    as_json: JsonOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Bring a backup up to date, while radloop runs: ledger, stored objects, models, settings.

    Exit code 5 where the store lacks an object that the ledger names: all the rest was copied.
    """
    from flows.backup import back_up

    with at_home(open_desk(home, token)) as (house, actor):
        done = back_up(house, folder.absolute(), keys_to.absolute() if keys_to else None, actor)
    print_json(_backed_up(done)) if as_json else _say_backed_up(done)
    if done.manifest.missing:
        raise IntegrityError(f"{len(done.manifest.missing)} objects that the ledger names are not in the store")


def restore(
    folder: DirArgument,
    *,
    keys: Annotated[Path, typer.Option("--keys", help="The folder of the keys that belong to it.")],
    into: Annotated[
        Path | None, typer.Option("--home", help="The home to make: a folder that is empty or new.")
    ] = None,
    ledger: Annotated[str, typer.Option("--ledger", help="PostgreSQL: URL of an empty database.")] = "",
    check: Annotated[
        bool, typer.Option("--check", help="A test: restore into a temporary folder, verify, remove it.")
    ] = False,
    within: Annotated[Path | None, typer.Option("--in", help="--check: where the temporary folder goes.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a home of a backup: every file, record and object is verified, or nothing is made."""
    from flows.backup_restore import rehearse
    from flows.backup_restore import restore as make

    if check is (into is not None):
        raise SettingsError("either --home NEW, or --check")
    places, who = (folder.absolute(), keys.absolute()), system_user()
    done = make(*places, into.absolute(), who, ledger) if into else rehearse(*places, who, ledger, within)
    print_json(_restored(done)) if as_json else _say_restored(done, kept=not check)


def _backed_up(done: "BackedUp") -> dict[str, object]:
    return {
        "id": done.manifest.id,
        "at": done.manifest.at.isoformat(),
        "objects": done.manifest.blobs,
        "bytes": done.manifest.size,
        "copied": done.copied,
        "missing": list(done.manifest.missing),
        "keys": done.keys,
    }


def _say_backed_up(done: "BackedUp") -> None:
    held = done.manifest
    say(f"{held.id}: {held.blobs} stored objects ({held.size} bytes), {done.copied} copied now")
    if not done.keys:
        complain("the keys were not copied (--keys-to): without them nothing of this backup can be opened")


def _restored(done: "Restored") -> dict[str, object]:
    return {
        "id": done.manifest.id,
        "at": done.manifest.at.isoformat(),
        "home": str(done.home),
        "objects": done.blobs,
        "bytes": done.size,
        "missing": list(done.manifest.missing),
        "studies": done.studies,
        "images": done.images,
        "answers": done.answers,
        "audit_sealed": done.audit.sealed,
        "audit_waiting": done.audit.waiting,
        "set_aside": list(done.moved),
    }


def _say_restored(done: "Restored", *, kept: bool) -> None:
    held = done.manifest
    say(f"{held.id}, made at {held.at.isoformat(timespec='seconds')} by radloop {held.radloop}")
    say(f"{done.studies} studies, {done.images} images, {done.answers} answers")
    say(f"{done.blobs} stored objects ({done.size} bytes), every one opened; {len(held.missing)} were missing then")
    say(f"audit: {done.audit.sealed} records hold, {done.audit.waiting} wait for the sealer")
    if not kept:
        say("this backup can be restored; the test's folder was removed")
        return
    for key in done.moved:
        say(f"radloop.toml: {key} named a place of the home of before, and was set aside")
    say(f"home: {done.home}")
    complain(REMINDER)
