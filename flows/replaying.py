"""Computes a past answer again from the record, at batch 1, and says whether it is the same."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import torch

import radloop
from flows.house import House
from flows.story import trusted
from models.preparation import Floats, excluded, header_facts, of_modality_values, to_unit
from models.runtime import LoadedModel, load
from radloop import audit
from radloop.domain.enums import ResultStatus
from radloop.domain.errors import IntegrityError, NotFound, Rejected
from radloop.domain.ids import utc_now
from radloop.domain.records import Acquisition, AuditEvent, Finding, Instance, Result, Run, StudyVersion
from radloop.ledger import acquisitions as acquisition_rows
from radloop.ledger import instances as instance_rows
from radloop.ledger import lineage
from radloop.ledger import results as result_rows
from radloop.ledger import signoffs as signoff_rows
from radloop.ledger import studies as study_rows
from radloop.pixels import DecodePool, Limits, read_header

TOLERANCE: Final = 1e-4
"""Probabilities are recorded to four decimals; the same image in another batch differs by about 2e-7."""
BUILD: Final = f"radloop {radloop.__version__}, torch {torch.__version__}"


@dataclass(frozen=True, slots=True)
class Compared:
    """One finding: the probability on record and the one computed now, and the image that each was highest on."""

    target: str
    before: float
    after: float
    image_before: str | None
    image_after: str

    @property
    def same(self) -> bool:
        """Whether both are the same to 1e-4."""
        # A half of the last decimal is what rounding of the recorded one may take away; 1e-9 is float's own.
        return abs(self.before - self.after) <= TOLERANCE + 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One result, computed again as far as that was possible.

    `gone` are ids of instances whose pixels are not there any more; `unread` instances that could not be read, and why.
    """

    result: Result
    compared: tuple[Compared, ...] = ()
    gone: tuple[str, ...] = ()
    unread: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def same(self) -> bool | None:
        """Whether every finding is the same; None where nothing could be computed."""
        return all(one.same for one in self.compared) if self.compared else None


@dataclass(frozen=True, slots=True)
class Replay:
    """A study version and its results, computed again. `forgotten_at`: when its pixels were deleted by policy."""

    version: StudyVersion
    results: tuple[Replayed, ...]
    forgotten_at: datetime | None

    @property
    def differs(self) -> bool:
        """Whether a result came out otherwise."""
        return any(one.same is False for one in self.results)


@dataclass(frozen=True, slots=True)
class _Material:
    version: StudyVersion
    results: tuple[Result, ...]
    instances: tuple[Instance, ...]
    acquisitions: tuple[Acquisition, ...]
    forgotten_at: datetime | None


def replay_study(house: House, name: str, actor: str) -> Replay:
    """Compute the answers of a study version again: by its id, by a result's id, or by a study (its newest version).

    Leaves nothing but an audit row. Blocks.

    Raises:
        NotFound: nothing was answered under this name, or the bundle that answered is not here any more.
        IntegrityError: that bundle cannot be trusted.
        Transient: store, ledger or decoder are away.
    """
    material = _gathered(house, name)
    limits = Limits(seconds=house.settings.inference.deadline_seconds / 2)
    with DecodePool(1, limits) as pool:
        again = tuple(_replayed(house, pool, material, result) for result in material.results)
    replay = Replay(material.version, again, material.forgotten_at)
    _record(house, replay, actor)
    return replay


def _gathered(house: House, name: str) -> _Material:
    with house.ledger.read() as conn:
        named = lineage.versions_named(conn, name)
        ids = lineage.results_named(conn, named[-1] if named else name)
        results = tuple(result for result_id in ids if (result := result_rows.get(conn, result_id)))
        version = study_rows.get(conn, results[0].version_id) if results else None
        if version is None:
            raise NotFound("nothing was answered under this name")
        found = instance_rows.of_version(conn, version.id)
        rows = acquisition_rows.of_instances(conn, [one.id for one in found])
        return _Material(version, results, found, rows, signoff_rows.forgotten_at(conn, version.id))


def _replayed(house: House, pool: DecodePool, material: _Material, result: Result) -> Replayed:
    if result.status is not ResultStatus.OK:
        return Replayed(result=result, notes=(f"{result.status}: no network gave this answer",))
    model = load(trusted(house, result.model.name, result.model.digest))
    if model.spec.digest != result.model.digest:
        raise IntegrityError("the bundle was changed while it was read")
    readable = {row.instance_id for row in model.spec.readable(material.acquisitions)}
    return _read_again(house, pool, model, result, [one for one in material.instances if one.id in readable])


def _read_again(
    house: House, pool: DecodePool, model: LoadedModel, result: Result, images: Sequence[Instance]
) -> Replayed:
    gone: list[str] = []
    unread: list[tuple[str, str]] = []
    seen: dict[str, Floats] = {}
    with _threads_of(result.run):
        for image in images:
            try:
                said = _looked(model, pool, house.store.get(image.blob.key))
            except NotFound:
                gone.append(image.id)
                continue
            if isinstance(said, str):
                unread.append((image.id, said))
            else:
                seen[image.id] = said
    # One image that is gone may have been the one that decided.
    compared = () if gone or not seen else tuple(_compared(model, result.findings, seen))
    return Replayed(
        result=result, compared=compared, gone=tuple(gone), unread=tuple(unread), notes=tuple(_notes(result.run))
    )


def _looked(model: LoadedModel, pool: DecodePool, data: bytes) -> Floats | str:
    """Probabilities (targets,) of one stored image, alone in its batch; or why inference would not look at it."""
    try:
        facts = header_facts(read_header(data))
        if reason := excluded(facts, model.spec.applicability.plane, model.spec.window):
            return reason
        unit = to_unit(pool.decode(data).pixels, of_modality_values(facts), model.spec.window)
    except (Rejected, IntegrityError) as error:
        return f"{error.code}: {error}"
    probabilities: Floats = model.predict_and_explain(model.prepare(unit)[None])[0][0]
    return probabilities


def _compared(model: LoadedModel, findings: Sequence[Finding], seen: dict[str, Floats]) -> Iterator[Compared]:
    """Each target's highest probability over the images: the first image wins a draw, as in inference."""
    on_record = {finding.target: finding for finding in findings}
    for row, target in enumerate(model.spec.targets):
        image = max(seen, key=lambda one: float(seen[one][row]))
        before = on_record[target.name]
        yield Compared(target.name, before.probability, float(seen[image][row]), before.instance_id, image)


def _notes(run: Run | None) -> Iterator[str]:
    if run is None:
        return
    if run.batch != 1:
        yield f"it was computed in a batch of {run.batch}, and is computed again one image at a time"
    if run.build != BUILD:
        yield f"it was computed by {run.build}; this is {BUILD}"
    if run.device != "cpu":
        yield f"it was computed on {run.device}, and is computed again on cpu"


@contextmanager
def _threads_of(run: Run | None) -> Iterator[None]:
    """As many threads as the answer was computed with: another count adds up in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(run.threads if run else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _record(house: House, replay: Replay, actor: str) -> None:
    words = {True: "same", False: "differs", None: "not computed"}
    detail = ", ".join(f"{one.result.id} {words[one.same]}" for one in replay.results)
    event = AuditEvent(
        at=utc_now(),
        actor=actor,
        action="replay",
        object_kind="study_version",
        object_id=replay.version.id,
        detail=detail,
    )
    with house.ledger.write() as conn:
        audit.append(conn, event)
