"""`radloop demo`: the whole loop on phantoms, from a C-STORE to the answers at PACS, RIS and EHR."""

import re
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from radloop.domain.errors import RadloopError, Unavailable
from serving.cli.demo_stage import SENDER, Folders, Phantom, draw, stand_ins, write_settings
from serving.cli.desk import Desk, open_desk
from serving.cli.output import print_table, say

if TYPE_CHECKING:
    from radloop.ledger.reports import StudyRow

THROUGH: Final = ("ACCEPTED", "COMMITTED")
SETTLED: Final = (*THROUGH, "PARKED", "DROPPED")
POLL_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Sent:
    """A phantom on its way, and when its last image was acknowledged."""

    phantom: Phantom
    at: datetime


def demo(
    *,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Where to work, empty or new; else a new one.")
    ] = None,
    seconds: Annotated[
        float, typer.Option("--timeout", help="Seconds to wait for the answers at most.", min=1)
    ] = 180.0,
) -> None:
    """Show the whole loop on phantoms: sends studies, waits for the answers, prints them, leaves nothing running."""
    from radloop import logs

    logs.configure("demo")
    folders = Folders(_empty(folder))
    say(f"demo in {folders.root}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.default_int_handler)
    with stand_ins(folders.peers) as ports:
        say("stand-ins of our own, no real systems: " + ", ".join(f"{n.upper()} on {p}" for n, p in ports.items()))
        write_settings(folders.home, ports)
        desk = open_desk(folders.home)
        with running(desk):
            rows, sent = play(desk, folders, seconds)
    conclude(folders, rows, sent)


def _empty(folder: Path | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="radloop-demo-"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise RadloopError(f"{folder} is not empty")
    return folder.absolute()


@contextmanager
def running(desk: Desk) -> Iterator[None]:
    """radloop, up and ready for studies; down at the end, whatever happens."""
    from serving.cli.setup import prepare
    from serving.supervisor import control

    prepare(desk)
    try:
        control.start(desk.home, "--tied")
        with spinner("starting") as tell:
            _await_ready(desk, tell)
        yield
    finally:
        say("stopping everything")
        control.stop(desk.home)


def _await_ready(desk: Desk, tell: Callable[[str], None]) -> None:
    from serving.supervisor import control

    for entries in control.watch(desk.home, 180.0):
        tell("starting: " + ", ".join(f"{entry.name} {entry.state.lower()}" for entry in entries))
        if control.is_ready(entries):
            return
    lost = [entry.name for entry in entries if entry.essential and not control.is_ready((entry,))]
    tails = "\n".join(f"--- {name}.log\n{control.tail(desk.home, name)}" for name in lost)
    raise Unavailable(f"not ready: {', '.join(lost) or 'the supervisor'}\n{tails}")


@contextmanager
def spinner(text: str) -> Iterator[Callable[[str], None]]:
    """A line that says what is under way, and is gone afterwards."""
    from rich.console import Console

    with Console(stderr=True).status(text) as status:
        yield status.update


def play(desk: Desk, folders: Folders, seconds: float) -> "tuple[list[StudyRow], list[Sent]]":
    """Send the phantoms and wait for their answers; the rows, and when each study was sent."""
    say("drawing phantoms")
    phantoms = draw(folders.sent)
    say(f"sending {len(phantoms)} studies by C-STORE")
    sent = [_send(desk, phantom) for phantom in phantoms]
    with spinner("waiting for answers") as tell:
        rows = _await_answers(desk, sent, time.monotonic() + seconds, tell)
    return rows, sent


def _send(desk: Desk, phantom: Phantom) -> Sent:
    from radloop.domain.ids import utc_now
    from serving.cli.transfer import destination, send_with_progress

    outcomes = send_with_progress(destination(desk.settings, None, None), phantom.files, SENDER, quiet=False)
    for outcome in outcomes:
        if isinstance(outcome.outcome, RadloopError):
            raise outcome.outcome
    say(f"  {phantom.label}: {len(outcomes)} images acknowledged")
    return Sent(phantom, utc_now())


def _await_answers(desk: Desk, sent: Sequence[Sent], deadline: float, tell: Callable[[str], None]) -> "list[StudyRow]":
    while True:
        rows = _rows(desk, sent)
        answered = [row for row in rows if row["state"] == "ANSWERED"]
        states = [delivery["state"] for row in rows for delivery in row["deliveries"]]
        settled = sum(state in SETTLED for state in states)
        tell(f"{len(answered)} of {len(sent)} studies answered, {settled} of {len(states)} deliveries through")
        if (len(answered) == len(sent) and settled == len(states)) or time.monotonic() > deadline:
            return rows
        time.sleep(POLL_SECONDS)


def _rows(desk: Desk, sent: Sequence[Sent]) -> "list[StudyRow]":
    from radloop.ledger import reports

    with desk.reading() as conn:
        found = [reports.study_row(conn, one.phantom.study_uid) for one in sent]
    return [row for row in found if row is not None]


def conclude(folders: Folders, rows: "list[StudyRow]", sent: Sequence[Sent]) -> None:
    """Print the table and where to look; an error where something did not come through.

    Raises:
        Unavailable: a study was not answered, or a delivery not taken, in time.
    """
    from serving.cli.demo_exhibits import exhibit

    by_uid = {row["study_uid"]: row for row in rows}
    columns = ("study", "model", "findings (probability, urgency)", "seconds", "deliveries")
    print_table("Answers", columns, (_line(one, by_uid.get(one.phantom.study_uid)) for one in sent))
    labels = {one.phantom.study_uid: "-".join(re.findall(r"\w+", one.phantom.label)) for one in sent}
    shown = exhibit(folders, labels)
    say(f"pictures: {folders.pictures} ({shown.pictures} PNG, from the secondary captures that the PACS stand-in got)")
    say(
        f"reports:  {folders.reports} ({shown.structured_reports} SR as text, {shown.messages} HL7 messages, "
        f"{shown.diagnostic_reports} DiagnosticReports)"
    )
    say(f"logs:     {folders.home / 'logs'}")
    if not all(_is_through(by_uid.get(one.phantom.study_uid)) for one in sent):
        raise Unavailable("not every study was answered and delivered in time")


def _is_through(row: "StudyRow | None") -> bool:
    return row is not None and row["state"] == "ANSWERED" and all(d["state"] in THROUGH for d in row["deliveries"])


def _line(one: Sent, row: "StudyRow | None") -> tuple[object, ...]:
    if row is None:
        return one.phantom.label, "", "did not arrive", "", ""
    models = "\n".join(f"{result['model']} {result['version']}" for result in row["results"])
    return one.phantom.label, models, _findings(row), _seconds(one, row), _deliveries(row)


def _findings(row: "StudyRow") -> str:
    from serving.cli.studies import finding_words

    said = [finding_words(f) for result in row["results"] for f in result["findings"]]
    said += [f"{result['status']}: {result['reason']}" for result in row["results"] if result["status"] != "OK"]
    return "\n".join(said) or (row["reason"] or row["state"])


def _seconds(one: Sent, row: "StudyRow") -> str:
    if row["answered_at"] is None:
        return ""
    return f"{(datetime.fromisoformat(row['answered_at']) - one.at).total_seconds():.1f}"


def _deliveries(row: "StudyRow") -> str:
    asked = Counter(delivery["peer"] for delivery in row["deliveries"])
    through = Counter(delivery["peer"] for delivery in row["deliveries"] if delivery["state"] in THROUGH)
    kinds = {
        peer: "+".join(d["kind"].replace("DIAGNOSTIC_REPORT", "report") for d in row["deliveries"] if d["peer"] == peer)
        for peer in asked
    }
    return "\n".join(f"{peer} {through[peer]}/{asked[peer]} {kinds[peer]}" for peer in sorted(asked))
