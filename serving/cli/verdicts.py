"""`radloop verdict`, `radloop signoff` and `radloop overrides`: what readers say of the models' answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from radloop.domain.enums import Awareness, Laterality, Severity, StudyState, VerdictKind, VerdictSource
from radloop.domain.errors import NotFound, SettingsError
from radloop.domain.ids import new_id, utc_now
from radloop.domain.records import Code, SignOff, Verdict
from serving.cli.desk import Desk, HomeOption, JsonOption, TokenOption, open_desk
from serving.cli.moments import since as moment
from serving.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from flows.house import House
    from radloop.domain.records import StudyVersion

LONGEST_TEXT = 64 * 1024
CALLS = {"True": "there", "False": "not there", "None": "nothing"}
_THANKS = {
    True: "the override is recorded. Thank you: the model can learn from it.",
    False: "recorded. Thank you.",
}


class Kind(StrEnum):
    """What a reader says, as a person types it."""

    CONFIRM = "confirm"
    REJECT = "reject"
    MODIFY = "modify"
    ADD = "add"


class Seen(StrEnum):
    """Whether the reader had seen the AI, as a person types it."""

    BLINDED = "blinded"
    SAW_AI = "saw-ai"
    CORRECTED = "corrected"


class Degree(StrEnum):
    """How bad it is, as a person types it."""

    MILD = "mild"
    MODERATE = "moderate"
    SEVERE = "severe"


class Side(StrEnum):
    """Where it is, as a person types it."""

    LEFT = "left"
    RIGHT = "right"
    BILATERAL = "bilateral"


ReaderOption = Annotated[str | None, typer.Option("--reader", help="Who read; else who runs this.")]
TextOption = Annotated[
    typer.FileText | None, typer.Option("--text-file", help="The reader's own words; - for standard input.")
]


def verdict(
    result_id: Annotated[str, typer.Argument(help="Id of a result, as `radloop show --json` has it.")],
    *,
    kind: Annotated[Kind, typer.Option("--kind", help="What the reader says of the finding.")],
    finding: Annotated[str, typer.Option("--finding", help="The model's name of it; none for an addition.")] = "",
    awareness: Annotated[Seen, typer.Option("--awareness", help="Whether the reader had seen the AI.")] = Seen.SAW_AI,
    code: Annotated[str | None, typer.Option("--code", help="What it is, VALUE^SCHEME^MEANING.")] = None,
    severity: Annotated[Degree | None, typer.Option("--severity", help="How bad it is.")] = None,
    laterality: Annotated[Side | None, typer.Option("--laterality", help="On which side it is.")] = None,
    text_file: TextOption = None,
    reader: ReaderOption = None,
    key: Annotated[str | None, typer.Option("--id", help="Names this verdict: entered twice, it is one.")] = None,
    as_json: JsonOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Enter a reader's verdict on one finding of a result. Nothing that was sent is changed by it."""
    from flows.verdicts import Entry, enter_once

    with at_home(open_desk(home, token)) as (house, actor):
        entry = Entry(
            result_id=result_id,
            target=finding,
            kind=VerdictKind[kind.name],
            reader=reader or actor,
            actor=actor,
            at=utc_now(),
            awareness=Awareness[awareness.name],
            source=VerdictSource.COMMAND_LINE,
            source_id=key or new_id("cl"),
            text=_words(text_file),
            code=_code(code),
            severity=Severity[severity.name] if severity else None,
            laterality=Laterality[laterality.name] if laterality else None,
        )
        entered = enter_once(house, entry)
    if as_json:
        print_json({"id": entered.verdict.id, "new": entered.new, "override": entered.override})
    else:
        say(
            f"{entered.verdict.id}: {_THANKS[entered.override]}"
            + ("" if entered.new else " (It was on record already.)")
        )


def signoff(
    study_uid: Annotated[str, typer.Argument(help="Study Instance UID.")],
    *,
    conclusion_file: Annotated[
        typer.FileText | None, typer.Option("--conclusion-file", help="The reader's conclusion; - for standard input.")
    ] = None,
    reader: ReaderOption = None,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Close the newest version of a study that a model read; the final report goes to peers that get them over FHIR."""
    from flows.signing_off import sign_off_once

    with at_home(open_desk(home, token)) as (house, actor):
        with house.ledger.read() as conn:
            version = _to_close(conn, study_uid)
        closed = sign_off_once(
            house,
            SignOff(
                version_id=version.id,
                reader=reader or actor,
                actor=actor,
                at=utc_now(),
                source=VerdictSource.COMMAND_LINE,
                conclusion=_words(conclusion_file),
            ),
        )
    say(f"{version.id}: signed off by {closed.signoff.reader}" + ("" if closed.new else " (It was already.)"))


def overrides(
    *,
    since: Annotated[str | None, typer.Option("--since", help="1d, 12h, or a time.", metavar="WHEN")] = None,
    limit: Annotated[int | None, typer.Option("--limit", help="At most so many.", min=1)] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """List the verdicts that disagree with a model, the newest first."""
    from radloop.ledger import verdicts

    after = moment(since, utc_now()) if since else None
    with open_desk(home).reading() as conn:
        rows = [_override(conn, one) for one in verdicts.overrides(conn, after, limit)]
    if as_json:
        print_json(rows)
        return
    columns = ("study", "v", "model", "finding", "model's call", "verdict", "reader", "awareness", "at")
    print_table("Overrides", columns, (_line(row) for row in rows))


def unmatched(
    *,
    limit: Annotated[int | None, typer.Option("--limit", help="At most so many.", min=1)] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """List the reports and assessments of which no verdict could be made, and why, the newest first."""
    from radloop.ledger import unmatched as rows_of

    with open_desk(home).reading() as conn:
        rows = [
            {"id": one.id, "version": one.version_id, "peer": one.peer, "reason": one.reason, "at": one.at.isoformat()}
            for one in rows_of.latest(conn, limit)
        ]
    if as_json:
        print_json(rows)
        return
    print_table("Unmatched", ("id", "study version", "peer", "why", "at"), [tuple(row.values()) for row in rows])


@contextmanager
def at_home(desk: Desk) -> "Iterator[tuple[House, str]]":
    """The house of this home, and the name of whoever runs the command."""
    import asyncio

    from flows.house import open_house

    actor = desk.actor().name
    house = open_house(desk.settings)
    try:
        yield house, actor
    finally:
        asyncio.run(house.http.aclose())
        house.ledger.close()


def _to_close(conn: "Connection", study_uid: str) -> "StudyVersion":
    """The newest version; where that brought nothing to read (a reader's own report), the newest that a model read."""
    from radloop.ledger import references, studies

    newest = studies.latest_of(conn, study_uid)
    if newest is None:
        raise NotFound("there is no such study")
    whole = newest.state in (StudyState.ANSWERED, StudyState.SIGNED)
    return (references.read_version(conn, newest.study_id) if whole else None) or newest


def _words(file: TextIO | None) -> str:
    text = file.read(LONGEST_TEXT + 1) if file else ""
    if len(text) > LONGEST_TEXT:
        raise SettingsError(f"the text is longer than {LONGEST_TEXT} characters")
    return text.strip()


def _code(text: str | None) -> Code | None:
    if text is None:
        return None
    parts = text.split("^")
    if len(parts) != 3:
        raise SettingsError("--code: expected VALUE^SCHEME^MEANING, e.g. 36118008^SCT^Pneumothorax")
    return Code(*parts)


def _override(conn: "Connection", said: Verdict) -> dict[str, object]:
    from radloop.ledger import results, studies

    result, version = results.get(conn, said.result_id), studies.get(conn, said.version_id)
    finding = next((one for one in (result.findings if result else ()) if one.target == said.target), None)
    return {
        "id": said.id,
        "study_uid": version.study_uid if version else None,
        "version": version.number if version else None,
        "result": said.result_id,
        "model": result.model.name if result else None,
        "model_version": result.model.version if result else None,
        "finding": said.target or (said.code.meaning if said.code else ""),
        "probability": finding.probability if finding else None,
        "threshold": finding.threshold if finding else None,
        "called": finding.positive if finding else None,
        "verdict": said.kind,
        "reader": said.reader,
        "awareness": said.awareness,
        "source": said.source,
        "at": said.at.isoformat(),
    }


def _line(row: dict[str, object]) -> tuple[object, ...]:
    said = CALLS[str(row["called"])]
    probability = row["probability"]
    call = f"{said} ({probability:.2f})" if isinstance(probability, float) else said
    return (
        *(row["study_uid"], row["version"], f"{row['model']} {row['model_version']}", row["finding"], call),
        *(row["verdict"], row["reader"], row["awareness"], row["at"]),
    )
