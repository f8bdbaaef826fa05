"""`radloop send`: a C-STORE client with a progress bar."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radloop.domain.errors import NotFound, RadloopError, Rejected, SettingsError, Unavailable
from serving.cli.desk import HomeOption, JsonOption, open_desk
from serving.cli.output import complain, print_json, say

if TYPE_CHECKING:
    from integrations.dimse import FileOutcome
    from radloop.settings import Peer, Settings, Tls

SHOWN_FAILURES = 20


def send(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders.", exists=True, metavar="PATH...")],
    *,
    to: Annotated[
        str | None, typer.Option("--to", help="HOST:PORT or the name of a peer; else our own gateway.")
    ] = None,
    aet: Annotated[str | None, typer.Option("--aet", help="Our AE title; else that of a peer on this machine.")] = None,
    aec: Annotated[str | None, typer.Option("--aec", help="The AE title that is called.")] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Send DICOM files by C-STORE. Exit code 1 where a file was not taken."""
    from integrations.dimse import files_under

    settings = open_desk(home).settings
    files = files_under(paths)
    if not files:
        raise NotFound("there is no file under these paths")
    outcomes = send_with_progress(destination(settings, to, aec), files, aet or calling(settings), quiet=as_json)
    _report(outcomes, as_json=as_json)


def send_with_progress(peer: "Peer", files: Sequence[Path], ae_title: str, *, quiet: bool) -> "list[FileOutcome]":
    """Send, with a bar on stderr; every file with its outcome."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from integrations.dimse import send_files

    columns = (TextColumn("sending"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    outcomes = []
    with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as progress:
        task = progress.add_task("send", total=len(files))
        for outcome in send_files(peer, files, ae_title):
            outcomes.append(outcome)
            progress.advance(task)
    return outcomes


def destination(settings: "Settings", to: str | None, aec: str | None) -> "Peer":
    """Where to send: a peer by its name, an address, or our own gateway."""
    if to is None:
        ours = _peer("radloop", settings.gateway.host, gateway_port(settings), aec or settings.gateway.ae_title)
        return ours.model_copy(update={"tls": _towards_ourselves(settings.gateway.tls)})
    if to in settings.peers:
        known = settings.peers[to]
        if not (known.host and known.port):
            raise SettingsError(f"--to {to}: [peers.{to}] has no host and port to send to")
        return known if aec is None else known.model_copy(update={"ae_title": aec})
    if not (address := re.fullmatch(r"\[?(.+?)\]?:([0-9]{1,5})", to)):
        raise SettingsError(f"--to {to}: expected HOST:PORT or the name of a peer")
    return _peer("destination", address[1], int(address[2]), aec or "ANY-SCP")


def gateway_port(settings: "Settings") -> int:
    """Our own DICOM port, as the running gateway says.

    Raises:
        Unavailable: the port is free to choose (0) and no gateway runs.
    """
    from radloop.process import announced

    if settings.gateway.dicom_port:
        return settings.gateway.dicom_port
    if (said := announced(settings.home, "gateway")) and said.port:
        return said.port
    raise Unavailable("the gateway is not running: radloop up --wait")


def calling(settings: "Settings") -> str:
    """The AE title that we send under: that of `[peers.local]`, or of another source on this machine."""
    sources = [peer for peer in settings.peers.values() if "source" in peer.roles and peer.ae_title]
    here = [peer for peer in sources if peer.host in ("127.0.0.1", "localhost", "::1", settings.gateway.host)]
    chosen = settings.peers.get("local") or next(iter(here), None)
    return (chosen.ae_title if chosen else None) or settings.gateway.ae_title


def _peer(name: str, host: str, port: int, ae_title: str) -> "Peer":
    from radloop.domain.enums import PeerRole
    from radloop.settings import Peer

    reachable = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not bound to
    return Peer(name=name, roles=(PeerRole.RESULTS,), ae_title=ae_title, host=reachable, port=port)


def _towards_ourselves(tls: "Tls | None") -> "Tls | None":
    """Our own gateway is whoever shows our own certificate, whatever host that names; we show it too."""
    return None if tls is None else tls.model_copy(update={"ca": tls.certificate})


def _report(outcomes: "list[FileOutcome]", *, as_json: bool) -> None:
    failed = [outcome for outcome in outcomes if isinstance(outcome.outcome, RadloopError)]
    if as_json:
        print_json([_row(outcome) for outcome in outcomes])
    else:
        for outcome in failed[:SHOWN_FAILURES]:
            complain(f"{outcome.path}: {outcome.outcome}")
        say(f"{len(outcomes) - len(failed)} of {len(outcomes)} files taken")
    if not failed:
        return
    if all(isinstance(outcome.outcome, Unavailable) for outcome in failed):
        raise Unavailable(f"{len(failed)} files were not taken: {failed[0].outcome}")
    raise Rejected(f"{len(failed)} files were not taken")


def _row(outcome: "FileOutcome") -> dict[str, object]:
    error = outcome.outcome if isinstance(outcome.outcome, RadloopError) else None
    return {
        "path": str(outcome.path),
        "accepted": error is None,
        "warnings": [] if isinstance(outcome.outcome, RadloopError) else list(outcome.outcome.warnings),
        "error": str(error) if error else None,
    }
