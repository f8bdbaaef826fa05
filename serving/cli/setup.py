"""`radloop init`: a home that works. Repeating it changes nothing that is there."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from radloop.domain.enums import ActorKind, Standing
from serving.cli.desk import Change, Desk, HomeOption, open_desk, system_user
from serving.cli.output import say

if TYPE_CHECKING:
    from models.spec import ModelSpec

MACHINE = "radloop"


def init(*, home: HomeOption = None) -> None:
    """Make the home folder: keys, radloop.toml, ledger, and the models of the zoo."""
    desk = open_desk(home)
    wrote = prepare(desk)
    say(f"home: {desk.home}")
    say(f"settings: {desk.home / 'radloop.toml'}" + ("" if wrote else " (was there, left as it is)"))
    say(f"actor: {system_user()}")
    for name, version in installed(desk):
        say(f"model: {name} {version}")
    say("next: radloop up --wait")


def prepare(desk: Desk) -> bool:
    """Make everything that is missing; whether radloop.toml was written.

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
    _install_models(desk, keyring.signing_key)
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
            change.record("actor.add", "actor", person.id)


def _install_models(desk: Desk, signing_key: bytes) -> None:
    from models.bundles import install
    from models.catalog import catalog

    for spec in catalog().values():
        install(spec.bundle, desk.settings.models_path, signing_key)
        _register(desk, spec)


def _register(desk: Desk, spec: "ModelSpec") -> None:
    """The first version of a model answers; a later one waits for its gates and approvals."""
    from radloop.domain.records import ModelVersion
    from radloop.ledger import actors, models

    with desk.ledger.write() as conn:
        first = models.champion(conn, spec.name) is None
        version = ModelVersion(
            name=spec.name,
            version=spec.version,
            digest=spec.digest,
            standing=Standing.CHAMPION if first else Standing.CHALLENGER,
            qualification=spec.qualification,
        )
        if models.register(conn, version):
            change = Change(conn, actors.ensure(conn, MACHINE, ActorKind.MACHINE))
            change.record("model.register", "model", spec.digest, f"{spec.name} {spec.version} {version.standing}")
