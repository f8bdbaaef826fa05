"""Who may be in a cohort: pure functions from candidates to those that stay and a count, by reason, of the others.

Every guard says for one candidate why it is left out, or None. None of them looks at pixels, ledger or store.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from radloop.domain.enums import Awareness, Split
from radloop.domain.learning import Facts, Label

SALT: Final = "radloop cohort split 1"
"""Fixed for ever: with another salt every patient would move."""
Shares = tuple[tuple[float, Split], ...]
Guard = Callable[["Candidate"], "Reason | None"]


class Purpose(StrEnum):
    """What an imported set is for."""

    ALL = "all"
    """Divided by patient into all three."""
    TRAIN = "train"
    """Training and validation."""
    TEST = "test"
    """All of it is a frozen test set."""


SHARES: Final[Mapping[Purpose, Shares]] = {
    Purpose.ALL: ((0.70, Split.TRAIN), (0.85, Split.VALIDATION), (1.0, Split.TEST)),
    Purpose.TRAIN: ((0.70, Split.TRAIN), (0.85, Split.VALIDATION), (1.0, Split.TRAIN)),
    Purpose.TEST: ((1.0, Split.TEST),),
}
"""Up to which point of 0..1 a patient falls into which split."""
STRONGER: Final = (Split.TEST, Split.VALIDATION, Split.TRAIN)
"""Who keeps what two splits could have: what measures goes before what is learned from."""


class Reason(StrEnum):
    """Why something is not in a cohort."""

    NO_CONSENT = "no consent"
    DISAGREEMENT = "readers disagree"
    NOT_BLINDED = "not blinded"
    PATIENT = "patient is in another split"
    PURPOSE = "brought for another purpose"
    PIXELS = "same pixels in another split"
    ALIKE = "nearly the same picture in another split"
    UNDECODABLE = "pixels cannot be decoded"
    OUTSIDE = "outside the model's card"
    GONE = "image is no longer stored"
    WHICH_IMAGE = "not known which image shows it"
    NOT_DRAWN = "agreement not drawn"
    UNREADABLE = "file cannot be read"
    NO_LABEL = "label is not known"
    LISTED_TWICE = "listed twice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A labelled image on its way into a cohort. What is not known yet is None or ''.

    `labels` are the newest words of its readers on the model's target. `consent` says on what word it may be learned
    from (None: it may not), `wanted` the split that it was brought for.
    """

    content_sha256: str
    patient: str
    labels: tuple[Label, ...]
    stratum: str
    probability: float = 1.0
    consent: str | None = None
    wanted: Split | None = None
    facts: Facts = field(default_factory=Facts)
    version_id: str | None = None
    instance_id: str | None = None
    copy_id: str = ""
    pixel_sha256: str = ""
    split: Split | None = None
    label: Label | None = None


@dataclass(frozen=True, slots=True)
class Alike:
    """Groups of pictures that are nearly the same, by copy id, and the split of those that hold earlier members."""

    groups: Mapping[str, str] = field(default_factory=dict)
    splits: Mapping[str, Split] = field(default_factory=dict)

    def group_of(self, candidate: Candidate) -> str:
        """The group of a candidate's picture: its own where nothing is like it."""
        return self.groups.get(candidate.copy_id, candidate.copy_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the ledger knows: copies that are there, and where earlier cohorts placed patients and pictures."""

    there: Collection[str]
    patients: Mapping[str, Split]
    pixels: Mapping[str, Split]
    alike: Alike = field(default_factory=Alike)


@dataclass(frozen=True, slots=True)
class Sifted:
    """Those that stay, and how many were left out for which reason."""

    kept: tuple[Candidate, ...]
    left_out: Counter[str]


def sift(candidates: Iterable[Candidate], *guards: Guard) -> Sifted:
    """Ask the guards in turn; the first reason counts."""
    kept: list[Candidate] = []
    left_out: Counter[str] = Counter()
    for candidate in candidates:
        reason = next((reason for guard in guards if (reason := guard(candidate))), None)
        if reason is None:
            kept.append(candidate)
        else:
            left_out[reason] += 1
    return Sifted(tuple(kept), left_out)


def sift_all(candidates: Iterable[Candidate], known: Known, shares: Shares) -> Sifted:
    """Every guard in turn: consent, readers, blinding, then one split for each patient and each picture."""
    agreed = sift(candidates, no_consent, gone(known.there), disagreement)
    divided = sift(
        [_divided(one, known.patients, shares) for one in agreed.kept],
        other_purpose({split for _, split in shares}),
        in_another_split(known.patients, _patient, Reason.PATIENT),
        not_blinded,
    )
    whole = sift(divided.kept, in_another_split(strongest(divided.kept, _patient), _patient, Reason.PATIENT))
    pixels = {**strongest(whole.kept, _pixels), **known.pixels}
    distinct = sift(whole.kept, in_another_split(pixels, _pixels, Reason.PIXELS))
    groups = {**strongest(distinct.kept, known.alike.group_of), **known.alike.splits}
    unlike = sift(distinct.kept, in_another_split(groups, known.alike.group_of, Reason.ALIKE))
    left_out: Counter[str] = Counter()
    for stage in (agreed, divided, whole, distinct, unlike):
        left_out.update(stage.left_out)
    return Sifted(unlike.kept, left_out)


def no_consent(candidate: Candidate) -> Reason | None:
    """Nobody is learned from whose word, or whose site's policy, does not say so."""
    return None if candidate.consent else Reason.NO_CONSENT


def gone(there: Collection[str]) -> Guard:
    """A guard that leaves out images whose training copy is none of `there`."""

    def guard(candidate: Candidate) -> Reason | None:
        return None if candidate.copy_id in there else Reason.GONE

    return guard


def other_purpose(allowed: Collection[Split]) -> Guard:
    """A guard that leaves out what its table keeps for a split that this cohort has none of."""

    def guard(candidate: Candidate) -> Reason | None:
        return None if candidate.split in allowed else Reason.PURPOSE

    return guard


def disagreement(candidate: Candidate) -> Reason | None:
    """Two readers who differ go to a third; without a majority the image is left out."""
    return Reason.DISAGREEMENT if resolved(candidate.labels) is None else None


def not_blinded(candidate: Candidate) -> Reason | None:
    """What measures a model rests on readers who had not seen it (MLOPS.md, Retraining and gates)."""
    if candidate.split is not Split.TEST:
        return None
    return Reason.NOT_BLINDED if label_for(candidate.labels, Split.TEST) is None else None


def in_another_split(taken: Mapping[str, Split], key: Callable[[Candidate], str], reason: Reason) -> Guard:
    """A guard that leaves out what is in another split than `taken` says for its key."""

    def guard(candidate: Candidate) -> Reason | None:
        return reason if taken.get(key(candidate), candidate.split) is not candidate.split else None

    return guard


def strongest(candidates: Iterable[Candidate], key: Callable[[Candidate], str]) -> dict[str, Split]:
    """Which split keeps each key, where its candidates are in several."""
    taken: dict[str, Split] = {}
    for candidate in candidates:
        if candidate.split is not None:
            mine = taken.setdefault(key(candidate), candidate.split)
            taken[key(candidate)] = min(mine, candidate.split, key=STRONGER.index)
    return taken


def split_of(patient: str, shares: Shares) -> Split:
    """The split of a patient (surrogate id) by hash: the same today and in ten years."""
    point = chance(SALT, patient)
    return next(split for end, split in shares if point < end)


def chance(*parts: str) -> float:
    """A number of 0..1 (1 excluded) that the parts alone decide, evenly spread: the first 52 bits of SHA-256."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 12) / (1 << 52)


def resolved(labels: Sequence[Label]) -> int | None:
    """What more than half of the readers say, 0 or 1; None where no side has more, or nobody said anything."""
    ones = sum(label.value for label in labels)
    zeros = len(labels) - ones
    return None if ones == zeros else int(ones > zeros)


def label_for(labels: Sequence[Label], split: Split) -> Label | None:
    """The label that stands for all of them in a split: of the winning side, a blinded reader's first, then by name.

    In TEST it must be a blinded reader's, and the blinded ones alone must come to the same.
    """
    value = resolved(labels)
    if value is None:
        return None
    blinded = [label for label in labels if label.awareness is Awareness.BLINDED]
    if split is Split.TEST and resolved(blinded) != value:
        return None
    winners = [label for label in labels if label.value == value]
    return min(winners, key=lambda label: (label.awareness is not Awareness.BLINDED, label.reader, label.origin))


def _divided(one: Candidate, placed: Mapping[str, Split], shares: Shares) -> Candidate:
    """With the split that it was brought for, or its patient has for ever, or else falls into."""
    allowed = {split for _, split in shares}
    if allowed == {Split.TEST}:
        return replace(one, split=Split.TEST)
    known = placed.get(one.patient)
    return replace(one, split=one.wanted or (known if known in allowed else None) or split_of(one.patient, shares))


def _patient(one: Candidate) -> str:
    return one.patient


def _pixels(one: Candidate) -> str:
    return one.pixel_sha256
