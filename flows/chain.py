"""A result's story as a tree of records: what it rests on, and what came of it.

What is not on record is a node too: a gap that nobody sees is no gap that anybody closes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flows.story import Origin, Story, Trained
from radloop.domain.enums import ResultStatus, Standing
from radloop.domain.learning import Approval, Cohort, Evaluation, GateVerdict, StandingChange
from radloop.domain.records import (
    Acquisition,
    Delivery,
    Evidence,
    Finding,
    Instance,
    Result,
    SignOff,
    StoredObject,
    Verdict,
)
from radloop.ledger.checks import CheckOutcome
from radloop.ledger.lineage import CopyUse

OUTPUTS: Final = frozenset(("object", "verdict", "sign-off"))
"""Kinds of the nodes below a result that came of it; the others are what it rests on."""
Fact = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One record of the chain. `id` is ours, '' where nothing is on record (`on_record` False says so too).

    `digest` is SHA-256 (hex), `by` an actor's name. No patient's name and no free text of a reader is in it; the
    identifiers of objects are, for whoever looks an answer up.
    """

    kind: str
    title: str
    id: str = ""
    digest: str | None = None
    at: datetime | None = None
    by: str | None = None
    facts: tuple[Fact, ...] = ()
    on_record: bool = True
    children: tuple["Node", ...] = ()


def chain(story: Story) -> Node:
    """The whole chain of one result."""
    result = story.result
    return Node(
        kind="result",
        title=f"{result.model.name} {result.model.version}: {_outcome(result)}",
        id=result.id,
        at=result.created_at,
        by=next((event.actor for event in story.events if event.action == "result"), None),
        facts=tuple(_result_facts(result)),
        children=(_study(story), model_node(story), *_outputs(story)),
    )


def model_node(story: Story) -> Node:
    """The model version that answered, with all that made it."""
    return origin_node(story.result.model.name, story.result.model.version, story.origin)


def origin_node(name: str, version: str, origin: Origin) -> Node:
    """A model version: signature, weights, training, gates, approvals, standing."""
    now = origin.version
    signature = "valid, by this site's key" if origin.bundle.fault is None else f"NOT valid: {origin.bundle.fault}"
    facts = [("signature", signature), *((f"SHA-256 of {path}", sha) for path, sha in origin.bundle.weights)]
    if now:
        facts.append(("now", f"{now.standing}, {now.qualification}"))
    return Node(
        kind="model version",
        title=f"{name} {version}",
        id=origin.digest[:12],
        digest=origin.digest,
        at=origin.registered_at,
        by=origin.changes[0].actor if origin.changes else None,
        facts=tuple(facts),
        children=(
            *_training(origin),
            *_each("evaluation", map(_evaluation, origin.evaluations), _no_gates(origin)),
            *_each("approval", map(_approval, origin.approvals), "no approval is on record"),
            *_each("standing", map(_change, origin.changes), "no change of standing is on record"),
        ),
    )


def walk(node: Node) -> Iterable[Node]:
    """The node and all below it, depth first."""
    yield node
    for child in node.children:
        yield from walk(child)


def gap(kind: str, words: str) -> Node:
    """What is not on record."""
    return Node(kind=kind, title=words, on_record=False)


def _study(story: Story) -> Node:
    version, evidence = story.version, story.version.evidence
    facts = [
        ("whole by", f"{evidence.signal}{_of_expected(evidence)}"),
        ("received from", version.peer),
        ("answered", _when(version.answered_at)),
    ]
    if story.forgotten_at:
        facts.append(("pictures and pixels", f"deleted by the retention policy at {_when(story.forgotten_at)}"))
    return Node(
        kind="study version",
        title=f"version {version.number}, {version.state}, {len(story.instances)} instances",
        id=version.id,
        at=version.received_at,
        by=version.peer,
        facts=tuple(facts),
        children=(
            *(_instance(one, story) for one in story.instances),
            *_each("checks", _checks(story.checks), "no data check has looked at these acquisitions yet"),
        ),
    )


def _of_expected(evidence: Evidence) -> str:
    if evidence.expected is None:
        return ", no count was expected"
    return f", {evidence.expected} expected, {evidence.missing or 0} missing"


def _instance(one: Instance, story: Story) -> Node:
    row = story.acquisitions.get(one.id)
    facts = [("bytes", str(one.blob.size))]
    return Node(
        kind="instance",
        title=one.header.modality or "no modality",
        id=one.id,
        digest=story.contents.get(one.id),
        at=one.received_at,
        by=one.peer,
        facts=(*facts, *(_acquisition(row) if row else [("acquisition", "no row on record: it is no image")])),
    )


def _acquisition(row: Acquisition) -> Iterable[Fact]:
    yield "acquired", _joined(row.body_part, row.view, row.photometric, f"{row.rows} x {row.columns}")
    yield "device", _joined(row.manufacturer, row.model_name, row.station) or "not named"
    yield "tags missing", ", ".join(row.missing_tags) or "none"


def _checks(outcomes: Sequence[CheckOutcome]) -> Iterable[Node]:
    for suite in dict.fromkeys(one.suite for one in outcomes):
        mine = [one for one in outcomes if one.suite == suite]
        counted = Counter(one.outcome for one in mine)
        ends = f"{_when(min(one.window_start for one in mine))} to {_when(max(one.window_end for one in mine))}"
        yield Node(
            kind="checks",
            title=f"suite {suite}: " + ", ".join(f"{n} {word}" for word, n in sorted(counted.items())),
            id=suite,
            at=max(one.window_end for one in mine),
            by="watch",
            facts=(("window", ends), *((one.check, f"{one.outcome}, {one.unexpected} of {one.rows}") for one in mine)),
        )


def _training(origin: Origin) -> tuple[Node, ...]:
    if origin.trained:
        return tuple(_run(one) for one in origin.trained)
    if origin.bundle.shipped:
        return (gap("training run", "shipped with radloop: trained by models.training, no run here; see its card"),)
    return (gap("training run", "no training run is on record"),)


def _run(trained: Trained) -> Node:
    run = trained.run
    facts = (
        ("git commit", run.commit or "not on record"),
        ("parent", run.parent or "none: from random weights"),
        ("ran on", f"{run.device}, {run.threads} threads, {run.processes} processes, seed {run.seed}"),
        ("MLflow run", run.mlflow_run or "not on record"),
        ("ended", _when(run.ended_at)),
    )
    return Node(
        kind="training run",
        title=f"{run.state}, commit {run.commit[:12] or 'unknown'}",
        id=run.id,
        digest=run.digest,
        at=run.at,
        by=run.actor,
        facts=facts,
        children=(
            cohort_node(trained.cohort, trained.copies)
            if trained.cohort
            else gap("cohort", f"{run.cohort_id} is not on record"),
        ),
    )


def cohort_node(cohort: Cohort, copies: Sequence[CopyUse]) -> Node:
    """A cohort in counts: splits, labels, why each is in it, readers, what they had seen."""
    members = cohort.members
    return Node(
        kind="cohort",
        title=f"{len(members)} images of {len({member.patient for member in members})} patients",
        id=cohort.id,
        digest=cohort.digest,
        at=cohort.at,
        by=cohort.actor,
        facts=(
            ("splits", _counted(member.split for member in members)),
            ("labels", _counted(f"{member.label.target} {member.label.value}" for member in members)),
            ("drawn as", _counted(member.stratum for member in members)),
            ("readers", _counted(member.label.reader for member in members)),
            ("readers were", _counted(member.label.awareness for member in members)),
            ("left out", ", ".join(f"{n} {why}" for why, n in cohort.left_out) or "none"),
            ("copies deleted since", str(sum(not copy.kept for copy in copies))),
        ),
    )


def _no_gates(origin: Origin) -> str:
    first = "came with radloop and answered first: " if origin.bundle.shipped else ""
    return f"{first}no evaluation is on record"


def _evaluation(one: Evaluation) -> Node:
    return Node(
        kind="evaluation",
        title=f"{one.outcome if one.gates else 'cut short'}, look {one.look}, alpha {one.alpha:.4g}",
        id=one.id,
        at=one.at,
        by=one.actor,
        facts=(
            ("against champion", one.champion or "none"),
            ("against original", one.original or "none"),
            ("test cohort", one.cohort_id),
            ("change plan SHA-256", one.plan_sha256),
        ),
        children=tuple(_gate(gate) for gate in one.gates),
    )


def _gate(gate: GateVerdict) -> Node:
    return Node(kind="gate", title=f"{gate.gate}: {gate.outcome}", id=gate.gate, facts=tuple(gate_facts(gate)))


def gate_facts(gate: GateVerdict) -> Iterable[Fact]:
    """A gate's number with its interval, its margin, and the words that it came with."""
    if gate.value is not None:
        yield "value", measured(gate.value, gate.low, gate.high)
    if gate.margin is not None:
        yield "margin", f"{gate.margin:g}"
    yield "n", str(gate.n)
    if gate.words:
        yield "words", gate.words


def measured(value: float, low: float | None, high: float | None) -> str:
    """A number and its confidence interval in words."""
    return f"{value:.4g}" if low is None or high is None else f"{value:.4g} ({low:.4g} to {high:.4g})"


def _approval(one: Approval) -> Node:
    facts = (("on the evaluation", one.evaluation_id or "none"),)
    return Node(kind="approval", title=f"{one.kind} by {one.actor}", id=one.id, at=one.at, by=one.actor, facts=facts)


def _change(one: StandingChange) -> Node:
    title = f"{one.before} to {one.after}" if one.before else f"registered as {one.after}"
    return Node(kind="standing", title=title, id=one.id, at=one.at, by=one.actor, facts=(("why", one.why),))


def _outputs(story: Story) -> Iterable[Node]:
    sent: Mapping[str, list[Delivery]] = {one.id: [] for one in story.objects}
    for delivery in story.deliveries:
        sent[delivery.object.id].append(delivery)
    yield from _each("object", (_object(one, sent[one.id]) for one in story.objects), _no_objects(story.result))
    yield from _each("verdict", map(_verdict, story.verdicts), "no reader has given a verdict")
    signed = [_signoff(story.signoff)] if story.signoff else []
    yield from _each("sign-off", signed, "the study version is not signed off")


def _no_objects(result: Result) -> str:
    if result.model.standing is Standing.CHAMPION:
        return "no object was made: no peer wanted one"
    return f"no object was made: it answered silently, as {result.model.standing}, and nothing of it is sent"


def _object(one: StoredObject, sent: Sequence[Delivery]) -> Node:
    return Node(
        kind="object",
        title=f"{one.kind} {one.ordinal}" if one.ordinal else one.kind.value,
        id=one.id,
        digest=one.blob.sha256,
        facts=(("identifier", one.identifier), ("media type", one.media_type), ("bytes", str(one.blob.size))),
        children=tuple(_each("delivery", map(_delivery, sent), "it was queued for no peer")),
    )


def _delivery(one: Delivery) -> Node:
    facts = [("attempts", str(one.attempts)), ("accepted", _when(one.accepted_at))]
    if one.error:
        facts.append(("last error", one.error))
    return Node(kind="delivery", title=f"{one.peer}: {one.state}", id=one.id, at=one.accepted_at, facts=tuple(facts))


def _verdict(one: Verdict) -> Node:
    facts = [
        ("reader", one.reader),
        ("reader was", one.awareness.value),
        ("by way of", one.source.value),
        ("words", f"{len(one.text)} letters, kept in the ledger" if one.text else "none"),
    ]
    if one.code:
        facts.append(("code", f"{one.code.meaning} ({one.code.value}, {one.code.scheme})"))
    facts += [(name, str(value)) for name, value in (("severity", one.severity), ("side", one.laterality)) if value]
    title = f"{one.kind} {one.target or (one.code.meaning if one.code else '')}".strip()
    return Node(kind="verdict", title=title, id=one.id, at=one.at, by=one.actor, facts=tuple(facts))


def _signoff(one: SignOff) -> Node:
    words = f"{len(one.conclusion)} letters, kept in the ledger" if one.conclusion else "none"
    facts = (("reader", one.reader), ("by way of", one.source.value), ("conclusion", words))
    title = f"signed by {one.reader}"
    return Node(kind="sign-off", title=title, id=one.version_id, at=one.at, by=one.actor, facts=facts)


def _result_facts(result: Result) -> Iterable[Fact]:
    yield from ((finding.code.meaning, _finding(finding)) for finding in result.findings)
    if result.reason:
        yield "reason", result.reason
    yield "stood then as", f"{result.model.standing}, {result.model.qualification}"
    run = result.run
    yield (
        "computed",
        (
            f"batch {run.batch}, {run.device}, {run.threads} threads, {run.build}, {run.seconds:g} s"
            if run
            else "not: no network was asked"
        ),
    )
    yield "replaces", result.predecessor_id or "no earlier result"


def _finding(finding: Finding) -> str:
    side = "at or above" if finding.positive else "below"
    extras = [str(one) for one in (finding.severity, finding.laterality) if one]
    image = [f"on {finding.instance_id}"] if finding.instance_id else []
    said = f"{finding.probability:.4f}, {side} the threshold of {finding.threshold:.4f}"
    return ", ".join([said, finding.urgency, *extras, *image])


def _outcome(result: Result) -> str:
    if result.status is not ResultStatus.OK:
        return result.status.value
    positive = [f"{one.code.meaning} {one.probability:.2f}" for one in result.findings if one.positive]
    return ", ".join(positive) or "nothing above its threshold"


def _each(kind: str, nodes: Iterable[Node], otherwise: str) -> tuple[Node, ...]:
    return tuple(nodes) or (gap(kind, otherwise),)


def _counted(words: Iterable[str]) -> str:
    return ", ".join(f"{n} {word}" for word, n in sorted(Counter(map(str, words)).items())) or "none"


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _when(at: datetime | None) -> str:
    return at.isoformat(timespec="seconds") if at else "not yet"
