"""What a report of the RIS (ORU^R01) says (HL7 2.5.1 chapter 7): whose it is, its codes, its text."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Final

from integrations.hl7 import report_codes as codes
from integrations.hl7.message import Delimiters, Message, Segment, unescape
from integrations.hl7.orders import patient_of
from integrations.hl7.report_codes import Presence, ReportStatus
from radloop.domain.enums import Awareness
from radloop.domain.errors import TooLarge, Unparsable
from radloop.domain.records import Code

LONGEST_TEXT: Final = 64 << 10
"""Characters of a report's text; a longer one is no report of one study."""
MOST_OBSERVATIONS: Final = 5_000

# Where systems put the number of the imaging order; the first that names a study counts (IHE RAD TF-2 4.24 and 4.28).
NUMBERS: Final = (("OBR", 18), ("OBR", 19), ("OBR", 3), ("ORC", 3), ("OBR", 2), ("ORC", 2))
# Section 2.A.77, TS.
_MOMENT: Final = re.compile(r"(\d{8})(\d{2})(\d{2})(\d{2})?(?:\.\d{1,4})?([+-]\d{4})?")
# Section 2.7.6: formatting commands of FT that begin another line, or leave room.
_BREAKS: Final = ("br", "sp", "in", "ti", "ce")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """OBR-32, principal result interpreter. Names as "FAMILY^GIVEN"."""

    ids: tuple[str, ...] = field(default=(), repr=False)
    names: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Statement:
    """One coded observation: that `code` is there, or is not."""

    code: Code
    presence: Presence


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One OBR and its OBX. `numbers` are candidates for the accession number, the best first.

    `text` is every TX, FT and ST observation, one line each; `conclusion` the impression, or all of it where none is
    marked. `awareness` is None where nothing says whether the reader had seen the AI; `began` and `ended`, when the
    interpreter began and ended to read, where nothing says so.
    """

    status: ReportStatus
    numbers: tuple[str, ...] = field(repr=False)
    patient_id: str = field(repr=False)
    interpreter: Interpreter
    at: datetime | None
    statements: tuple[Statement, ...] = field(repr=False)
    text: str = field(repr=False)
    conclusion: str = field(repr=False)
    awareness: Awareness | None = None
    began: datetime | None = None
    ended: datetime | None = None

    def says(self, code: Code) -> frozenset[Presence]:
        """What the coded observations say of a finding: nothing, one thing, or both."""
        return frozenset(
            one.presence for one in self.statements if (one.code.value, one.code.scheme) == (code.value, code.scheme)
        )


def read_reports(message: Message, zone: tzinfo) -> tuple[Report, ...]:
    """The reports of an ORU^R01, one for each OBR.

    Args:
        message: as parsed.
        zone: the time zone of times that come without an offset.

    Raises:
        Unparsable: no patient, no OBR, or one without any number to know its study by.
        TooLarge: more observations or text than a report has.
    """
    patient_id, _ = patient_of(message.first("PID"))
    groups = list(_groups(message))
    if not groups:
        raise Unparsable("a report message without OBR")
    sent_at = _moment(message.header.value(7), zone)
    return tuple(replace(_report(group, patient_id, zone), at=_time(group, zone) or sent_at) for group in groups)


def _groups(message: Message) -> Iterator[list[Segment]]:
    """ORC (where there is one), OBR and OBX of each report."""
    group: list[Segment] = []
    order: list[Segment] = []
    for segment in message.segments:
        if segment.name == "ORC":
            order = [segment]
        elif segment.name == "OBR":
            if group:
                yield group
            group, order = [segment, *order], []
        elif segment.name == "OBX" and group:
            group.append(segment)
            if len(group) > MOST_OBSERVATIONS:
                raise TooLarge(f"a report of more than {MOST_OBSERVATIONS} observations")
    if group:
        yield group


def _report(group: Sequence[Segment], patient_id: str, zone: tzinfo) -> Report:
    request = group[0]
    numbers = _numbers(group)
    if not numbers:
        raise Unparsable("a report without accession, filler or placer number")
    status = _status(group)
    observed = [s for s in group if s.name == "OBX" and (s.value(11).upper() or status) in codes.OBSERVED]
    text, impression = _text(observed), _text([segment for segment in observed if _is_impression(segment)])
    if len(text) > LONGEST_TEXT:
        raise TooLarge(f"a report of more than {LONGEST_TEXT} characters")
    return Report(
        status=codes.STATUSES.get(status, ReportStatus.NOT_FINAL),
        numbers=numbers,
        patient_id=patient_id,
        interpreter=_interpreter(request),
        at=_time(group, zone),
        statements=tuple(statement for segment in observed for statement in _statements(segment)),
        text=text,
        conclusion=impression or text,
        awareness=_awareness(observed),
        began=_moment(request.value(32, 2), zone),
        ended=_moment(request.value(32, 3), zone),
    )


def _status(group: Sequence[Segment]) -> str:
    """OBR-25; where it is empty, what every OBX-11 says."""
    observed = {segment.value(11).upper() for segment in group if segment.name == "OBX"}
    return group[0].value(25).upper() or (observed.pop() if len(observed) == 1 else "")


def _numbers(group: Sequence[Segment]) -> tuple[str, ...]:
    found = (s.value(number) for name, number in NUMBERS for s in group if s.name == name)
    return tuple(dict.fromkeys(filter(None, found)))


def _interpreter(request: Segment) -> Interpreter:
    """OBR-32 is NDL: its first component is a CNN, or the id itself where systems write XCN across components.

    Its second and third are the times of reading (section 2.A.47): a time is nobody's name.
    """
    if request.value(32, 1, 2) or _MOMENT.fullmatch(request.value(32, 2)):
        number, family, given = (request.value(32, 1, part) for part in (1, 2, 3))
    else:
        number, family, given = (request.value(32, part) for part in (1, 2, 3))
    name = f"{family}^{given}".rstrip("^")
    return Interpreter(ids=(number,) if number else (), names=(name,) if name else ())


def _time(group: Sequence[Segment], zone: tzinfo) -> datetime | None:
    """OBR-22, results reported; else the latest OBX-14, observation time."""
    reported = _moment(group[0].value(22), zone)
    observed = [at for s in group if s.name == "OBX" and (at := _moment(s.value(14), zone))]
    return reported or max(observed, default=None)


def _moment(text: str, zone: tzinfo) -> datetime | None:
    """TS to the minute at least; None for what is no such time."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    day, hour, minute, second, offset = match.groups()
    try:
        local = datetime.strptime(f"{day}{hour}{minute}{second or '00'}", "%Y%m%d%H%M%S")  # noqa: DTZ007 - below
        return local.replace(tzinfo=_offset(offset) if offset else zone)
    except ValueError:
        return None


def _offset(text: str) -> timezone:
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(text[1:3]) % 24, minutes=int(text[3:5]) % 60))


def _statements(segment: Segment) -> Iterator[Statement]:
    """The rules of docs/verdicts.md: OBX-3 names the finding and OBX-5 or OBX-8 says, or OBX-5 names it."""
    flag = codes.FLAGS.get(segment.value(8).upper())
    said = _said(segment) or (flag if not segment.value(5) else None)
    if said is not None:
        yield from (Statement(code, said) for code in _codings(segment, 3, 1))
    if segment.value(2) in codes.CODED_TYPES and _tells_findings(segment):
        for repetition in range(1, segment.repetitions(5) + 1):
            yield from (Statement(code, flag or Presence.PRESENT) for code in _codings(segment, 5, repetition))


def _tells_findings(segment: Segment) -> bool:
    named = any((code.value, code.scheme) in codes.FOUND_UNDER for code in _codings(segment, 3, 1))
    return named or _is_impression(segment)


def _said(segment: Segment) -> Presence | None:
    """OBX-5 as "there" or "not there"; None for anything else."""
    if segment.value(2) in codes.CODED_TYPES:
        coded = {codes.CODED.get((code.value, code.scheme)) for code in _codings(segment, 5, 1)}
        known = coded - {None}
        if len(known) == 1:
            return known.pop()
        return codes.PLAIN.get(segment.value(5).upper()) if not segment.value(5, 3) else None
    return codes.PLAIN.get(segment.value(5).upper()) if segment.value(2) in codes.PLAIN_TYPES else None


def _codings(segment: Segment, number: int, repetition: int) -> Iterator[Code]:
    """Both codings of a CE or CWE whose coding system is known."""
    for first in (1, 4):
        value, text, system = (segment.value(number, first + n, 1, repetition) for n in range(3))
        scheme = codes.SCHEMES.get(system.upper())
        if value and scheme:
            yield Code(value, scheme, text)


def _awareness(observed: Sequence[Segment]) -> Awareness | None:
    for segment in observed:
        if any((code.value, code.scheme) == codes.AWARENESS for code in _codings(segment, 3, 1)):
            stated = (codes.AWARENESSES.get((code.value, code.scheme)) for code in _codings(segment, 5, 1))
            return next(filter(None, stated), None)
    return None


def _is_impression(segment: Segment) -> bool:
    """By LOINC, or by the suffix of section 7.2.4, which stands in a subcomponent of the identifier."""
    named = any((code.value, code.scheme) == codes.IMPRESSION for code in _codings(segment, 3, 1))
    return named or segment.value(3, 1, 2).upper() == codes.IMPRESSION_SUFFIX


def _text(observed: Sequence[Segment]) -> str:
    """One line for every repetition of every text observation."""
    lines = (line for segment in observed if segment.value(2) in codes.TEXT_TYPES for line in _lines(segment))
    return "\n".join(line for line in lines if line)


def _lines(segment: Segment) -> Iterator[str]:
    raw = segment.fields[5] if len(segment.fields) > 5 else ""
    mark = segment.delimiters.repetition
    for part in raw.split(mark) if mark else [raw]:
        yield from _formatted(part, segment.delimiters).split("\n")


def _formatted(text: str, delimiters: Delimiters) -> str:
    """A value as a person reads it: line breaks of FT kept, everything else unescaped, no control characters."""
    mark = delimiters.escape
    if mark:
        commands = "|".join(_BREAKS)
        text = re.sub(f"{re.escape(mark)}\\.(?:{commands})[^{re.escape(mark)}]*{re.escape(mark)}", "\n", text)
    plain = unescape(text, delimiters)
    return "".join(c if c.isprintable() or c == "\n" else " " for c in plain).strip()
