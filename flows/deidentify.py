"""`deidentify`: the files of a folder, or a study of the store, become images that may leave the hospital.

Every file stands alone: one that may not go out is listed with its reason and stops none of the others. No list of
who is who is kept: pseudonyms are derived by a key that stays in the home.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from flows.house import House
from flows.pilot_set import LABELS, PilotSet, labels_of
from integrations import dimse
from integrations.deidentify import Options, Pseudonyms, Released, deidentify_file, site_key
from radloop import audit
from radloop.domain.enums import Consent
from radloop.domain.errors import NotFound, Rejected, SettingsError, TooLarge, Unparsable
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent
from radloop.ledger import consents as consent_rows
from radloop.ledger import instances as instance_rows
from radloop.ledger import patients as patient_rows
from radloop.ledger import studies as study_rows
from radloop.pixels import parse_identity, split

NO_CONSENT: Final = "no-consent"


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted. `source`: a folder, or the Study Instance UID of a study held here."""

    source: str
    out: Path
    project: str
    actor: str
    options: Options


@dataclass(frozen=True, slots=True)
class Outcome:
    """One file: `name` as the input calls it (patient data may be in it), and why it stays here, or ''."""

    name: str
    code: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """How many files were written, how many of them masked or not wholly looked at, and which stay here."""

    written: int
    masked: int
    to_look_at: int
    left: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class _Source:
    """A file of the input: its name, its label, and how to read its bytes."""

    name: str
    label: str
    read: Callable[[], bytes]


class NoConsent(Rejected):
    """The patient withdrew consent."""

    code = NO_CONSENT


def deidentify(house: House, order: Order, told: Callable[[Outcome], None] = lambda _: None) -> Summary:
    """Make the set. The start is in the audit before the first file is written, the counts after the last.

    Raises:
        NotFound: there is no such folder or study.
        SettingsError: the name of the project or the output folder will not do.
        Unparsable, Rejected: labels.csv cannot go along.
        Unavailable, StorageFull, IntegrityError: the ledger's, the store's, the decoder's and the disk's; what was
            written stays, and nothing of it was not searched.
    """
    keys = Pseudonyms.of_project(site_key(house.settings.keys_path), order.project)
    sources = _sources(house, order)
    pilot = PilotSet(order.out)
    _record(house, order, "started")
    released, left = [], []
    for source in sources:
        outcome, one = _one(house, source, keys, order.options, pilot)
        if one is not None:
            released.append((one.masked, one.looked))
        else:
            left.append(outcome)
        told(outcome)
    pilot.finish()
    masked = sum(masked for masked, _ in released)
    _record(house, order, f"{len(released)} written, {masked} masked, {len(left)} left")
    return Summary(len(released), masked, sum(not looked for _, looked in released), tuple(left))


def _one(
    house: House, source: _Source, keys: Pseudonyms, options: Options, pilot: PilotSet
) -> tuple[Outcome, Released | None]:
    try:
        data = source.read()
        _refuse_withdrawn(house, data)
        one = deidentify_file(data, keys, options)
        pilot.add(one, source.label)
    except Rejected as error:
        return Outcome(source.name, error.code, str(error)), None
    return Outcome(source.name), one


def _sources(house: House, order: Order) -> list[_Source]:
    folder = Path(order.source)
    if folder.is_dir():
        return list(_files(folder, order))
    with house.ledger.read() as conn:
        version = study_rows.latest_of(conn, order.source)
        found = instance_rows.of_version(conn, version.id) if version else ()
    if not found:
        raise NotFound("IN is neither a folder nor a study that is held here")
    return [_Source(one.id, "", partial(house.store.get, one.blob.key)) for one in found]


def _files(folder: Path, order: Order) -> Iterator[_Source]:
    out = order.out.resolve()
    if out.is_relative_to(folder.resolve()):
        raise SettingsError("OUT: expected a folder outside IN")
    labels = labels_of(folder)
    most = order.options.limits.file
    for path in dimse.files_under([folder]):
        name = path.relative_to(folder).as_posix()
        if name != LABELS:
            yield _Source(name, labels.get(name, ""), partial(_bytes, path, most))


def _bytes(path: Path, most: int) -> bytes:
    try:
        if path.stat().st_size > most:
            raise TooLarge("the file is larger than any we take")
        return path.read_bytes()
    except OSError as error:
        raise Unparsable(f"the file cannot be read ({type(error).__name__})") from None


def _refuse_withdrawn(house: House, data: bytes) -> None:
    """A patient who withdrew consent goes into no set, under whichever issuer they did."""
    file = split(data)
    said = parse_identity(file.dataset, file.transfer_syntax_uid)
    with house.ledger.read() as conn:
        issuers = patient_rows.issuers(conn, said.patient_id) if said.patient_id else ()
        known = (patient_rows.find(conn, said.patient_id, issuer) for issuer in issuers)
        if any(one and consent_rows.current(conn, one) is Consent.WITHDRAWN for one in known):
            raise NoConsent("the patient withdrew consent")


def _record(house: House, order: Order, detail: str) -> None:
    event = AuditEvent(
        at=utc_now(),
        actor=order.actor,
        action="deidentify",
        object_kind="project",
        object_id=order.project,
        detail=detail,
    )
    with house.ledger.write() as conn:
        audit.append(conn, event)
