"""`radloop init`: a home that works. Repeating it changes nothing that is there."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from radloop.domain.access import Role
from radloop.domain.enums import ActorKind, Standing
from serving.cli.desk import Change, Desk, HomeOption, open_desk, system_user
from serving.cli.output import complain, say

MACHINE = "radloop"


def init(
    *,
    bare: Annotated[
        bool, typer.Option("--bare", help="No models: this site brings its own first champion through the gates.")
    ] = False,
    home: HomeOption = None,
) -> None:
    """Make the home folder: keys, radloop.toml, ledger, and the models of the zoo."""
    desk = open_desk(home)
    wrote = prepare(desk, bare=bare)
    say(f"home: {desk.home}")
    say(f"settings: {desk.home / 'radloop.toml'}" + ("" if wrote else " (was there, left as it is)"))
    say(f"actor: {system_user()}")
    for name, version in installed(desk):
        say(f"model: {name} {version}")
    say("next: radloop up --wait")


def prepare(desk: Desk, *, bare: bool = False) -> bool:
    """Make everything that is missing; whether radloop.toml was written. `bare` leaves the models of the zoo out.

    Raises:
        SettingsError: a radloop.toml that was there is wrong, or keys are open to others.
        StorageFull: something could not be written.
    """
    from radloop.audit import Sealer
    from radloop.store import Keyring

    _make_private(desk.home)
    wrote = _write_settings(desk.home)
    keyring = Keyring.create(desk.settings.keys_path)
    desk.ledger.upgrade()
    Sealer(desk.ledger, keyring.audit_key, desk.settings.audit_anchor).begin()
    _name_actors(desk)
    _sign_again(desk)
    if not bare:
        _install_models(desk)
    return wrote


def installed(desk: Desk) -> tuple[tuple[str, str], ...]:
    """The champions: name and version."""
    from radloop.ledger import models

    with desk.reading() as conn:
        return tuple((m.name, m.version) for m in models.known(conn) if m.standing is Standing.CHAMPION)


def _make_private(home: Path) -> None:
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)


def _write_settings(home: Path) -> bool:
    from serving.cli.template import render

    try:
        fd = os.open(home / "radloop.toml", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(render())
    return True


def _name_actors(desk: Desk) -> None:
    from radloop.ledger import actors

    with desk.ledger.write() as conn:
        machine = actors.by_name(conn, MACHINE)
        change = Change(conn, machine or actors.ensure(conn, MACHINE, ActorKind.MACHINE))
        if actors.by_name(conn, system_user()) is None:
            person = actors.ensure(conn, system_user(), ActorKind.PERSON)
            # Whoever makes the home holds its keys and its ledger already: pages hide nothing from them.
            actors.set_roles(conn, person, Role)
            change.record("actor.add", "actor", person.id, ",".join(Role))


def _sign_again(desk: Desk) -> None:
    """Bundles that a radloop before model-signing signed here get a signature of the new kind; then its key goes."""
    from models.bundles import sign_again
    from radloop.ledger import actors

    keyring = desk.keyring
    if (former := keyring.former_signing_key) is None:
        return
    left = sign_again(desk.settings.models_path, former, keyring.signing_key)
    for bundle in left:
        complain(f"{bundle}: not signed again, since this site's former key did not sign it as it is")
    with desk.ledger.write() as conn:
        change = Change(conn, actors.ensure(conn, system_user(), ActorKind.PERSON))
        change.record("keys.replace", "key", "site.key", f"bundles signed again, {len(left)} refused")
    keyring.forget_former()


def _install_models(desk: Desk) -> None:
    from models.catalog import catalog

    specs = tuple(catalog().values())
    if specs:
        _ship(desk, [spec.bundle for spec in specs])


def _ship(desk: Desk, bundles: Sequence[Path]) -> None:
    from flows.house import open_house
    from flows.standing import ship
    from radloop.ledger import actors

    with desk.ledger.write() as conn:
        actors.ensure(conn, MACHINE, ActorKind.MACHINE)
    house = open_house(desk.settings)
    try:
        for bundle in bundles:
            ship(house, bundle, MACHINE)
    finally:
        house.ledger.close()
