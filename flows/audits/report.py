"""The report of an audit as a document: what was measured, how it is to be read, and what it cannot say.

It names models, sites and scanners; studies by our own ids, and no reader.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final

import numpy as np

from flows.audits.accuracy import LEAST, Accuracy, Measured
from flows.audits.cases import Reading
from flows.audits.disagreement import Kinds, Missed
from flows.audits.measuring import Audit
from flows.audits.reading import ReadTimes
from flows.audits.turnaround import Stage
from radloop.domain.enums import VerdictKind
from radloop.render.document import Block, Bullets, Document, Figure, Heading, Paragraph, Table
from radloop.render.figures import Row, forest, roc
from radloop.render.spans import Span, lasting, spans

INSUFFICIENT: Final = "insufficient data"
MOST_MISSED: Final = 60
"""Rows in the report; the data beside it has them all."""
NO_TIMES: Final = (
    "The RIS sends no times at which a reader began and ended to read a study (OBR-32.2 and OBR-32.3): none is on "
    "record, so reading time before and after the models cannot be told."
)
READ_TIMES: Final = (
    "From the times that the RIS sends with its reports (OBR-32.2 and OBR-32.3), medians. With: a champion had "
    "answered before the reader began. Studies with and without an answer differ in more than the answer: a difference "
    "is a hint and no proof. Whose readings these were is not kept."
)
MEASURES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "auc": "AUC",
        "sensitivity": "sensitivity",
        "specificity": "specificity",
        "ppv": "PPV",
        "npv": "NPV",
        "agreement": "agreement: words that are no override",
    }
)
HOW_TO_READ: Final = (
    "**Whose word.** The signer's last word on a finding counts, else the newest of any reader, as on record when the "
    "report was made.",
    "**Accuracy is over studies with a verdict.** A signed study on which nobody said anything of a finding is in no "
    "share: sensitivity and specificity are biased where what the model said decided who was judged (verification "
    "bias). The table of verified answers shows how far that goes, with both corrected after Begg and Greenes; PPV and "
    "NPV do not suffer from it.",
    "**Blinded or not.** Readers who saw the AI tend to agree with it: their words are counted apart from those of "
    "blinded readers, and only the latter say how right a model is.",
    f"**Small numbers.** Below {LEAST} cases under its line a number is not told: {INSUFFICIENT}. For an AUC the rarer "
    "of both kinds counts.",
    "**Intervals** are of 95 %: Wilson for shares, DeLong for areas; where patients have several studies, the wider of "
    "these and a bootstrap over whole patients. Many rows are compared: one in twenty misses the truth by chance.",
    "**Subgroups** are site (the peer that sent the study), scanner (maker, model, station), sex, age band and "
    "month of the signature; a study whose header says nothing belongs to none.",
    "An override is held against nobody, and no reader is named here.",
)


def document(audit: Audit, report_id: str, actor: str, at: datetime) -> Document:
    """The report."""
    blocks = (
        *_head(audit, report_id, actor, at),
        *_glance(audit),
        Heading("How to read this"),
        Bullets(HOW_TO_READ),
        *_verified(audit),
        *_accuracy(audit),
        *_verdicts(audit),
        *_turnaround(audit.stages),
        *_reading(audit.readings),
        *_missed(audit.missed),
        *_versions(audit),
    )
    return Document(f"Audit of {audit.model or 'all models'}", blocks, at)


def _head(audit: Audit, report_id: str, actor: str, at: datetime) -> Iterator[Block]:
    yield Table(
        ("", ""),
        (
            ("period", str(audit.period)),
            ("site", audit.site),
            ("report", report_id),
            ("made", f"{at:%Y-%m-%d %H:%M} UTC by {actor}"),
            ("check it", f"`radloop report verify {report_id}`"),
        ),
    )


def _glance(audit: Audit) -> Iterator[Block]:
    yield Heading("At a glance")
    n = audit.counts
    yield Paragraph(
        f"Readers signed {n.signed} study versions in this period; a champion had answered {n.answered} of them, and "
        f"{n.judged} of those carry a verdict. {len(audit.missed)} findings were seen by a reader and not called by a "
        f"model, {sum(one.critical for one in audit.missed)} of them urgent, critical or of unknown urgency."
    )
    rows = [row for row in audit.overall if row.cases]
    if not rows:
        yield Paragraph(f"No answer of this period carries a verdict: {INSUFFICIENT} for any accuracy.")
        return
    yield Table(
        ("finding", "readers", "AUC", "sensitivity", "specificity", "PPV"),
        tuple(
            (_finding(row), row.group.reading.value, *map(_cell, (row.auc, row.sensitivity, row.specificity, row.ppv)))
            for row in rows
        ),
    )


def _verified(audit: Audit) -> Iterator[Block]:
    yield Heading("Verified answers")
    yield Table(
        (
            "finding",
            "readers",
            "called: judged",
            "not called: judged",
            "sensitivity, corrected",
            "specificity, corrected",
        ),
        tuple(
            (
                f"{one.group.model} {one.group.version} {one.group.target}",
                one.group.reading.value,
                _part(one.called_judged, one.called),
                _part(one.silent_judged, one.silent),
                _cell(one.sensitivity),
                _cell(one.specificity),
            )
            for one in audit.verifications
        ),
    )
    yield Paragraph(
        "Corrected: each judged answer stands for as many answers of the same call as nobody judged (Begg and Greenes "
        "1983). This holds where, given the call, chance alone decided who was judged."
    )


def _accuracy(audit: Audit) -> Iterator[Block]:
    for row in (row for row in audit.overall if row.cases):
        group = row.group
        every = [one for one in audit.accuracies if not one.group.overall and _same(one, row)]
        parts, small = _by_size(every)
        yield Heading(f"{_finding(row)}: readers who {_who(group.reading)}")
        yield Paragraph(
            f"{row.cases} cases of {row.patients} patients, {row.positives} with the finding by the reader."
        )
        yield Table(("measure", "value", "95 % interval", "n"), tuple(_number(name, row) for name in MEASURES))
        yield from _figures(audit, row, parts)
        if parts:
            yield Table(
                ("subgroup", "n", "with", "sensitivity", "specificity", "PPV", "AUC", "agreement"),
                tuple(_subgroup(one) for one in parts),
            )
        if small:
            listed = ", ".join(f"{_place(one)} ({one.cases})" for one in small)
            yield Paragraph(f"Fewer than {LEAST} cases, {INSUFFICIENT}: {listed}.")


def _by_size(rows: Iterable[Accuracy]) -> tuple[list[Accuracy], list[Accuracy]]:
    """Those of which something can be told, and those with too few cases for anything."""
    found: tuple[list[Accuracy], list[Accuracy]] = ([], [])
    for row in rows:
        found[row.cases < LEAST].append(row)
    return found


def _number(name: str, row: Accuracy) -> tuple[str, ...]:
    number: Measured = getattr(row, name)
    words = MEASURES[name]
    if number.value is None:
        return words, INSUFFICIENT, "", str(number.n)
    return words, f"{number.value:.3f}", f"{number.low:.3f} to {number.high:.3f}", str(number.n)


def _figures(audit: Audit, row: Accuracy, parts: Sequence[Accuracy]) -> Iterator[Block]:
    points = audit.rocs.get(row.group)
    if points is not None:
        operating = _operating(row)
        words = f"AUC {row.auc.value:.3f} ({row.auc.low:.3f} to {row.auc.high:.3f}), n {row.auc.n}"
        yield Figure(
            roc(np.array(points), words, operating), f"{_finding(row)}, readers who {_who(row.group.reading)}."
        )
    for measure in ("sensitivity", "specificity"):
        overall: Measured = getattr(row, measure)
        told = [one for one in parts if getattr(one, measure).value is not None]
        if told and overall.value is not None:
            rows = [_forest_row(one, getattr(one, measure)) for one in parts]
            drawn = forest(rows, measure, overall.value, f"{measure.capitalize()} by subgroup")
            yield Figure(drawn, f"{_finding(row)}, readers who {_who(row.group.reading)}: 95 % intervals.")


def _operating(row: Accuracy) -> tuple[float, float] | None:
    if row.sensitivity.value is None or row.specificity.value is None:
        return None
    return 1.0 - row.specificity.value, row.sensitivity.value


def _forest_row(row: Accuracy, number: Measured) -> Row:
    return Row(_place(row), number.value, number.low, number.high, f"n {number.n}")


def _verdicts(audit: Audit) -> Iterator[Block]:
    yield Heading("What readers said")
    if not audit.kinds:
        yield Paragraph("Nothing, in this period.")
        return
    yield Table(
        ("finding", "readers", "the model", *(kind.value.lower() for kind in VerdictKind)),
        tuple(_said(one) for one in audit.kinds),
    )
    yield Paragraph(
        "Reject, modify and add are overrides. Every reader sees their own with `radloop report readers`, as offers of "
        "a second read; the lead reader sees all, in the order of names."
    )


def _said(one: Kinds) -> tuple[str, ...]:
    group = one.group
    return (
        f"{group.model} {group.version} {group.target}",
        group.reading.value,
        "called it" if one.called else "did not",
        *(str(one.counts.get(kind, 0)) for kind in VerdictKind),
    )


def _turnaround(stages: Iterable[Stage]) -> Iterator[Block]:
    rows = [one for one in stages if one.n or one.behind]
    yield Heading("Turnaround")
    if not rows:
        yield Paragraph("No answered study was signed in this period.")
        return
    drawn = [Span(f"{one.urgency.value.lower()}: {one.name}", one.median, one.ninth, f"n {one.n}") for one in rows]
    yield Figure(
        spans(drawn, "From the first image to the signature"), "By the urgency that the models gave the study."
    )
    yield Table(
        ("urgency", "stage", "median", "90th percentile", "n", "clocks differ"),
        tuple(
            (
                one.urgency.value.lower(),
                one.name,
                _lasting(one.median),
                _lasting(one.ninth),
                str(one.n),
                str(one.behind),
            )
            for one in rows
        ),
    )
    yield Paragraph(
        "Accepted: by the first peer that took an object of the answer. A time before an earlier stage's comes from a "
        "clock that differs: such studies are counted and left out. The signature's time is the RIS's or the reader's "
        "own."
    )


def _reading(readings: Sequence[ReadTimes]) -> Iterator[Block]:
    yield Heading("Reading time")
    if not readings:
        yield Paragraph(NO_TIMES)
        return
    yield Table(
        ("modality", "without an answer", "n", "with an answer", "n", "minutes saved"),
        tuple(
            (
                one.modality,
                _lasting(one.without),
                str(one.without_n),
                _lasting(one.beside),
                str(one.beside_n),
                _cell(one.saved),
            )
            for one in readings
        ),
    )
    yield Paragraph(READ_TIMES)


def _missed(missed: Sequence[Missed]) -> Iterator[Block]:
    critical = [one for one in missed if one.critical]
    yield Heading("Missed findings")
    if not critical:
        others = f" {len(missed)} of routine urgency are in the data beside this report." if missed else ""
        yield Paragraph(f"No urgent or critical finding that a reader saw was left uncalled.{others}")
        return
    yield Paragraph(
        "A reader saw the finding and the model did not call it. The urgency is what the card, or the site, makes of "
        "the finding where it is certain. `radloop explain` follows a study version back."
    )
    yield Table(
        ("study version", "finding", "model", "urgency", "severity", "probability", "readers"),
        tuple(_missed_row(one) for one in critical[:MOST_MISSED]),
    )
    if len(critical) > MOST_MISSED:
        yield Paragraph(f"And {len(critical) - MOST_MISSED} more, in the data beside this report.")


def _missed_row(one: Missed) -> tuple[str, ...]:
    return (
        one.version_id,
        one.target or "named by no code",
        f"{one.model} {one.version}",
        one.urgency.value.lower() if one.urgency else "unknown",
        one.severity.lower() if one.severity else "",
        "" if one.probability is None else f"{one.probability:.3f}",
        one.reading.value if one.reading else "addition",
    )


def _versions(audit: Audit) -> Iterator[Block]:
    yield Heading("Model versions")
    if not audit.versions:
        yield Paragraph("No champion answered a study that was signed in this period.")
        return
    yield Table(
        ("model", "version", "qualification", "digest"),
        tuple((one.name, one.version, one.qualification, one.digest) for one in audit.versions),
    )


def _subgroup(row: Accuracy) -> tuple[str, ...]:
    numbers = (row.sensitivity, row.specificity, row.ppv, row.auc, row.agreement)
    return (_place(row), str(row.cases), str(row.positives), *map(_cell, numbers))


def _place(row: Accuracy) -> str:
    return f"{row.group.fact.replace('_', ' ')} {row.group.value}"


def _same(one: Accuracy, other: Accuracy) -> bool:
    first, second = one.group, other.group
    return (first.digest, first.target, first.reading) == (second.digest, second.target, second.reading)


def _finding(row: Accuracy) -> str:
    return f"{row.group.model} {row.group.version} {row.group.target}"


def _who(reading: Reading) -> str:
    return {Reading.BLINDED: "were blinded", Reading.SAW_AI: "saw the AI"}[reading]


def _cell(number: Measured) -> str:
    if number.value is None:
        return INSUFFICIENT
    return f"{number.value:.2f} ({number.low:.2f}\u2013{number.high:.2f})"


def _part(some: int, of: int) -> str:
    return f"{some} of {of} ({some / of:.0%})" if of else "none"


def _lasting(seconds: float | None) -> str:
    return INSUFFICIENT if seconds is None else lasting(seconds)
