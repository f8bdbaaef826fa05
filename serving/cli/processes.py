"""`radloop up`, `down` and `status`."""

import os
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from radloop.domain.errors import RadloopError, Unavailable
from serving.cli.desk import Desk, HomeOption, JsonOption, open_desk
from serving.cli.exits import Exit
from serving.cli.output import complain, print_json, print_table, say, shown

if TYPE_CHECKING:
    from flows.stuck import Trouble
    from serving.supervisor.board import Entry

NOT_ENDED = "STOPPED"


def up(
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Return when every process is ready.")] = False,
    seconds: Annotated[float, typer.Option("--timeout", help="Seconds that --wait waits at most.", min=1)] = 120.0,
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay, until SIGTERM or Ctrl-C.")] = False,
    home: HomeOption = None,
) -> None:
    """Start every process; detaches. Logs are under the home, in logs/."""
    from serving.supervisor import control

    desk = open_desk(home)
    check_home(desk)
    if foreground:
        argv = control.command(desk.home)
        os.execv(argv[0], argv)  # noqa: S606 - we become the supervisor, so that one process less stays
    started = control.start(desk.home)
    say(f"radloop is {'starting' if started else 'running already'}; logs: {desk.home / 'logs'}")
    if wait:
        await_ready(desk, seconds)


def check_home(desk: Desk) -> None:
    """Find what would keep every process from starting, now and in one line.

    Raises:
        SettingsError: radloop.toml, the keys, or files of TLS are missing or wrong.
        Unavailable: the ledger cannot be reached.
    """
    from radloop import tls

    _ = desk.keyring
    tls.check(desk.settings)
    for doubt in tls.doubts(desk.settings):
        complain(doubt)
    desk.ledger.upgrade()
    desk.ledger.close()


def await_ready(desk: Desk, seconds: float) -> None:
    """Wait for all processes, with a line for each; end the command where an essential one does not come up."""
    from serving.supervisor import control
    from serving.supervisor.board import ProcessState

    begun, told = time.monotonic(), set[str]()
    entries: tuple[Entry, ...] = ()
    for entries in control.watch(desk.home, seconds):
        for entry in entries:
            if entry.state is ProcessState.READY and entry.name not in told:
                told.add(entry.name)
                say(f"  {entry.name:<10} ready after {time.monotonic() - begun:4.1f} s{_at(entry)}")
    for entry in entries:
        if entry.state is not ProcessState.READY:
            complain(_why_not(desk, entry))
    if not control.is_ready(entries):
        raise Unavailable("not ready" if entries else "the supervisor ended; see logs/supervisor.log")
    say("ready")


def _at(entry: "Entry") -> str:
    return f", port {entry.port}" if entry.port else ""


def _why_not(desk: Desk, entry: "Entry") -> str:
    from serving.supervisor.control import tail

    died = f", died {entry.failures} times (exit code {entry.exit_code})" if entry.failures else ""
    return f"{entry.name} is not ready: {entry.state}{died}; {desk.home}/logs/{entry.name}.log ends with:\n" + tail(
        desk.home, entry.name
    )


def down(*, home: HomeOption = None) -> None:
    """Stop every process and wait until nothing is left."""
    from serving.supervisor import control

    say("radloop is down" if control.stop(open_desk(home).home) else "radloop was not running")


def status(
    *,
    stuck: Annotated[bool, typer.Option("--stuck", help="Only what is stuck, and what to do about it.")] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Show the processes, what is in the ledger, and what is stuck. Exit code 3 where studies are not answered now."""
    from serving.supervisor import control
    from serving.supervisor.board import read_board

    desk = open_desk(home)
    _ = desk.settings
    entries = read_board(desk.home)
    ready = control.is_ready(entries)
    found = _troubles(desk, entries)
    if stuck:
        _show_stuck(found, as_json=as_json)
    elif as_json:
        _print_status(desk, entries, found, ready=ready)
    else:
        _show(desk, entries, *_counted(desk))
        _show_stuck(found, as_json=False)
    if not ready or (stuck and found):
        sys.exit(Exit.NOT_READY)


def _troubles(desk: Desk, entries: "tuple[Entry, ...]") -> "tuple[Trouble, ...]":
    """What the page Operations says, by the same function."""
    from flows import standstill, stuck
    from serving.supervisor.seen import processes_of

    nothing = standstill.Process(name="radloop", state="STOPPED", ready=False, essential=True)
    processes = processes_of(entries) or (nothing,)
    return stuck.troubles(standstill.look(desk.settings, desk.ledger, processes))


def _show_stuck(found: "tuple[Trouble, ...]", *, as_json: bool) -> None:
    from dataclasses import asdict

    from flows import stuck

    if as_json:
        print_json([{**asdict(one), "since": one.since.isoformat() if one.since else None} for one in found])
        return
    say(stuck.verdict(found))
    for number, one in enumerate(found, start=1):
        since = f" (since {shown(one.since.isoformat(timespec='seconds'))} UTC)" if one.since else ""
        say(f"{number}. {one.what}{since}\n   {one.do}")


def _print_status(desk: Desk, entries: "tuple[Entry, ...]", found: "tuple[Trouble, ...]", *, ready: bool) -> None:
    counts, aside = _counted(desk)
    quarantine = None if aside is None else sum(aside.values())
    stuck = [one.what for one in found]
    print_json(
        {"ready": ready, "processes": _rows(desk, entries), "counts": counts, "quarantine": quarantine, "stuck": stuck}
    )


def _rows(desk: Desk, entries: "tuple[Entry, ...]") -> list[dict[str, object]]:
    rows: list[dict[str, object]] = [
        {"name": entry.name, "pid": entry.pid, "state": entry.state, "port": entry.port} for entry in entries
    ]
    return rows + _free_hl7(desk, entries)


def _free_hl7(desk: Desk, entries: "tuple[Entry, ...]") -> list[dict[str, object]]:
    """The HL7 port of the gateway, where it was not set: nobody could know it otherwise."""
    hl7 = _hl7_port(desk, entries)
    if hl7 is None or desk.settings.gateway.hl7_port:
        return []
    gateway = entries[0]
    return [{"name": f"{gateway.name}.hl7", "pid": gateway.pid, "state": gateway.state, "port": hl7}]


def _hl7_port(desk: Desk, entries: "tuple[Entry, ...]") -> int | None:
    from radloop.process import announced

    said = announced(desk.home, f"{entries[0].name}.hl7") if entries else None
    return said.port if said else None


def _counted(desk: Desk) -> tuple[dict[str, dict[str, int]], dict[str, int] | None]:
    """What the ledger counts; nothing where it is away, which is no reason to say nothing of the processes."""
    from radloop.ledger import deliveries, quarantine, studies

    try:
        with desk.reading() as conn:
            counts = {"studies": studies.counts(conn), "deliveries": deliveries.counts(conn)}
            return counts, quarantine.counts(conn)
    except RadloopError as error:
        complain(str(error))
        return {}, None


def _show(
    desk: Desk, entries: "tuple[Entry, ...]", counts: dict[str, dict[str, int]], aside: dict[str, int] | None
) -> None:
    if not entries:
        say("radloop is not running")
    else:
        hl7 = _hl7_port(desk, entries)
        notes = {entries[0].name: f"HL7 {hl7}" if hl7 else ""}
        rows = [(e.name, e.pid, e.state, e.port, notes.get(e.name, "")) for e in entries]
        print_table("Processes", ("name", "pid", "state", "port", ""), rows)
    for title, numbers in {**counts, "quarantine": aside or {}}.items():
        shown = ", ".join(f"{number} {state}" for state, number in numbers.items() if number)
        say(f"{title}: {shown or 'none'}")
