"""A reader's assessment of our findings: what a workstation sends back by C-STORE (docs/verdicts.md, DICOM SR).

Read by position in the tree of PS3.3 C.17.3, whatever surrounds it; the header is parsed within bounds first, and the
tree is walked with a stack of our own.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Final

from pydicom import Dataset
from pydicom import Sequence as Items
from pydicom.multival import MultiValue

from integrations.objects import concepts
from integrations.objects.sr import assessment_codes as codes
from radloop.domain.enums import Awareness, Laterality, Severity, VerdictKind
from radloop.domain.errors import TooLarge, Unparsable
from radloop.domain.records import Code
from radloop.pixels import Limits, read_header
from radloop.pixels.part10 import parsing

LARGEST: Final = 32 << 20
LIMITS: Final = Limits(inflated=LARGEST)
MOST_REFERENCES: Final = 2_000
MOST_FINDINGS: Final = 500
LONGEST_TEXT: Final = 4_000

_UID: Final = re.compile(r"[0-9]+(?:\.[0-9]+)*")
# PS3.5 Table 6.2-1, DT and the TM of a content time; the fraction is of no use here.
_MOMENT: Final = re.compile(r"(\d{8})(\d{2})(\d{2})?(\d{2})?(?:\.\d{1,6})?([+-]\d{4})?")
_OFFSET: Final = re.compile(r"[+-]\d{4}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Observer:
    """Who assessed: identifiers (login name, identification codes) and names, as the document has them."""

    ids: tuple[str, ...] = field(default=(), repr=False)
    names: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessed:
    """One assessed finding; `ordinal` counts them from 0 in the order of the document.

    `tracking_uid` is the finding's in our SR ('' where the sender gives none). `code` names the finding.
    """

    ordinal: int
    kind: VerdictKind
    observer: Observer = field(repr=False)
    tracking_uid: str = field(default="", repr=False)
    code: Code | None = None
    text: str = field(default="", repr=False)
    severity: Severity | None = None
    laterality: Laterality | None = None
    awareness: Awareness | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """One assessment document. `references` are the SOP Instance UIDs of the documents that it speaks of."""

    sop_uid: str = field(repr=False)
    study_uid: str = field(repr=False)
    patient_id: str = field(repr=False)
    references: tuple[str, ...] = field(repr=False)
    complete: bool
    findings: tuple[Assessed, ...]


def read_assessment(data: bytes, zone: tzinfo) -> Assessment | None:
    """Read a Part 10 file; None where it is another structured report, which assesses nothing.

    Args:
        data: the file.
        zone: the time zone of times that come without an offset.

    Raises:
        Unparsable: no DICOM, or an assessment that does not say what is assessed, or how, in a way that can be read.
        TooLarge: more bytes, elements, references or findings than any assessment has.
    """
    if len(data) > LARGEST:
        raise TooLarge(f"a document of more than {LARGEST} bytes")
    ds = read_header(data, LIMITS)
    with parsing():
        return _assessment(ds, _zone(ds, zone))


def tracking_uids(data: bytes) -> tuple[str, ...]:
    """The tracking UIDs of the measurement groups of an SR of ours, in the order of the result's findings.

    Raises:
        Unparsable, TooLarge: as `read_assessment`.
    """
    ds = read_header(data, LIMITS)
    with parsing():
        groups = (item for item in _walk(ds) if _is(item, codes.MEASUREMENT_GROUP))
        return tuple(_tracking_uid(_children(group)) for group in groups)


def _assessment(ds: Dataset, zone: tzinfo) -> Assessment | None:
    groups = [group for group in _walk(ds) if any(map(_is_assessment, _children(group)))]
    if not groups:
        return None
    if len(groups) > MOST_FINDINGS:
        raise TooLarge(f"an assessment of more than {MOST_FINDINGS} findings")
    around = Assessed(ordinal=0, kind=VerdictKind.CONFIRM, observer=_observer_of(ds), at=_document_time(ds, zone))
    return Assessment(
        sop_uid=_uid(ds, "SOPInstanceUID"),
        study_uid=_uid(ds, "StudyInstanceUID"),
        patient_id=_text(ds, "PatientID"),
        references=_references(ds),
        complete=_text(ds, "CompletionFlag") == "COMPLETE",
        findings=tuple(_assessed(group, number, around, zone) for number, group in enumerate(groups)),
    )


def _assessed(group: Dataset, ordinal: int, around: Assessed, zone: tzinfo) -> Assessed:
    """One group; what it does not say itself holds for the document (PS3.3 C.17.3.1: context is inherited)."""
    items = _children(group)
    kind, code = _kind(items), _code_named(items, concepts.FINDING)
    if kind is VerdictKind.ADD and code is None:
        raise Unparsable("an added finding without its code")
    observer = _observer(items)
    return Assessed(
        ordinal=ordinal,
        kind=kind,
        observer=observer if observer.ids or observer.names else around.observer,
        tracking_uid=_tracking_uid(items),
        code=code,
        text=_words(items),
        severity=codes.SEVERITIES.get(_key(items, concepts.SEVERITY)),
        laterality=codes.LATERALITIES.get(_key(_with_sites(items), concepts.LATERALITY)),
        awareness=_awareness(items),
        at=_moment(_text(group, "ObservationDateTime"), zone) or around.at,
    )


def _kind(items: Sequence[Dataset]) -> VerdictKind:
    stated = [item for item in items if _is_assessment(item)]
    if len(stated) > 1:
        raise Unparsable("two assessments of one finding")
    said = _code(stated[0], "ConceptCodeSequence")
    kind = _kind_of(said) if said else None
    if kind is None:
        raise Unparsable("an assessment whose code is not known")
    return kind


def _kind_of(said: Code) -> VerdictKind | None:
    if said.scheme == codes.PRIVATE_SCHEME:
        return next((kind for kind, code in codes.KINDS.items() if code.value == said.value), None)
    return codes.KIND_WORDS.get(said.meaning.casefold()) if said.scheme.startswith("99") else None


def _is_assessment(item: Dataset) -> bool:
    name = _code(item, "ConceptNameCodeSequence")
    if _text(item, "ValueType") != "CODE" or name is None:
        return False
    if name.scheme == codes.PRIVATE_SCHEME:
        return name.value == codes.ASSESSMENT.value
    return name.scheme.startswith("99") and name.meaning.casefold() in codes.ASSESSMENT_WORDS


def _awareness(items: Sequence[Dataset]) -> Awareness | None:
    said = _code_named(items, codes.AWARENESS)
    if said is None:
        return None
    for awareness, code in codes.AWARENESSES.items():
        if (code.value, code.scheme) == (said.value, said.scheme):
            return awareness
    raise Unparsable("an awareness whose code is not known")


def _words(items: Sequence[Dataset]) -> str:
    """The reader's own: comments and reasons, coded ones by their meaning."""
    said = []
    for item in items:
        if _is(item, codes.COMMENT) or _is(item, codes.REASON):
            code = _code(item, "ConceptCodeSequence")
            said.append(code.meaning if code else _text(item, "TextValue"))
    return "\n".join(filter(None, said))[:LONGEST_TEXT]


def _key(items: Sequence[Dataset], name: Code) -> tuple[str, str]:
    """Value and scheme of the code under a name."""
    code = _code_named(items, name)
    return (code.value, code.scheme) if code else ("", "")


def _with_sites(items: Sequence[Dataset]) -> list[Dataset]:
    """TID 1501: the side stands beside the finding, or below its site."""
    sites = (item for item in items if _is(item, concepts.FINDING_SITE))
    return [*items, *(child for site in sites for child in _children(site))]


def _observer_of(ds: Dataset) -> Observer:
    """TID 1003, else the author (PS3.3 C.17.2), else who verified the document."""
    authors = [_author(item) for item in _items(ds, "AuthorObserverSequence")]
    verifiers = [_verifier(item) for item in _items(ds, "VerifyingObserverSequence")]
    found = (one for one in (_observer(_children(ds)), *authors, *verifiers) if one.ids or one.names)
    return next(found, Observer())


def _observer(items: Sequence[Dataset]) -> Observer:
    names = [_text(item, "PersonName") for item in items if _is(item, codes.PERSON_NAME)]
    logins = [_text(item, "TextValue") for item in items if _is(item, codes.PERSON_LOGIN)]
    if len({*names}) > 1 or len({*logins}) > 1:
        raise Unparsable("two observers of one assessment")
    return Observer(ids=tuple(filter(None, logins[:1])), names=tuple(filter(None, names[:1])))


def _author(item: Dataset) -> Observer:
    ids = (_text(code, "CodeValue") for code in _items(item, "PersonIdentificationCodeSequence"))
    return _person(ids, _text(item, "PersonName"))


def _verifier(item: Dataset) -> Observer:
    ids = (_text(code, "CodeValue") for code in _items(item, "VerifyingObserverIdentificationCodeSequence"))
    return _person(ids, _text(item, "VerifyingObserverName"))


def _person(ids: Iterator[str], name: str) -> Observer:
    return Observer(ids=tuple(filter(None, ids)), names=(name,) if name else ())


def _references(ds: Dataset) -> tuple[str, ...]:
    """Documents that the evidence (PS3.3 C.17.2), the predecessors or an item of the tree names, each once."""
    found: dict[str, None] = {}
    for reference in _every_reference(ds):
        sop_class = _text(reference, "ReferencedSOPClassUID")
        uid = _text(reference, "ReferencedSOPInstanceUID")
        if _UID.fullmatch(uid) and (not sop_class or sop_class in codes.DOCUMENTS):
            found[uid] = None
        if len(found) > MOST_REFERENCES:
            raise TooLarge(f"an assessment of more than {MOST_REFERENCES} documents")
    return tuple(found)


def _every_reference(ds: Dataset) -> Iterator[Dataset]:
    for keyword in (
        "PredecessorDocumentsSequence",
        "CurrentRequestedProcedureEvidenceSequence",
        "PertinentOtherEvidenceSequence",
    ):
        for study in _items(ds, keyword):
            for series in _items(study, "ReferencedSeriesSequence"):
                yield from _items(series, "ReferencedSOPSequence")
    for item in _walk(ds):
        yield from _items(item, "ReferencedSOPSequence")


def _document_time(ds: Dataset, zone: tzinfo) -> datetime | None:
    content = _text(ds, "ContentDate") + _text(ds, "ContentTime")
    return _moment(_text(ds, "ObservationDateTime"), zone) or _moment(content, zone)


def _zone(ds: Dataset, zone: tzinfo) -> tzinfo:
    """PS3.3 C.12.1.1.8: the offset of every time of the data set, where it is given."""
    offset = _text(ds, "TimezoneOffsetFromUTC")
    return _offset(offset) if _OFFSET.fullmatch(offset) else zone


def _moment(text: str, zone: tzinfo) -> datetime | None:
    """DT, or a DA and a TM in one: to the minute at least; None for what is no such time."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    day, hour, minute, second, offset = match.groups()
    try:
        local = datetime.strptime(f"{day}{hour}{minute or '00'}{second or '00'}", "%Y%m%d%H%M%S")  # noqa: DTZ007
        return local.replace(tzinfo=_offset(offset) if offset else zone)
    except ValueError:
        return None


def _offset(text: str) -> timezone:
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(text[1:3]) % 24, minutes=int(text[3:5]) % 60))


def _tracking_uid(items: Sequence[Dataset]) -> str:
    stated = {_text(item, "UID") for item in items if _is(item, codes.TRACKING_UID)}
    if len(stated) > 1:
        raise Unparsable("two tracking identifiers of one finding")
    uid = next(iter(stated), "")
    if uid and not _UID.fullmatch(uid):
        raise Unparsable("a tracking identifier that is no UID")
    return uid


def _walk(ds: Dataset) -> Iterator[Dataset]:
    """Every item of the tree, the root first, in the order of the document."""
    waiting = [ds]
    while waiting:
        item = waiting.pop()
        yield item
        waiting.extend(reversed(_children(item)))


def _children(item: Dataset) -> list[Dataset]:
    return _items(item, "ContentSequence")


def _items(ds: Dataset, keyword: str) -> list[Dataset]:
    value = ds.get(keyword)
    return list(value) if isinstance(value, Items) else []


def _code_named(items: Sequence[Dataset], name: Code) -> Code | None:
    return next((code for item in items if _is(item, name) and (code := _code(item, "ConceptCodeSequence"))), None)


def _is(item: Dataset, name: Code) -> bool:
    found = _code(item, "ConceptNameCodeSequence")
    return found is not None and (found.value, found.scheme) == (name.value, name.scheme)


def _code(item: Dataset, keyword: str) -> Code | None:
    """The first code of a sequence (PS3.3 section 8.8)."""
    for code in _items(item, keyword)[:1]:
        value = _text(code, "CodeValue") or _text(code, "LongCodeValue")
        scheme = _text(code, "CodingSchemeDesignator")
        if value and scheme:
            return Code(value, scheme, _text(code, "CodeMeaning"))
    return None


def _uid(ds: Dataset, keyword: str) -> str:
    uid = _text(ds, keyword)
    if not _UID.fullmatch(uid):
        raise Unparsable(f"no {keyword}")
    return uid


def _text(ds: Dataset, keyword: str) -> str:
    """One value as text without outer spaces; '' where there is none, or several."""
    value = ds.get(keyword)
    if value is None or isinstance(value, Items | MultiValue | bytes):
        return ""
    return str(value).strip(" \0")[:LONGEST_TEXT]
