"""Promote: a version is held against champion and original on a frozen, blinded test set, gate by gate.

A look at a test set costs alpha, so it is counted in the ledger before anything is measured: a process that dies has
spent it. Nothing here changes a standing; people do, on what is found here (`flows.standing`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import structlog
from sqlalchemy import Connection

from flows.cohorts import load_arrays
from flows.house import House
from flows.standing import check_bundle, known, refusals_on_record
from models.bundles import contents
from models.catalog import catalog
from models.change_plan import ChangePlan, read_plan
from models.evaluation import conditions, measuring, scope
from models.evaluation.panel import Contest, judge, overall
from models.evaluation.spending import alpha_of
from models.evaluation.trial import Trial
from models.runtime import LoadedModel, load
from models.training.arrays import Arrays
from radloop import audit
from radloop.domain.enums import GateOutcome, Split, Standing
from radloop.domain.errors import IntegrityError, NotFound, Rejected
from radloop.domain.ids import new_id, utc_now
from radloop.domain.learning import Cohort, CohortMember, Evaluation, GateVerdict
from radloop.domain.records import AuditEvent, ModelVersion
from radloop.domain.watching import AlarmState
from radloop.ledger import alarms as alarm_rows
from radloop.ledger import checks as check_rows
from radloop.ledger import cohorts as cohort_rows
from radloop.ledger import evaluations as evaluation_rows
from radloop.ledger import models as model_rows
from radloop.ledger import standing as standing_rows

log = structlog.get_logger()
DENIED: Final = "model.evaluate.deny"
NEWEST_CHECKS: Final = 1000
OF_A_MODEL: Final = "."
"""In the name of a check against a model's baseline: `cxr_pneumonia.combination`."""


@dataclass(frozen=True, slots=True)
class Rivals:
    """Whose answers are compared. Without a champion there is nobody yet, and the plan's floors decide."""

    challenger: ModelVersion
    champion: ModelVersion | None
    original: ModelVersion | None


@dataclass(frozen=True, slots=True)
class BlindedSet:
    """The frozen test images of a cohort, in its order, and the one target that their labels speak of."""

    cohort: Cohort
    members: tuple[CohortMember, ...]
    target: str


@dataclass(frozen=True, slots=True)
class Bench:
    """The verified, loaded bundles, by digest, and the files of each (path to bytes)."""

    models: Mapping[str, LoadedModel]
    files: Mapping[str, Mapping[str, bytes]]


def evaluate(house: House, model: str, digest: str, actor: str, cohort: str | None = None) -> Evaluation:
    """Measure every gate of the change plan, and keep what was found.

    Asking again for what has passed (same rivals, cohort and plan, no alarm since) costs no further look.

    Args:
        house: the open home.
        model: its name in the zoo.
        digest: the version that wants to become champion.
        actor: who asks.
        cohort: id or digest; None takes the newest one with a test set.

    Raises:
        NotFound: there is no such version, plan, cohort or test set.
        Rejected: the version is champion already, or its bundle is not what this site's key signed; labels are not
            blinded or speak of several targets; the test set's alpha is spent. In the audit.
        Permanent: copies of the test set were deleted since.
    """
    with refusals_on_record(house, DENIED, actor, digest):
        plan = read_plan(model)
        rivals = _rivals(house, model, digest)
        test = _test_set(house, model, cohort)
        if passed := _passed_already(house, plan, rivals, test):
            return passed
        bench = _bench(house, rivals)
        arrays = load_arrays(house, test.cohort, Split.TEST)
        look = _take_look(house, plan, rivals, test, actor)
    with measuring.threads(house.settings.training.threads):
        verdicts = _verdicts(house, plan, rivals, test, bench, arrays, look)
    return _conclude(house, look, verdicts)


def _rivals(house: House, model: str, digest: str) -> Rivals:
    challenger = known(house, digest)
    if challenger.name != model:
        raise NotFound(f"no version of {model} has this digest")
    if challenger.standing is Standing.CHAMPION:
        raise Rejected(f"{model} {challenger.version} is champion already")
    with house.ledger.read() as conn:
        champion = model_rows.champion(conn, model)
        original = _original(conn, model, champion)
    return Rivals(challenger, champion, None if original == challenger else original)


def _original(conn: Connection, model: str, champion: ModelVersion | None) -> ModelVersion | None:
    """The first champion that the model ever had; where nobody wrote that down, the zoo's, which came first."""
    steps = standing_rows.history(conn, model)
    first = next((step.digest for step in steps if step.after is Standing.CHAMPION), None)
    if first is not None:
        return model_rows.get(conn, first)
    if champion is None:
        return None
    shipped = catalog().get(model)
    return (model_rows.get(conn, shipped.digest) if shipped else None) or champion


def _test_set(house: House, model: str, cohort: str | None) -> BlindedSet:
    with house.ledger.read() as conn:
        chosen = cohort_rows.get(conn, cohort) if cohort else _newest(conn, model)
    if chosen.model != model:
        raise Rejected("the cohort is another model's")
    members = _of_test(chosen)
    targets = {member.label.target for member in members}
    if not members:
        raise NotFound("the cohort has no test set")
    if len(targets) > 1:
        raise Rejected("the test set's labels speak of several findings")
    if any(member.probability <= 0.0 for member in members):
        raise Rejected("an image of the test set could not have been drawn")
    blinded = conditions.blinded_labels([member.label.awareness for member in members])
    if blinded.outcome is not GateOutcome.PASS:
        raise Rejected(f"a test set needs blinded labels: it holds {blinded.words}")
    return BlindedSet(chosen, members, targets.pop())


def _newest(conn: Connection, model: str) -> Cohort:
    """The newest cohort with a test set."""
    for cohort in reversed(cohort_rows.known(conn, model)):
        if _of_test(cohort):
            return cohort
    raise NotFound(f"{model} has no cohort with a test set")


def _of_test(cohort: Cohort) -> tuple[CohortMember, ...]:
    return tuple(member for member in cohort.members if member.split is Split.TEST)


def _passed_already(house: House, plan: ChangePlan, rivals: Rivals, test: BlindedSet) -> Evaluation | None:
    """The newest evaluation of the version, where it passed what is asked again now, and no alarm has opened since."""
    with house.ledger.read() as conn:
        newest = next(iter(evaluation_rows.of_digest(conn, rivals.challenger.digest)), None)
        quiet = _drift(conn, plan).outcome is GateOutcome.PASS
    if newest is None or newest.outcome is not GateOutcome.PASS or not quiet:
        return None
    then = (newest.cohort_id, newest.champion, newest.original, newest.plan_sha256)
    now = (test.cohort.id, _digest(rivals.champion), _digest(rivals.original), plan.sha256)
    return newest if then == now else None


def _bench(house: House, rivals: Rivals) -> Bench:
    """Every rival's bundle, whole, signed by this site's key, and loaded."""
    versions = {one.digest: one for one in (rivals.challenger, rivals.champion, rivals.original) if one}
    folders = {digest: check_bundle(house, version) for digest, version in versions.items()}
    try:
        files = {digest: contents(folder) for digest, folder in folders.items()}
        loaded = {digest: load(folder) for digest, folder in folders.items()}
    except IntegrityError as error:
        raise Rejected(f"the version cannot be trusted: {error}") from error
    # What was loaded is what was verified, also where somebody wrote in between.
    if any(model.spec.digest != digest for digest, model in loaded.items()):
        raise Rejected("a bundle changed while it was loaded")
    return Bench(loaded, files)


def _take_look(house: House, plan: ChangePlan, rivals: Rivals, test: BlindedSet, actor: str) -> Evaluation:
    """Count the look, and spend its alpha, before anything is measured."""
    with house.ledger.write() as conn:
        evaluation_rows.hold(conn, test.cohort.id)
        look = evaluation_rows.looks(conn, test.cohort.id, plan.alpha.shared) + 1
        alpha = alpha_of(look, plan.alpha)
        if alpha is None:
            raise Rejected(f"the alpha of this test set is spent after {look - 1} looks: freeze a fresh one")
        draft = Evaluation(
            id=new_id("ev"),
            model=rivals.challenger.name,
            digest=rivals.challenger.digest,
            champion=_digest(rivals.champion),
            original=_digest(rivals.original),
            cohort_id=test.cohort.id,
            plan_sha256=plan.sha256,
            look=look,
            alpha=alpha,
            outcome=GateOutcome.INSUFFICIENT_EVIDENCE,
            gates=(),
            actor=actor,
            at=utc_now(),
        )
        evaluation_rows.add(conn, draft)
        detail = f"look {look} at cohort {test.cohort.id}, alpha {alpha:.4g}"
        audit.append(conn, _event(draft, "model.look", detail))
    return draft


def _verdicts(
    house: House, plan: ChangePlan, rivals: Rivals, test: BlindedSet, bench: Bench, arrays: Arrays, look: Evaluation
) -> tuple[GateVerdict, ...]:
    trial = _trial(plan, test, arrays, look.alpha)
    with house.ledger.read() as conn:
        drift = _drift(conn, plan)
    return (
        *_conditions(house, plan, rivals, test, bench, trial),
        *judge(trial, _contest(plan, rivals, test, bench, arrays), plan),
        drift,
    )


def _trial(plan: ChangePlan, test: BlindedSet, arrays: Arrays, alpha: float) -> Trial:
    return Trial(
        labels=arrays.labels.astype(np.float64),
        groups=arrays.groups,
        weights=np.array([1.0 / member.probability for member in test.members]),
        facts=arrays.facts,
        alpha=alpha,
        evidence=plan.evidence,
        resampling=plan.resampling,
    )


def _contest(plan: ChangePlan, rivals: Rivals, test: BlindedSet, bench: Bench, arrays: Arrays) -> Contest:
    # By digest: where the champion is the original, it reads the set once.
    scores = {digest: measuring.score(model, arrays.small, test.target) for digest, model in bench.models.items()}
    challenger = bench.models[rivals.challenger.digest]
    champion = bench.models[rivals.champion.digest] if rivals.champion else None
    return Contest(
        challenger=scores[rivals.challenger.digest],
        champion=scores[rivals.champion.digest] if rivals.champion else None,
        original=scores[rivals.original.digest] if rivals.original else None,
        timings=measuring.timings(challenger, champion, arrays.small[: plan.gates.latency.images]),
    )


def _conditions(
    house: House, plan: ChangePlan, rivals: Rivals, test: BlindedSet, bench: Bench, trial: Trial
) -> tuple[GateVerdict, ...]:
    """The gates that compare no scores."""
    return (
        conditions.signature(rivals.challenger.digest),
        *_scope(plan, rivals, bench),
        conditions.blinded_labels([member.label.awareness for member in test.members]),
        conditions.label_balance(trial.positive, plan.gates.labels.least_share),
        _golden(house, plan, rivals.challenger, bench),
    )


def _scope(plan: ChangePlan, rivals: Rivals, bench: Bench) -> Sequence[GateVerdict]:
    """A first champion changes nothing: there was nothing."""
    if rivals.champion is None:
        return ()
    changed = scope.changed(bench.files[rivals.challenger.digest], bench.files[rivals.champion.digest])
    return (conditions.change_scope(changed, plan.plan),)


def _golden(house: House, plan: ChangePlan, challenger: ModelVersion, bench: Bench) -> GateVerdict:
    """The golden images read by the model at hand, and by one that is loaded anew."""
    gate = plan.gates.golden
    again = load(check_bundle(house, challenger))
    model = bench.models[challenger.digest]
    images = measuring.golden_images(model, gate)
    first, second = (measuring.golden_answers(one, images) for one in (model, again))
    return conditions.golden(first, second, measuring.golden_recorded(bench.files[challenger.digest], gate))


def _drift(conn: Connection, plan: ChangePlan) -> GateVerdict:
    """The open alarms on the model, and the newest outcome of each check of the plan's suite that nobody has judged."""
    decided = {alarm.cause.check for alarm in alarm_rows.known(conn, [AlarmState.ACKNOWLEDGED])}
    newest: dict[str, str] = {}
    for one in check_rows.latest(conn, NEWEST_CHECKS):
        # What a baseline says of a window is alarmed by its cause; its checks are for people to look at.
        if one.suite == plan.gates.drift.suite and one.check not in decided and OF_A_MODEL not in one.check:
            newest.setdefault(one.check, one.outcome)
    alarms = alarm_rows.blocking(conn, plan.plan.model)
    return conditions.drift(newest, [f"{alarm.id} ({alarm.cause.words})" for alarm in alarms])


def _conclude(house: House, look: Evaluation, verdicts: tuple[GateVerdict, ...]) -> Evaluation:
    outcome = overall(verdicts)
    open_gates = [f"{one.gate} {one.outcome}" for one in verdicts if one.outcome is not GateOutcome.PASS]
    with house.ledger.write() as conn:
        evaluation_rows.conclude(conn, look.id, outcome, verdicts)
        audit.append(conn, _event(look, "model.evaluate", ", ".join([str(outcome), *open_gates])))
        found = evaluation_rows.get(conn, look.id)
    if found is None:
        raise NotFound("the evaluation is gone from the ledger")
    log.info("evaluated", model=look.model, digest=look.digest, look=look.look, outcome=outcome, gates=open_gates)
    return found


def _event(look: Evaluation, action: str, detail: str) -> AuditEvent:
    return AuditEvent(
        at=utc_now(), actor=look.actor, action=action, object_kind="model", object_id=look.digest, detail=detail
    )


def _digest(version: ModelVersion | None) -> str | None:
    return version.digest if version else None
