"""`radloop audit`: the record of who did what. Whether it is sound, and taking it out."""

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radloop.domain.errors import IntegrityError, Rejected, StorageFull
from serving.cli.desk import Desk, HomeOption, JsonOption, TokenOption, open_desk
from serving.cli.output import print_json, say

if TYPE_CHECKING:
    from radloop.audit import Verdict
    from radloop.ledger.audit_log import Selection

app = typer.Typer(help="The record of who did what.", no_args_is_help=True)


class ExportForm(StrEnum):
    """What an export is written as."""

    CSV = "csv"
    FHIR = "fhir"
    ATNA = "atna"


@app.command("verify")
def verify_audit(
    *,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            help="Also hold it against the audit messages in this file: what the audit server kept, or an export.",
            metavar="FILE",
        ),
    ] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Walk the whole record: any edit, deletion, reorder or cut is found. Exit code 5 where there is one."""
    verdict = _verified(open_desk(home), against)
    if as_json:
        print_json(
            {"sound": verdict.sound, "sealed": verdict.sealed, "waiting": verdict.waiting, "fault": verdict.fault}
        )
    else:
        say(f"{verdict.sealed} records hold, {verdict.waiting} wait for the sealer")
    if not verdict.sound:
        raise IntegrityError(f"the audit was changed: {verdict.fault}")


@app.command("export")
def export(
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Into this file.", metavar="FILE")],
    form: Annotated[
        ExportForm, typer.Option("--format", help="csv; fhir: R4B AuditEvents; atna: audit messages of DICOM PS3.15.")
    ] = ExportForm.CSV,
    since: Annotated[
        str | None, typer.Option("--since", help="From this time on: 30d, 12h or 2026-05-01T08:00.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="Before this time.")] = None,
    actor: Annotated[str | None, typer.Option("--actor", help="Only what this actor did.")] = None,
    action: Annotated[
        str | None, typer.Option("--action", help='Only this action, or those below it: "view" has "view.study".')
    ] = None,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Take records out. That somebody did is on record before the first of them leaves."""
    from flows.audit_exporting import Form, export_audit
    from radloop.ledger.audit_log import Selection
    from serving.cli.reports import house_of

    desk = open_desk(home, token)
    who = desk.actor()
    chosen = _within(Selection(actor=actor, action=action), since, until)
    with house_of(desk) as house:
        size = _write(output, export_audit(house, chosen, Form(form.value), who.name))
    say(f"{output}: {size} bytes")


def _within(selection: "Selection", since: str | None, until: str | None) -> "Selection":
    from dataclasses import replace

    from radloop.domain.ids import utc_now
    from serving.cli.moments import since as moment

    now = utc_now()
    begin, end = (moment(text, now) if text else None for text in (since, until))
    if begin and end and begin >= end:
        raise Rejected("--until is not later than --since")
    return replace(selection, since=begin, until=end)


def _write(output: Path, pieces: Iterable[bytes]) -> int:
    """Into a file that is there once it is whole."""
    partial = output.with_name(output.name + ".part")
    try:
        with partial.open("wb") as file:
            for piece in pieces:
                file.write(piece)
            size = file.tell()
        partial.replace(output)
    except OSError as error:
        raise StorageFull(f"{output} cannot be written: {type(error).__name__}") from None
    finally:
        partial.unlink(missing_ok=True)
    return size


def _verified(desk: Desk, against: Path | None) -> "Verdict":
    from flows import audit_verifying

    kept = _kept(against) if against is not None else {}
    return audit_verifying.verify_audit(desk.ledger, desk.keyring.audit_key, desk.settings.audit_anchor, kept)


def _kept(path: Path) -> dict[int, bytes]:
    from radloop.audit.atna import witnessed

    try:
        with path.open("rb") as file:
            found = witnessed(file)
    except OSError as error:
        raise Rejected(f"--against {path}: cannot be read: {type(error).__name__}") from None
    if not found:
        raise Rejected(f"--against {path}: holds no sealed audit message")
    return found
