"""What an empty system still needs: each step done or not as settings and ledger say, and how it is done."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from sqlalchemy import Connection, Table, literal, select

from flows.house import House
from radloop.domain.access import Permission, Role, Who, granted
from radloop.domain.enums import ActorKind, PeerRole, Standing
from radloop.ledger import actors, models, tokens
from radloop.ledger.tables import results, study_versions
from radloop.settings import Peer, Settings

READERS: Final = frozenset(role for role in Role if Permission.READ in granted([role]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to do. `command` is typed as it stands; `link` is a page of ours; either may be empty."""

    title: str
    done: bool
    how: str
    command: str = ""
    link: str = ""
    link_title: str = ""


@dataclass(frozen=True, slots=True)
class FirstSteps:
    """The steps in their order, and whether this person may hand in images by hand."""

    steps: tuple[Step, ...]
    uploads: bool

    @property
    def left(self) -> tuple[Step, ...]:
        """Those that are not done."""
        return tuple(step for step in self.steps if not step.done)


def first_steps(house: House, who: Who) -> FirstSteps | None:
    """What is to be done until the first answer; None from then on.

    Raises:
        Unavailable: the ledger's.
    """
    with house.ledger.read() as conn:
        if _is_there(conn, results):
            return None
        received = _is_there(conn, study_versions)
        steps = (*_wiring(house.settings, conn, received=received), *_traffic(received=received))
    return FirstSteps(steps, uploads=who.may(Permission.UPLOAD))


def _wiring(settings: Settings, conn: Connection, *, received: bool) -> Iterator[Step]:
    peers = settings.peers.values()
    yield Step(
        title="Name a scanner or PACS that may send",
        done=received or any(PeerRole.SOURCE in one.roles and not _is_here(one) for one in peers),
        how='In radloop.toml: a table [peers.pacs] with its ae_title, its host and roles = ["source"]. '
        "Who is not named is refused. Then:",
        command="radloop down && radloop up --wait",
    )
    yield Step(
        title="Name where results go",
        done=any({PeerRole.RESULTS, PeerRole.REPORTS} & set(one.roles) for one in peers),
        how='In radloop.toml: give a peer the role "results" (DICOM SR and pictures, with its port) or "reports" (HL7 '
        "or FHIR). Then:",
        command="radloop down && radloop up --wait",
    )
    champions = {one.name for one in models.known(conn) if one.standing is Standing.CHAMPION}
    yield Step(
        title="Route studies to an installed model",
        done=any(champions & set(route.models) for route in settings.routes),
        how="In radloop.toml: a table [[routes]] that names a model with a champion. The models of the zoo come by:",
        command="radloop init",
        link="/models",
        link_title="Models",
    )
    yield Step(
        title="Let a reader in",
        done=_readers_may_come(settings, conn),
        how="Set [login.oidc] or [login.ldap] and [login.groups] in radloop.toml; or give somebody a token to log in "
        "with:",
        command="radloop actor add NAME --role READER",
        link="/access",
        link_title="Access",
    )


def _traffic(*, received: bool) -> Iterator[Step]:
    yield Step(
        title="Receive the first study",
        done=received,
        how="Send one from the PACS, or DICOM files of your own from this machine:",
        command="radloop send FOLDER",
    )
    yield Step(
        title="See the first answer",
        done=False,
        how="It comes within seconds of a study being whole. If not, Operations says what is stuck, and so does:",
        command="radloop status",
        link="/operations",
        link_title="Operations",
    )


def _readers_may_come(settings: Settings, conn: Connection) -> bool:
    login = settings.login
    if login.oidc or login.ldap:
        return any(READERS & set(roles) for roles in login.groups.values())
    owners = {one.owner for one in tokens.known(conn)}
    return any(
        one.actor.kind is ActorKind.PERSON
        and one.disabled_at is None
        and READERS & one.roles
        and (one.password or one.actor.name in owners)
        for one in actors.entries(conn)
    )


def _is_here(peer: Peer) -> bool:
    """Whether it is this machine: what `radloop send` needs, no scanner."""
    host = (peer.host or "").strip("[]")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _is_there(conn: Connection, table: Table) -> bool:
    return conn.scalar(select(literal(1)).select_from(table).limit(1)) is not None
