"""`radloop report` and `radloop roi`: audits of a period, their reports and exports, and the business case."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from radloop.domain.errors import Rejected, SettingsError
from serving.cli.desk import Desk, HomeOption, JsonOption, TokenOption, open_desk
from serving.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from datetime import datetime

    from flows.audits.business import Business
    from flows.audits.disagreement import ReaderPage
    from flows.audits.period import Period
    from flows.house import House
    from radloop.ledger.audit_reports import AuditReport

app = typer.Typer(
    help="Audits: what a period's signed studies say of the models. Reports, exports.", no_args_is_help=True
)

ModelOption = Annotated[str, typer.Option("--model", help="Only this model (default: all).")]
DaysOption = Annotated[float, typer.Option("--days", help="The days up to --to.", min=0.01)]
FromOption = Annotated[
    str | None, typer.Option("--from", help="Instead of --days: from this time on, e.g. 2026-01-01 or 30d.")
]
ToOption = Annotated[str | None, typer.Option("--to", help="Before this time (default: now).")]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="Into this file.", metavar="FILE")]
QUARTER: Final = 90.0


class ReportFile(StrEnum):
    """What a report is kept as."""

    HTML = "html"
    PDF = "pdf"
    DATA = "data"
    MANIFEST = "manifest"


FILES: Final = {ReportFile.HTML: "report.html", ReportFile.PDF: "report.pdf", ReportFile.DATA: "data.json"}


class ExportFormat(StrEnum):
    """What other registers ask for."""

    ACR_CSV = "acr-csv"
    ACR_FHIR = "acr-fhir"
    AI_ACT = "ai-act"


@app.command("run")
def run_report(
    *,
    model: ModelOption = "",
    days: DaysOption = QUARTER,
    start: FromOption = None,
    end: ToOption = None,
    as_json: JsonOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Audit a period, and keep the signed report of it."""
    from flows.audits.keeping import make

    desk = open_desk(home, token)
    actor = desk.actor()
    with house_of(desk) as house:
        report = make(house, period_of(days, start, end), actor.name, model)
    if as_json:
        print_json(_row(report))
    else:
        say(f"{report.id}, digest {report.digest}")
        say(f"read it: radloop report show {report.id} --format pdf -o report.pdf")


@app.command("list")
def list_reports(
    *,
    limit: Annotated[int | None, typer.Option("--limit", help="At most so many.", min=1)] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """List the reports, the newest first."""
    from radloop.ledger import audit_reports

    with open_desk(home).reading() as conn:
        rows = [_row(report) for report in audit_reports.known(conn, limit)]
    if as_json:
        print_json(rows)
    else:
        columns = ("id", "model", "from", "to", "by", "at", "digest")
        print_table("Audit reports", columns, (tuple(row[name] for name in COLUMNS) for row in rows))


@app.command("show")
def show_report(
    report: Annotated[str, typer.Argument(help="The report's id.")],
    *,
    file: Annotated[ReportFile, typer.Option("--format", help="Which of its files.")] = ReportFile.DATA,
    output: OutputOption = None,
    home: HomeOption = None,
) -> None:
    """Give out one file of a report, once it was checked against the digest."""
    from flows.audits.keeping import content, verify

    if output is None and file is ReportFile.PDF:
        raise Rejected("a PDF is no text for a terminal: name a file with -o")
    with house_of(open_desk(home)) as house:
        found = verify(house, report)
        data = found.manifest.encode() if file is ReportFile.MANIFEST else content(house, found, FILES[file])
    _give(data, output)


@app.command("verify")
def verify_report(
    report: Annotated[str, typer.Argument(help="The report's id.")],
    *,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Hold a report's files against its digest, and the digest against the site's signature. Exit code 5: changed."""
    from flows.audits.keeping import verify

    with house_of(open_desk(home)) as house:
        found = verify(house, report)
    if as_json:
        print_json({**_row(found), "sound": True})
    else:
        say(f"{found.id} is as it was signed: {len(found.files)} files, digest {found.digest}")


@app.command("save")
def save_report(
    report: Annotated[str, typer.Argument(help="The report's id.")],
    folder: Annotated[Path, typer.Argument(help="Where to; made where there is none.")],
    *,
    home: HomeOption = None,
) -> None:
    """Write a report with its manifest and signature into a folder, to be checked anywhere."""
    from flows.audits.keeping import save

    with house_of(open_desk(home)) as house:
        written = save(house, report, folder)
    say("\n".join(map(str, written)))


@app.command("readers")
def show_readers(
    *,
    reader: Annotated[str, typer.Option("--reader", help="Whose page (default: your own; a lead reader: all).")] = "",
    model: ModelOption = "",
    days: DaysOption = QUARTER,
    start: FromOption = None,
    end: ToOption = None,
    as_json: JsonOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Show a reader what they said, and offer second reads of where they and a model disagree. No ranking."""
    from flows.audits.readers import pages_for

    desk = open_desk(home, token)
    actor = desk.actor()
    with house_of(desk) as house:
        pages = pages_for(house, actor, period_of(days, start, end), reader, model)
    if as_json:
        print_json([_page_row(page) for page in pages])
        return
    if not pages:
        say("no verdicts in this period")
    for page in pages:
        _print_page(page)


@app.command("export")
def export(
    format_: Annotated[ExportFormat, typer.Argument(help="What for.", metavar="FORMAT")],
    *,
    model: ModelOption = "",
    days: DaysOption = QUARTER,
    start: FromOption = None,
    end: ToOption = None,
    identifiers: Annotated[
        bool, typer.Option("--identifiers", help="Study UIDs and accession numbers too: patient data. Not for ai-act.")
    ] = False,
    output: OutputOption = None,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Export a period: acr-csv or acr-fhir (shaped like ACR's Assess-AI), or ai-act (Article 12, JSON Lines)."""
    from flows.audits.exporting import exported

    desk = open_desk(home, token)
    actor = desk.actor()
    with house_of(desk) as house:
        data = exported(house, format_.value, period_of(days, start, end), actor.name, model, identifiers=identifiers)
    _give(data, output)


def roi(
    *,
    model: ModelOption = "",
    days: DaysOption = QUARTER,
    start: FromOption = None,
    end: ToOption = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Reckon the business case of a period from what was measured, at the site's own rates ([roi] of radloop.toml)."""
    from flows.audits.business import business

    with house_of(open_desk(home)) as house:
        case = business(house, period_of(days, start, end), model)
        currency = house.settings.roi.currency
    if as_json:
        print_json(_case_row(case, currency))
    else:
        _print_case(case, currency)
    if case.missing:
        raise SettingsError("the site's rates are missing: [roi] " + ", ".join(case.missing))


def period_of(days: float, start: str | None, end: str | None) -> "Period":
    """The period that the options name.

    Raises:
        SettingsError: what is given is no time.
        Rejected: it ends before it begins.
    """
    from datetime import timedelta

    from flows.audits.period import Period, before
    from radloop.domain.ids import utc_now

    now = utc_now()
    last = now if end is None else _moment("--to", end, now)
    if start is None:
        return before(last, timedelta(days=days))
    return Period(_moment("--from", start, now), last)


def _moment(option: str, text: str, now: "datetime") -> "datetime":
    from serving.cli.moments import since

    try:
        return since(text, now)
    except SettingsError:
        raise SettingsError(f"{option} {text}: expected 30d, 12h or a time like 2026-05-01T08:00") from None


COLUMNS: Final = ("id", "model", "from", "to", "by", "at", "digest")


def _row(report: "AuditReport") -> dict[str, object]:
    return {
        "id": report.id,
        "model": report.model or None,
        "from": report.start.isoformat(timespec="seconds"),
        "to": report.end.isoformat(timespec="seconds"),
        "by": report.actor,
        "at": report.at.isoformat(timespec="seconds"),
        "digest": report.digest,
        "files": {name: {"sha256": blob.sha256, "bytes": blob.size} for name, blob in report.files.items()},
    }


def _give(data: bytes, output: Path | None) -> None:
    if output is None:
        say(data.decode().rstrip("\n"))
    else:
        output.write_bytes(data)


def _page_row(page: "ReaderPage") -> dict[str, object]:
    return {
        "reader": page.reader,
        "verdicts": page.words,
        "counts": {name: dict(counts) for name, counts in page.counts.items()},
        "second_reads": [
            {
                "study_version": one.version_id,
                "model": one.model,
                "version": one.version,
                "finding": one.target,
                "model_called": one.called,
                "probability": one.probability,
                "threshold": one.threshold,
                "verdict": one.kind,
                "awareness": one.awareness,
                "at": one.at.isoformat(timespec="seconds"),
            }
            for one in page.second_reads
        ],
    }


def _print_page(page: "ReaderPage") -> None:
    say(f"{page.reader}: {page.words} verdicts")
    for name, counts in page.counts.items():
        say(f"  {name}: {', '.join(f'{kind.lower()} {n}' for kind, n in counts.items())}")
    rows = (
        (one.version_id, one.target, f"{one.model} {one.version}", _call(one.called, one.probability), one.kind.lower())
        for one in page.second_reads
    )
    columns = ("study version", "finding", "model", "it said", "you said")
    print_table("Offered for a second read", columns, rows)


def _call(called: bool, probability: float) -> str:  # noqa: FBT001 - a word for a cell
    return f"{'there' if called else 'not there'} ({probability:.2f})"


def _case_row(case: "Business", currency: str) -> dict[str, object]:
    return {
        "from": case.period.start.isoformat(timespec="seconds"),
        "to": case.period.end.isoformat(timespec="seconds"),
        "currency": currency or None,
        "assumptions": [
            {"name": one.name, "value": one.value, "unit": one.unit, "source": one.source} for one in case.assumptions
        ],
        "missing": list(case.missing),
        "hours_recovered": case.hours_recovered,
        "worth": case.worth,
        "cost": case.cost,
        "net": case.net,
        "break_even_minutes_per_study": case.break_even_minutes,
    }


def _print_case(case: "Business", currency: str) -> None:
    rows = ((one.name, "-" if one.value is None else one.value, one.unit, one.source) for one in case.assumptions)
    print_table(f"Assumptions, {case.period}", ("what", "value", "unit", "from where"), rows)
    results = (
        ("hours recovered", case.hours_recovered, "h"),
        ("worth", case.worth, currency),
        ("cost of the period", case.cost, currency),
        ("net", case.net, currency),
        ("breaks even at", case.break_even_minutes, "minutes saved per study"),
    )
    print_table("Result", ("what", "value", "unit"), ((name, _amount(value), unit) for name, value, unit in results))
    say("Hours recovered are money only where the site uses them; nothing is projected beyond the period.")


def _amount(value: float | None) -> str:
    return "missing" if value is None else f"{value:,.2f}"


@contextmanager
def house_of(desk: Desk) -> "Iterator[House]":
    """The flows' view of a home, for one command."""
    from flows.house import open_house

    house = open_house(desk.settings)
    try:
        yield house
    finally:
        asyncio.run(house.http.aclose())
        house.ledger.close()
