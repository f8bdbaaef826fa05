"""A model version with a whole history in the ledger: trained on a cohort, through its gates, approved, promoted."""

import asyncio
import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import insert

from flows.acquisitions import acquisition
from flows.house import House, open_house
from models.bundles import install, manifest
from models.catalog import catalog
from models.phantoms import brain_slices
from models.phantoms.brain import brain_pixels
from models.preparation import HeaderFacts
from models.spec import CARD, MANIFEST, ModelSpec, read_spec
from models.training.copies import pack, prepare
from radloop.domain.enums import (
    ApprovalKind,
    Awareness,
    GateOutcome,
    Qualification,
    ResultStatus,
    RunState,
    Split,
    Standing,
    Urgency,
    VerdictKind,
    VerdictSource,
)
from radloop.domain.ids import new_id
from radloop.domain.learning import (
    Approval,
    Cohort,
    CohortMember,
    Evaluation,
    Facts,
    GateVerdict,
    Label,
    TrainingCopy,
    TrainingRun,
)
from radloop.domain.records import Finding, ModelVersion, Result, Run, SignOff, Verdict
from radloop.ledger import (
    acquisitions,
    approvals,
    cohorts,
    copies,
    evaluations,
    instances,
    patients,
    results,
    signoffs,
    standing,
    verdicts,
)
from radloop.ledger.cohorts import Draw, Entry
from radloop.ledger.learning import training_runs
from radloop.ledger.standing import Act
from radloop.pixels import read_header
from radloop.settings import load_settings
from radloop.store import Keyring
from tests.flows import place

MODEL = "brain_mr_tumour"
TARGET = "tumour"
AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
COMMIT = "5f1c0ffee" + "0" * 31


@dataclass(frozen=True)
class History:
    """What `furnish` put there: the shipped version and the one that was trained from it."""

    shipped: ModelVersion
    trained: ModelVersion
    cohort: Cohort
    run: TrainingRun
    evaluation: Evaluation
    patients: tuple[str, ...]


@dataclass(frozen=True)
class Furnished:
    """A home that `furnish` worked on, closed, and what it put there."""

    home: Path
    history: History


def build(folder: Path) -> Furnished:
    """Such a home, for tests to copy: making one takes seconds."""
    house = place.make_home(folder / "home")
    history = furnish(house, folder)
    house.ledger.close()
    return Furnished(folder / "home", history)


def opened(furnished: Furnished, folder: Path) -> Iterator[House]:
    """A copy of it, open."""
    house = open_house(load_settings(shutil.copytree(furnished.home, folder / "home")))
    yield house
    asyncio.run(house.http.aclose())
    house.ledger.close()


def furnish(house: House, folder: Path, images: int = 24) -> History:
    """Both versions installed and on record, with everything in between."""
    shipped = _installed(house, catalog()[MODEL].bundle, Standing.CHAMPION)
    trained = _installed(house, _second_bundle(folder), Standing.CHALLENGER)
    cohort, of_whom = _cohort(house, images)
    run = _run(house, shipped, trained, cohort)
    evaluation = _evaluation(house, shipped, trained, cohort)
    promoted = _promoted(house, shipped, trained, evaluation)
    return History(shipped, promoted, cohort, run, evaluation, of_whom)


def answered(house: House, version: ModelVersion, probability: float = 0.9, slices: int = 2) -> Result:
    """A brain series that arrived, and what this version said of it; the last slice decided."""
    receipts = place.arrive(house, *brain_slices(29, lesion=True, count=slices, rows=128))
    version_id = receipts[0].version_id
    assert version_id is not None
    with house.ledger.write() as conn:
        found = instances.of_version(conn, version_id)
        acquisitions.add(conn, [acquisition(one, read_header(house.store.get(one.blob.key))) for one in found])
        result = _result(version, version_id, found[-1].id, probability)
        results.add(conn, result)
    return result


def _result(version: ModelVersion, version_id: str, instance_id: str, probability: float) -> Result:
    target = catalog()[MODEL].target(TARGET)
    finding = Finding(
        target=TARGET, code=target.code, probability=probability, threshold=target.threshold, urgency=Urgency.URGENT,
        instance_id=instance_id,
    )  # fmt: skip
    return Result(
        id=new_id("rs"), version_id=version_id, model=version, status=ResultStatus.OK, reason=None, findings=(finding,),
        run=Run(batch=2, device="cpu", threads=1, build="an older build", seconds=0.1), predecessor_id=None,
        created_at=AT,
    )  # fmt: skip


def read_by_people(house: House, result: Result) -> tuple[Verdict, SignOff]:
    """A verdict on the result, and a sign-off of its study version."""
    verdict = Verdict(
        id=new_id("ve"), result_id=result.id, version_id=result.version_id, target=TARGET, kind=VerdictKind.REJECT,
        reader="dr.lee", actor="gateway", at=AT, awareness=Awareness.SAW_AI, source=VerdictSource.DICOM_SR,
        source_id="1.2.3#1", text="no tumour, Mrs Secret",
    )  # fmt: skip
    signoff = SignOff(
        version_id=result.version_id, reader="dr.lee", actor="gateway", at=AT, source=VerdictSource.HL7_ORU,
        conclusion="Mrs Secret is well",
    )  # fmt: skip
    with house.ledger.write() as conn:
        verdicts.add(conn, verdict)
        signoffs.add(conn, signoff)
    return verdict, signoff


def _second_bundle(folder: Path) -> Path:
    """The shipped bundle under another version, so that it has another digest, and with other words."""
    made = shutil.copytree(catalog()[MODEL].bundle, folder / "bundle")
    card = json.loads((made / CARD).read_text())
    (made / CARD).write_text(json.dumps({**card, "version": "1.1.0"}))
    (made / "docs/card.md").write_text(
        "# a card\n\n## Intended use\nThat of the first version.\n\n## Limits\n- Its own.\n"
    )
    (made / MANIFEST).write_bytes(manifest(made))
    return made


def _installed(house: House, bundle: Path, as_what: Standing) -> ModelVersion:
    spec = read_spec(install(bundle, house.settings.models_path, Keyring.load(house.settings.keys_path).signing_key))
    version = ModelVersion(
        name=spec.name, version=spec.version, digest=spec.digest, standing=as_what, qualification=Qualification.RESEARCH
    )
    with house.ledger.write() as conn:
        standing.enter(conn, version, Act("radloop", "installed"))
    return version


def _cohort(house: House, images: int) -> tuple[Cohort, tuple[str, ...]]:
    spec = catalog()[MODEL]
    entries = []
    with house.ledger.write() as conn:
        of_whom = tuple(patients.ensure(conn, f"SECRET-{number}", "") for number in range(images))
        for number, patient in enumerate(of_whom):
            copy = _copy(house, spec, number, patient)
            copies.add(conn, copy)
            entries.append(Entry(_member(copy, number), None, "imported"))
        manifest_json = cohorts.manifest_of(MODEL, TARGET, Draw("build", 1, 0.1, 0.1), entries)
        cohort = Cohort(
            id=new_id("co"), digest=cohorts.digest_of(manifest_json), model=MODEL,
            members=cohorts.members_of(manifest_json), left_out=(("no consent", 3),), actor="ml.kim", at=AT,
        )  # fmt: skip
        cohorts.freeze(conn, cohort, manifest_json)
    return cohort, of_whom


def _copy(house: House, spec: ModelSpec, number: int, patient: str) -> TrainingCopy:
    made = prepare(brain_pixels(number, bool(number % 2), 1, 128), HeaderFacts(), spec.input_size)
    facts = Facts(site="north" if number % 3 else "south", scanner="Phantom", sex="F" if number % 4 else "M")
    return TrainingCopy(
        id=new_id("tc"), model=MODEL, patient=patient, version_id=None, instance_id=None,
        content_sha256=hashlib.sha256(str(number).encode()).hexdigest(), pixel_sha256=made.pixel_sha256,
        blob=house.store.put(pack(made)), facts=facts, at=AT,
    )  # fmt: skip


def _member(copy: TrainingCopy, number: int) -> CohortMember:
    label = Label(
        target=TARGET, value=number % 2, reader="dr.lee" if number % 5 else "dr.ray", origin="import",
        awareness=Awareness.BLINDED if number % 6 else Awareness.SAW_AI,
    )  # fmt: skip
    split = (Split.TEST, Split.TEST, Split.TRAIN, Split.VALIDATION)[number // 2 % 4]
    return CohortMember(
        copy_id=copy.id, patient=copy.patient, instance_id=None, content_sha256=copy.content_sha256,
        pixel_sha256=copy.pixel_sha256, split=split, label=label, facts=copy.facts, stratum="import", probability=1.0,
    )  # fmt: skip


def _run(house: House, parent: ModelVersion, made: ModelVersion, cohort: Cohort) -> TrainingRun:
    run = TrainingRun(
        id=new_id("tr"), model=MODEL, cohort_id=cohort.id, parent=parent.digest, digest=made.digest,
        state=RunState.DONE, commit=COMMIT, device="cpu", threads=2, processes=1, seed=7, mlflow_run="a" * 32,
        actor="ml.kim", at=AT, ended_at=AT + timedelta(minutes=9),
    )  # fmt: skip
    with house.ledger.write() as conn:
        conn.execute(insert(training_runs).values(**asdict(run)))
    return run


def _evaluation(house: House, champion: ModelVersion, made: ModelVersion, cohort: Cohort) -> Evaluation:
    gates = (
        GateVerdict(
            gate="auc", outcome=GateOutcome.PASS, value=0.012, low=-0.021, high=0.044, margin=0.05, n=412,
            words="not worse than the champion",
        ),
        GateVerdict(
            gate="labels", outcome=GateOutcome.PASS, value=None, low=None, high=None, margin=None, n=412, words=""
        ),
    )  # fmt: skip
    evaluation = Evaluation(
        id=new_id("ev"), model=MODEL, digest=made.digest, champion=champion.digest, original=champion.digest,
        cohort_id=cohort.id, plan_sha256="b" * 64, look=1, alpha=0.0125, outcome=GateOutcome.PASS, gates=(),
        actor="ml.kim", at=AT + timedelta(hours=1),
    )  # fmt: skip
    with house.ledger.write() as conn:
        evaluations.add(conn, evaluation)
        evaluations.conclude(conn, evaluation.id, GateOutcome.PASS, gates)
    return replace(evaluation, gates=gates)


def _promoted(house: House, champion: ModelVersion, made: ModelVersion, evaluation: Evaluation) -> ModelVersion:
    with house.ledger.write() as conn:
        standing.shadow(conn, made.digest, Act("ml.kim", "gates passed"))
        for hours, name in enumerate(("dr.ada", "dr.bob"), start=2):
            approvals.add(
                conn,
                Approval(
                    id=new_id("ap"), digest=made.digest, kind=ApprovalKind.PROMOTE, actor=name,
                    evaluation_id=evaluation.id, at=AT + timedelta(hours=hours),
                ),
            )  # fmt: skip
        return standing.promote(conn, made.digest, Act("dr.bob", "two approvals"), expected=champion.digest)
