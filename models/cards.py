"""The model card of a version, made from what is on record: the bundle, the ledger, and a look at the test cohort.

After Mitchell et al. 2019, "Model Cards for Model Reporting". What is not on record is said, never left out.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from models.curves import Curves
from models.spec import ModelSpec, TargetSpec
from radloop.domain.enums import Awareness, Split
from radloop.domain.learning import Approval, Cohort, CohortMember, Evaluation, GateVerdict, StandingChange, TrainingRun
from radloop.domain.records import ModelVersion
from radloop.render.document import Block, Bullets, Document, Figure, Heading, Paragraph, Table, sections
from radloop.render.figures import forest, reliability, roc

FEW: Final = 400
"""Test images below which no gate of the zoo's plans has much power."""
TOLD: Final = ("", "Intended use", "Applicability, checked before inference", "Metrics", "Limits", "What it says")
"""Sections of a bundle's docs/card.md that are shown in a place of their own, or told from the record instead."""
MEASURES: Final[Mapping[str, str]] = {
    "auc": "AUC",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "brier": "Brier score",
    "ece": "expected calibration error",
    "style_auc": "AUC of a probe that sees style, no anatomy",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleWords:
    """What a bundle says of itself: its card (None: it cannot be read), docs/card.md, docs/metrics.json.

    `fault` says why the bundle is not to be trusted; None where it is whole and signed.
    """

    spec: ModelSpec | None
    words: str
    metrics: Mapping[str, object]
    fault: str | None
    weights: tuple[tuple[str, str], ...]
    shipped: bool


@dataclass(frozen=True, slots=True)
class FirstVersion:
    """The version that a retrained one goes back to, and its docs/card.md: intended use and limits hold on."""

    digest: str
    words: str


@dataclass(frozen=True, slots=True)
class Lesson:
    """A training run, its cohort (None: not on record), and how many of its copies were deleted since."""

    run: TrainingRun
    cohort: Cohort | None
    deleted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """Everything that a card is made of. `curves` is a sentence where none can be drawn. `read`: study versions.

    `first` is None for a version without ancestors, or where these are not here.
    """

    version: ModelVersion
    registered_at: datetime | None
    bundle: BundleWords
    first: FirstVersion | None
    lessons: tuple[Lesson, ...]
    evaluations: tuple[Evaluation, ...]
    approvals: tuple[Approval, ...]
    changes: tuple[StandingChange, ...]
    curves: Curves | str
    read: int
    at: datetime


def card(facts: CardFacts) -> Document:
    """The card as a document."""
    said = sections(facts.bundle.words)
    title = facts.bundle.spec.title if facts.bundle.spec else "its bundle cannot be read"
    blocks = (
        *_what_it_is(facts),
        *_intended_use(facts, said),
        *_findings(facts.bundle.spec),
        *_standing(facts),
        *_training(facts, said),
        *_metrics(facts),
        *_figures(facts.curves),
        *_limits(facts, said),
    )
    return Document(f"{facts.version.name} {facts.version.version}: {title}", blocks, facts.at)


def _what_it_is(facts: CardFacts) -> Iterator[Block]:
    version, bundle = facts.version, facts.bundle
    yield Paragraph(f"**{version.qualification}.** Not a medical device. It advises; a radiologist reads every image.")
    signed = "valid, by this site's key" if bundle.fault is None else f"NOT valid: {bundle.fault}"
    rows = [
        ("version", f"{version.name} {version.version}"),
        ("digest (SHA-256 of the manifest)", version.digest),
        *((f"SHA-256 of {path}", sha) for path, sha in bundle.weights),
        ("signature", signed),
        ("standing", version.standing.value),
        ("qualification", version.qualification.value),
        ("in the ledger since", _when(facts.registered_at)),
        ("study versions read", str(facts.read)),
        ("this card was written", _when(facts.at)),
    ]
    yield Table(("", ""), tuple(rows))


def _intended_use(facts: CardFacts, said: Mapping[str, tuple[Block, ...]]) -> Iterator[Block]:
    yield Heading("Intended use")
    yield from said.get("Intended use") or (Paragraph("Not on record: the bundle carries no words on it."),)
    yield from _of_the_first(facts, said, "Intended use")
    if facts.bundle.spec:
        yield Paragraph(f"Read only where, by its header, an image is: {_applicability(facts.bundle.spec)}.")


def _of_the_first(facts: CardFacts, said: Mapping[str, tuple[Block, ...]], heading: str) -> Iterator[Block]:
    """What the first version's card says under a heading, where this one's says something else."""
    first = sections(facts.first.words).get(heading, ()) if facts.first else ()
    if facts.first and first and first != said.get(heading):
        yield Paragraph(f"The first version, {facts.first.digest[:12]}, says:")
        yield from first


def _applicability(spec: ModelSpec) -> str:
    card = spec.applicability
    parts = [
        f"of modality {_either(card.modalities)}",
        f"of body part {_either(card.body_parts)} or none given" if card.body_parts else "",
        f"in view {_either(card.views)} or none given" if card.views else "",
        f"{card.plane.lower()}" if card.plane else "",
        f"greyscale, one frame, at least {card.min_rows} x {card.min_columns}",
    ]
    return ", ".join(part for part in parts if part)


def _findings(spec: ModelSpec | None) -> Iterator[Block]:
    if spec is None:
        return
    yield Heading("What it says")
    columns = ("finding", "code", "positive from", "urgency from", "urgency", "location")
    yield Table(columns, tuple(_target(target) for target in spec.targets))
    calibration = spec.calibration
    yield Paragraph(
        f"Probabilities are calibrated ({calibration.method}: slope {calibration.slope:g}, intercept "
        f"{calibration.intercept:g}). The network sees {spec.input_size} x {spec.input_size} pixels{_seen(spec)}. Of "
        "several images of a study the highest probability counts. Below its threshold a finding is listed too."
    )


def _seen(spec: ModelSpec) -> str:
    if spec.window is None:
        return ""
    centre, width = spec.window
    return f" of {centre - width / 2:g} to {centre + width / 2:g} HU"


def _target(target: TargetSpec) -> tuple[str, ...]:
    return (
        target.code.meaning,
        f"{target.code.value} ({target.code.scheme})",
        f"{target.threshold:g}",
        f"{target.escalate_at:g}",
        target.escalates_to.value,
        target.location.meaning if target.location else "none",
    )


def _standing(facts: CardFacts) -> Iterator[Block]:
    yield Heading("Qualification and standing")
    if facts.changes:
        rows = tuple((_when(c.at), f"{c.before or 'new'} to {c.after}", c.actor, c.why) for c in facts.changes)
        yield Table(("when", "step", "by", "why"), rows)
    else:
        yield Paragraph("No change of standing is on record.")
    if facts.approvals:
        given = tuple((_when(a.at), a.kind.value, a.actor, a.evaluation_id or "none") for a in facts.approvals)
        yield Table(("approved", "what", "by", "on the evaluation"), given)
    else:
        yield Paragraph("No approval is on record.")


def _training(facts: CardFacts, said: Mapping[str, tuple[Block, ...]]) -> Iterator[Block]:
    yield Heading("Training")
    for lesson in facts.lessons:
        yield from _lesson(lesson)
    if not facts.lessons:
        yield Paragraph(
            "Shipped with radloop: trained by models.training before it came here, so no training run is on record."
            if facts.bundle.shipped
            else "No training run is on record."
        )
    for heading, blocks in said.items():
        if heading not in TOLD:
            yield Heading(heading, 3)
            yield from blocks


def _lesson(lesson: Lesson) -> Iterator[Block]:
    run, cohort = lesson.run, lesson.cohort
    rows = [
        ("training run", f"{run.id}, {run.state}, started {_when(run.at)} by {run.actor}"),
        ("git commit", run.commit or "not on record"),
        ("parent", run.parent or "none: from random weights"),
        ("computed on", f"{run.device}, {run.threads} threads, {run.processes} processes, seed {run.seed}"),
        ("MLflow run", run.mlflow_run or "not on record"),
        ("cohort", f"{run.cohort_id}, digest {cohort.digest}" if cohort else f"{run.cohort_id} is not on record"),
        *(_cohort(cohort) if cohort else ()),
        ("copies deleted since", str(lesson.deleted)),
    ]
    yield Table(("", ""), tuple(rows))


def _cohort(cohort: Cohort) -> Iterator[tuple[str, str]]:
    members = cohort.members
    yield "images and patients", f"{len(members)} images of {len({member.patient for member in members})} patients"
    for split in Split:
        inside = [member for member in members if member.split is split]
        labels = _counted(f"{member.label.target} {member.label.value}" for member in inside)
        yield split.value.lower(), f"{len(inside)} images ({labels})"
    yield "origin", _counted(member.stratum for member in members)
    yield "readers", _counted(member.label.reader for member in members)
    yield "readers were", _counted(member.label.awareness.value for member in members)
    yield "left out", ", ".join(f"{count} {why}" for why, count in cohort.left_out) or "none"


def _metrics(facts: CardFacts) -> Iterator[Block]:
    yield Heading("Metrics")
    held = _measured(facts.bundle.metrics)
    if held:
        yield Paragraph("From docs/metrics.json of the signed bundle, with 95 % confidence intervals:")
        yield Table(("measure", "value"), held)
    else:
        yield Paragraph("The bundle's docs/metrics.json holds no measured value.")
    if not facts.evaluations:
        yield Paragraph("No evaluation is on record: no gate of the change plan has looked at this version.")
    yield from (block for newest in facts.evaluations[-1:] for block in _gates(newest))


def _gates(newest: Evaluation) -> Iterator[Block]:
    against = f"against champion {_short(newest.champion)} and original {_short(newest.original)}"
    yield Paragraph(
        f"Newest evaluation {newest.id} of {_when(newest.at)} by {newest.actor}: **{newest.outcome}**. Look "
        f"{newest.look} at the test images of cohort {newest.cohort_id}, one-sided alpha {newest.alpha:.4g}, change "
        f"plan {newest.plan_sha256[:12]}, {against}."
    )
    yield Table(("gate", "outcome", "value", "margin", "n", "words"), tuple(map(_gate, newest.gates)))


def _gate(gate: GateVerdict) -> tuple[str, ...]:
    value = "" if gate.value is None else f"{gate.value:.4g}"
    if gate.low is not None and gate.high is not None:
        value += f" ({gate.low:.4g} to {gate.high:.4g})"
    margin = "" if gate.margin is None else f"{gate.margin:g}"
    return gate.gate, gate.outcome.value, value, margin, str(gate.n), gate.words


def _measured(metrics: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Whatever in the bundle's metrics has a value and an interval, at the top or one level below."""
    rows = []
    for name, value in [*metrics.items(), *(item for part in metrics.values() for item in _items(part))]:
        numbers = [dict(_items(value)).get(key) for key in ("value", "low", "high")]
        if all(isinstance(number, int | float) for number in numbers):
            one, low, high = numbers
            rows.append((MEASURES.get(name, name), f"{one:.3f} ({low:.3f} to {high:.3f})"))
    return tuple(rows)


def _items(part: object) -> Iterable[tuple[str, object]]:
    return part.items() if isinstance(part, Mapping) else ()


def _figures(curves: Curves | str) -> Iterator[Block]:
    yield Heading("Figures")
    if isinstance(curves, str):
        yield Paragraph(f"ROC, calibration and subgroups cannot be drawn: {curves}.")
        return
    area = f"AUC {curves.area.value:.3f} ({curves.area.low:.3f} to {curves.area.high:.3f})" if curves.area else ""
    said = ", ".join(part for part in (area, f"n = {curves.n}") if part)
    yield Figure(roc(curves.roc, said, curves.operating), f"Receiver operating characteristic on {curves.source}.")
    yield Figure(reliability(curves.bins, said), "Calibration in ten bins; intervals are Wilson's, 95 %.")
    if curves.subgroups:
        whole = curves.area.value if curves.area else None
        yield Figure(forest(curves.subgroups, "AUC, 95 % interval (DeLong)", whole), "Subgroups of the test images.")
    else:
        yield Paragraph("Subgroups cannot be drawn: site, scanner, sex and age of the test images are not on record.")


def _limits(facts: CardFacts, said: Mapping[str, tuple[Block, ...]]) -> Iterator[Block]:
    yield Heading("Limits")
    yield from said.get("Limits", ())
    yield from _of_the_first(facts, said, "Limits")
    yield Bullets(tuple(_honest(facts)))


def _honest(facts: CardFacts) -> Iterator[str]:
    """What follows from the record, whatever the bundle says of itself."""
    members = [member for lesson in facts.lessons if lesson.cohort for member in lesson.cohort.members]
    if facts.bundle.shipped:
        yield "Trained on a small public set and on synthetic phantoms: expect other numbers at any other site."
    yield from _of_labels(members)
    if not isinstance(facts.curves, str) and facts.curves.n < FEW:
        yield f"The figures show {facts.curves.n} test images: intervals are wide, and a subgroup says little."
    if not facts.evaluations:
        yield "No gate has compared this version with another on blinded images."
    if facts.bundle.fault:
        yield "Its bundle cannot be trusted as it lies here: nothing may be answered with it."
    yield "Measured on the images named above and on no others. It may be wrong on any image; a reader decides."


def _of_labels(members: Sequence[CohortMember]) -> Iterator[str]:
    aware = sum(member.label.awareness is not Awareness.BLINDED for member in members)
    if aware:
        yield (
            f"{aware} of {len(members)} labels come from readers who had seen the AI, or might have: they lean towards "
            "what it said."
        )
    imported = sum(member.instance_id is None for member in members)
    if imported:
        yield f"{imported} of {len(members)} images were imported: their labels are as good as whoever brought them."


def _counted(words: Iterable[str]) -> str:
    return ", ".join(f"{count} {word}" for word, count in sorted(Counter(words).items())) or "none"


def _either(words: Sequence[str]) -> str:
    return " or ".join(words) or "any"


def _short(digest: str | None) -> str:
    return digest[:12] if digest else "none"


def _when(at: datetime | None) -> str:
    return at.isoformat(timespec="seconds") if at else "not on record"
