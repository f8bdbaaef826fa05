"""One study version for one reader: what is shown to them, and that it is on record before it is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from flows.final_report import shown
from flows.house import House
from radloop import audit
from radloop.domain.access import Permission, Who
from radloop.domain.acquired import QualityNote
from radloop.domain.enums import Urgency
from radloop.domain.errors import NotFound
from radloop.domain.ids import utc_now
from radloop.domain.records import Result, SignOff, Verdict
from radloop.domain.verdicts import last_words
from radloop.ledger import openings as opening_rows
from radloop.ledger import quality_notes as note_rows
from radloop.ledger import results as result_rows
from radloop.ledger import signoffs as signoff_rows
from radloop.ledger import study_headers as header_rows
from radloop.ledger import verdicts as verdict_rows
from radloop.ledger import votes as vote_rows
from radloop.ledger import worklist as worklist_rows
from radloop.ledger.openings import Opening
from radloop.ledger.study_headers import StudyHeader
from radloop.ledger.votes import Vote
from radloop.ledger.worklist import Entry, Place
from serving.console.ages import age_of, day_of
from serving.console.api.wire import signoff_of
from serving.console.reading_room import ReadingRoom
from serving.console.seen import view
from serving.console.study_findings import Told, asked, findings_of, result_seen
from serving.console.study_out import Related, StudyOut

MOST_PRIORS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the ledger has of one study version, as far as readers may see it."""

    entry: Entry
    header: StudyHeader
    results: tuple[Result, ...]
    verdicts: tuple[Verdict, ...]
    votes: tuple[Vote, ...]
    notes: tuple[QualityNote, ...]
    signoff: SignOff | None
    openings: tuple[Opening, ...]
    led: frozenset[str]
    """Those who were shown an answer on some version of this study: nobody is blinded to what they have seen."""
    versions: tuple[Related, ...]
    priors: tuple[Related, ...]

    @property
    def answered(self) -> bool:
        """Whether a model has said anything."""
        return bool(self.results)


def open_study(house: House, room: ReadingRoom, who: Who, version_id: str, *, blinded: bool) -> StudyOut:
    """A reader opens a study: the opening, and what they are shown, are committed before this returns.

    `blinded`: they want to see the AI after their own verdict, whatever the site's settings say.

    Raises:
        NotFound: there is no such version.
        Unavailable, StorageFull: the ledger's; then nothing is shown.
    """
    found = _find(house, version_id)
    hidden = _is_hidden(house, who, found, blinded=blinded)
    events = [view(who, "study", "study_version", version_id, "blinded" if hidden else "")]
    if not hidden:
        events += [view(who, "result", "result", one.id) for one in found.results]
    with house.ledger.write() as conn:
        if who.may(Permission.READ):
            _open(conn, who, found, hidden=hidden)
        audit.append(conn, *events)
    for event in events[1:]:
        room.views.remember(who, event.object_id)
    return _out(room, who, found, hidden=hidden)


def look_again(house: House, room: ReadingRoom, who: Who, version_id: str, *, blinded: bool) -> StudyOut:
    """What an open page shows by now. A result that is new on it is on record before it is shown.

    Raises:
        NotFound, Unavailable, StorageFull: as `open_study`.
    """
    found = _find(house, version_id)
    hidden = _is_hidden(house, who, found, blinded=blinded)
    if not hidden:
        for one in found.results:
            room.views.record(who, "result", "result", one.id)
        if found.answered and _waits(found, who):
            with house.ledger.write() as conn:
                opening_rows.show_ai(conn, version_id, who.actor.name, utc_now())
    return _out(room, who, found, hidden=hidden)


def _find(house: House, version_id: str) -> Found:
    with house.ledger.read() as conn:
        entry = worklist_rows.get(conn, version_id)
        if entry is None:
            raise NotFound("there is no such study version")
        results = tuple(one for one in result_rows.of_version(conn, version_id) if shown(one))
        votes = vote_rows.of_results(conn, [one.id for one in results])
        versions = worklist_rows.versions_of(conn, entry.study_id)
        opened = opening_rows.of_versions(conn, [one.version_id for one in versions])
        return Found(
            entry=entry,
            header=header_rows.of_study(conn, entry.study_id) or StudyHeader(),
            results=results,
            verdicts=last_words(verdict_rows.of_version(conn, version_id)),
            votes=tuple(one for of_result in votes.values() for one in of_result),
            notes=note_rows.of_version(conn, version_id),
            signoff=signoff_rows.of_version(conn, version_id),
            openings=tuple(opened.get(version_id, ())),
            led=frozenset(one.actor for each in opened.values() for one in each if one.ai_shown_at),
            versions=_related(conn, versions),
            priors=_related(conn, worklist_rows.others_of_patient(conn, entry.study_id, MOST_PRIORS)),
        )


def _related(conn: Connection, entries: Sequence[Entry]) -> tuple[Related, ...]:
    found = result_rows.of_versions(conn, [entry.version_id for entry in entries])
    return tuple(
        Related(
            version_id=one.version_id,
            number=one.number,
            study_date=day_of(one.study_date),
            received_at=one.since,
            modalities=one.modalities,
            description=one.description,
            place=one.place,
            urgency=one.urgency,
            findings=tuple(_called(found.get(one.version_id, ()))),
        )
        for one in entries
    )


def _called(results: Iterable[Result]) -> Iterable[str]:
    for result in results:
        if shown(result):
            yield from (f"{one.code.meaning} {one.probability:.2f}" for one in result.findings if one.positive)


def _is_hidden(house: House, who: Who, found: Found, *, blinded: bool) -> bool:
    """Whether the AI waits for this reader's own word: never for who does not read, nor once they have seen it."""
    wanted = blinded or house.settings.console.blinded
    still = who.actor.name not in found.led and found.entry.place is not Place.SIGNED
    return wanted and who.may(Permission.READ) and still


def _waits(found: Found, who: Who) -> bool:
    """Whether they opened it before there was an answer to show."""
    return any(one.ai_shown_at is None for one in found.openings if one.actor == who.actor.name)


def _open(conn: Connection, who: Who, found: Found, *, hidden: bool) -> None:
    """The first time counts; the AI that is shown from now on was not seen before."""
    now, version_id = utc_now(), found.entry.version_id
    at = now if found.answered and not hidden else None
    made = Opening(version_id=version_id, actor=who.actor.name, at=now, blinded=hidden, ai_shown_at=at)
    if not opening_rows.record(conn, made) and at is not None:
        opening_rows.show_ai(conn, version_id, who.actor.name, now)


def _out(room: ReadingRoom, who: Who, found: Found, *, hidden: bool) -> StudyOut:
    entry = found.entry
    told = Told(who=who, results=found.results, verdicts=found.verdicts, votes=found.votes, notes=found.notes)
    related = (found.versions, found.priors)
    versions, priors = (tuple(map(_silenced, one)) for one in related) if hidden else related
    return StudyOut(
        version_id=entry.version_id,
        number=entry.number,
        place=entry.place,
        reason=entry.reason,
        urgency=entry.urgency,
        ordered=entry.ordered,
        since=entry.since,
        patient_name=entry.patient_name,
        patient_id=entry.patient_id,
        age=age_of(entry.birth_date, utc_now().date()),
        sex=entry.sex,
        accession_number=entry.accession_number,
        modalities=entry.modalities,
        description=entry.description,
        study_date=day_of(found.header.study_date),
        instances=entry.instances,
        blinded=hidden,
        urgent_unseen=_urgent_unseen(found) if hidden else None,
        asked=asked(told) if hidden else (),
        findings=() if hidden else findings_of(told, signed=found.signoff is not None),
        results=() if hidden else tuple(result_seen(one, told) for one in found.results),
        quality=tuple(note.detail for note in found.notes if note.result_id is None),
        signoff=signoff_of(found.signoff) if found.signoff else None,
        conclusion=found.signoff.conclusion if found.signoff else "",
        newest_version_id=versions[0].version_id,
        versions=tuple(one for one in versions if one.version_id != entry.version_id),
        priors=priors,
        open_now=tuple(name for name in room.presence.of(entry.version_id) if name != who.actor.name),
        opened_by=tuple(one.actor for one in found.openings if one.actor != who.actor.name),
    )


def _urgent_unseen(found: Found) -> Urgency | None:
    """What a blinded reader is told at once: that something urgent was found in these images, and nothing more."""
    highest = max((one.urgency for one in found.results), key=lambda one: one.rank, default=Urgency.ROUTINE)
    return highest if highest.rank else None


def _silenced(one: Related) -> Related:
    return one.model_copy(update={"findings": (), "urgency": Urgency.ROUTINE})
