"""`radloop studies` and `radloop show`."""

from typing import TYPE_CHECKING, Annotated

import typer

from radloop.domain.enums import Standing
from radloop.domain.errors import NotFound
from radloop.domain.ids import utc_now
from serving.cli.desk import HomeOption, JsonOption, open_desk
from serving.cli.moments import since as moment
from serving.cli.output import print_json, print_table, say, shown

if TYPE_CHECKING:
    from radloop.ledger.reports import FindingRow, ResultRow, StudyRow

SinceOption = Annotated[str | None, typer.Option("--since", help="1d, 12h, or a time.", metavar="WHEN")]


def studies(
    *,
    limit: Annotated[int | None, typer.Option("--limit", help="At most so many.", min=1)] = None,
    since: SinceOption = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """List the studies, the newest first: state, findings, deliveries."""
    from radloop.ledger import reports

    after = moment(since, utc_now()) if since else None
    with open_desk(home).reading() as conn:
        rows = reports.study_rows(conn, limit, after)
    if as_json:
        print_json(rows)
        return
    columns = ("study", "v", "state", "urgency", "received", "n", "answer", "deliveries")
    print_table("Studies", columns, (_line(row) for row in rows))


def show(
    study_uid: Annotated[str, typer.Argument(help="Study Instance UID.")],
    *,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Show one study: evidence, results with every finding, deliveries."""
    from radloop.ledger import reports

    with open_desk(home).reading() as conn:
        row = reports.study_row(conn, study_uid)
    if row is None:
        raise NotFound("there is no such study")
    if as_json:
        print_json(row)
    else:
        _print(row)


def answer_of(row: "StudyRow") -> str:
    """The study's answer in a few words: the findings at or above their threshold, or why there is none.

    What a version says silently is no answer.
    """
    aloud = [result for result in row["results"] if result["standing"] == Standing.CHAMPION]
    return "; ".join(_result_words(result) for result in aloud) or (row["reason"] or "")


def finding_words(finding: "FindingRow") -> str:
    """One finding: name, probability, urgency."""
    return f"{finding['label']} {finding['probability']:.2f} {finding['urgency']}"


def _result_words(result: "ResultRow") -> str:
    if result["status"] != "OK":
        return f"{result['model']}: {result['status']} ({result['reason']})"
    positive = [finding_words(f) for f in result["findings"] if f["probability"] >= f["threshold"]]
    return f"{result['model']}: {', '.join(positive) or 'nothing above threshold'}"


def _line(row: "StudyRow") -> tuple[object, ...]:
    sent = sum(1 for delivery in row["deliveries"] if delivery["state"] in ("ACCEPTED", "COMMITTED"))
    return (
        row["study_uid"],
        row["version"],
        row["state"],
        row["urgency"],
        row["received_at"],
        row["instances"],
        answer_of(row),
        f"{sent}/{len(row['deliveries'])}",
    )


def _print(row: "StudyRow") -> None:
    evidence = row["evidence"]
    say(f"study {row['study_uid']}, version {row['version']} ({row['id']}), {row['instances']} instances")
    say(f"state {row['state']}" + (f": {row['reason']}" if row["reason"] else "") + f", urgency {row['urgency']}")
    counted = f" ({evidence['expected']} expected, {evidence['missing']} missing)" if evidence["expected"] else ""
    say(f"whole by {evidence['signal']}{counted}" if evidence["signal"] else "not known to be whole")
    moments = (("received", row["received_at"]), ("complete", row["completed_at"]), ("answered", row["answered_at"]))
    say(", ".join(f"{word} {shown(at)}" for word, at in moments if at))
    for result in row["results"]:
        _print_result(result)
    columns = ("peer", "kind", "state", "attempts", "accepted", "error")
    lines = ((d["peer"], d["kind"], d["state"], d["attempts"], d["accepted_at"], d["error"]) for d in row["deliveries"])
    print_table("Deliveries", columns, lines)


def _print_result(result: "ResultRow") -> None:
    title = (
        f"{result['model']} {result['version']} ({result['qualification']}, {result['standing']}), "
        f"digest {result['digest'][:12]}: {result['status']}" + (f", {result['reason']}" if result["reason"] else "")
    )
    columns = ("finding", "probability", "threshold", "severity", "urgency", "location", "side")
    print_table(title, columns, (_finding_line(finding) for finding in result["findings"]))
    for note in result["quality"]:
        say(f"  {note['outcome']} {note['check']}: {note['detail']}")


def _finding_line(finding: "FindingRow") -> tuple[object, ...]:
    return (
        finding["label"],
        f"{finding['probability']:.4f}",
        finding["threshold"],
        finding["severity"],
        finding["urgency"],
        finding["location"]["meaning"] if finding["location"] else None,
        finding["laterality"],
    )
