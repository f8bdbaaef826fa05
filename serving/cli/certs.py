"""`radloop certs`: a private authority for trials, and the certificates that it issues (docs/tls.md)."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radloop.domain.errors import NotFound, Rejected
from serving.cli.desk import Desk, HomeOption, JsonOption, TokenOption, open_desk
from serving.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from radloop.certificates import Described, Made

app = typer.Typer(help="TLS for trials: a private authority and its certificates.", no_args_is_help=True)

THIS_HOST = ("localhost", "127.0.0.1", "::1")

HostOption = Annotated[
    list[str] | None, typer.Option("--host", help="A host name or an address that it is for; may be repeated.")
]
RenewOption = Annotated[bool, typer.Option("--renew", help="Replace the one that is there, and its key.")]


@app.command()
def init(
    *, host: HostOption = None, renew: RenewOption = False, token: TokenOption = None, home: HomeOption = None
) -> None:
    """Make the authority and this host's certificate (for localhost, where no --host is given). The authority stays."""
    from radloop.certificates import AUTHORITY, SERVER, Subject, issue, make_authority
    from radloop.domain.ids import utc_now

    desk = _desk(home, token)
    folder = desk.settings.certificates_path
    if not (folder / f"{AUTHORITY}.pem").exists():
        _keep(desk, make_authority(utc_now()))
    if renew or host or not (folder / f"{SERVER}.pem").exists():
        _refuse_twice(folder, SERVER, renew=renew)
        _keep(desk, issue(folder, Subject(name=SERVER, hosts=tuple(host or THIS_HOST)), utc_now()))
    say("next: radloop certs issue NAME for each peer; radloop certs show tells what belongs into radloop.toml")


@app.command("issue")
def issue_one(
    name: Annotated[str, typer.Argument(help="The peer's name in radloop.toml.")],
    *,
    ae_title: Annotated[
        str | None, typer.Option("--ae-title", help="Its AE title: the certificate is for that AE and no other.")
    ] = None,
    host: HostOption = None,
    renew: RenewOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Make a peer's key and certificate. Without --ae-title and --host it is for the peer's name alone."""
    from radloop.certificates import Subject, issue
    from radloop.domain.ids import utc_now

    desk = _desk(home, token)
    folder = desk.settings.certificates_path
    _refuse_twice(folder, name, renew=renew)
    hosts = tuple(host or ()) if host or ae_title else (name,)
    _keep(desk, issue(folder, Subject(name=name, hosts=hosts, ae_title=ae_title), utc_now()))
    say(f"hand {name}.pem, {name}.key and ca.pem of {folder} over to whoever runs {name}")


@app.command()
def show(*, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """List who has a certificate, until when, and its fingerprint; and what belongs into radloop.toml."""
    from radloop.certificates import listed

    folder = open_desk(home).settings.certificates_path
    found = listed(folder)
    if not found:
        raise NotFound(f"there is nothing in {folder}: radloop certs init")
    if as_json:
        print_json([_row(one) for one in found])
        return
    rows = [(one.name, ", ".join(one.names), f"{one.not_after:%Y-%m-%d}", one.sha256) for one in found]
    print_table("Certificates", ("name", "for", "until", "SHA-256"), rows)
    for line in settings_lines(found):
        say(line)


def settings_lines(found: "Sequence[Described]") -> Iterator[str]:
    """What radloop.toml needs so that these certificates are used."""
    from radloop.certificates import AUTHORITY, SERVER

    by_name = {one.name: one for one in found}
    if not {AUTHORITY, SERVER} <= by_name.keys():
        return
    ours, authority = by_name.pop(SERVER), by_name.pop(AUTHORITY)
    yield from ("# Peers come in by TLS alone, each with a certificate of this authority:", "[gateway.tls]")
    yield from (*_files(ours), f'ca = "{authority.certificate}"')
    yield from ("", "# The pages; a browser has to trust the authority:", "[console.tls]", *_files(ours))
    for name, peer in by_name.items():
        yield from ("", f"# Where we send to {name}: TLS, and what it shows must be for its host.")
        yield from (f"[peers.{name}.tls]", *_files(ours), f'ca = "{authority.certificate}"')
        yield f"# And into [peers.{name}], so that no other certificate of the authority will do for it:"
        yield f'# certificate_names = ["{peer.names[-1]}"]'


def _files(one: "Described") -> tuple[str, str]:
    return f'certificate = "{one.certificate}"', f'key = "{one.key}"'


def _desk(home: Path | None, token: str | None) -> Desk:
    """The desk of somebody who may change things here: asked before the work, not after it."""
    desk = open_desk(home, token)
    desk.actor()
    return desk


def _refuse_twice(folder: Path, name: str, *, renew: bool) -> None:
    if (folder / f"{name}.pem").exists() and not renew:
        raise Rejected(f"{name} has a certificate already; --renew replaces it and its key")


def _keep(desk: Desk, made: "Made") -> None:
    from radloop.certificates import keep

    with desk.changing() as change:
        kept = keep(desk.settings.certificates_path, made)
        change.record("certs.issue", "certificate", kept.name, f"sha256:{kept.sha256}")
    say(f"{kept.name}: {', '.join(kept.names)}; until {kept.not_after:%Y-%m-%d}; {kept.certificate}")


def _row(one: "Described") -> dict[str, object]:
    return {
        "name": one.name,
        "names": list(one.names),
        "not_before": one.not_before.isoformat(),
        "not_after": one.not_after.isoformat(),
        "sha256": one.sha256,
        "certificate": str(one.certificate),
        "key": str(one.key),
    }
