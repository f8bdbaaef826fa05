"""Reading a message by position (HL7 2.5.1 section 2.5), as real systems write it.

hl7apy refuses segments, versions and structures that its tables do not know, and a single unknown segment would cost
an order. An order needs eight fields: they are read here where they stand, whatever surrounds them.
"""

import re
from dataclasses import dataclass, field

from radloop.domain.errors import Unparsable

SEGMENT_NAME = re.compile(r"[A-Z][A-Z0-9]{2}$")
NULL = '""'
"""HL7 2.5.1 section 2.5.3: a value that the sender deletes."""

# HL7 table 0211 -> Python's name.
CHARSETS = {
    "": "utf-8",
    "ASCII": "ascii",
    "8859/1": "iso8859-1",
    "8859/2": "iso8859-2",
    "8859/3": "iso8859-3",
    "8859/4": "iso8859-4",
    "8859/5": "iso8859-5",
    "8859/6": "iso8859-6",
    "8859/7": "iso8859-7",
    "8859/8": "iso8859-8",
    "8859/9": "iso8859-9",
    "8859/15": "iso8859-15",
    "UNICODE": "utf-8",
    "UNICODE UTF-8": "utf-8",
    # Not in the table, but written:
    "UTF-8": "utf-8",
    "ISO-8859-1": "iso8859-1",
}
FALLBACK_CHARSETS = frozenset(("", "ASCII"))
"""Said, or not said, by systems that send Latin 1: their bytes are read so when they are not what they should be."""


@dataclass(frozen=True, slots=True)
class Delimiters:
    """MSH-1 and MSH-2; '' for one that MSH-2 leaves out."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"

    @property
    def encoding_characters(self) -> str:
        """MSH-2."""
        return self.component + self.repetition + self.escape + self.subcomponent


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment. `fields[n]` is field n as it stands on the wire; `fields[0]` is the name."""

    name: str
    fields: tuple[str, ...] = field(repr=False)
    delimiters: Delimiters = field(repr=False)

    def value(self, number: int, component: int = 1, subcomponent: int = 1, repetition: int = 1) -> str:
        """The text at a position, all counted from 1: unescaped, without outer spaces; '' where there is none."""
        text = self.fields[number] if number < len(self.fields) else ""
        for delimiter, position in (
            (self.delimiters.repetition, repetition),
            (self.delimiters.component, component),
            (self.delimiters.subcomponent, subcomponent),
        ):
            parts = text.split(delimiter) if delimiter else [text]
            text = parts[position - 1] if position <= len(parts) else ""
        return "" if text == NULL else unescape(text, self.delimiters).strip()

    def repetitions(self, number: int) -> int:
        """How often a field is repeated; 0 where it is absent."""
        text = self.fields[number] if number < len(self.fields) else ""
        mark = self.delimiters.repetition
        return (text.count(mark) if mark else 0) + 1 if text else 0


@dataclass(frozen=True, slots=True)
class Message:
    """A message, read."""

    segments: tuple[Segment, ...] = field(repr=False)

    @property
    def header(self) -> Segment:
        """MSH."""
        return self.segments[0]

    @property
    def type(self) -> str:
        """MSH-9 as "ORM^O01"."""
        return f"{self.header.value(9)}^{self.header.value(9, 2)}"

    @property
    def control_id(self) -> str:
        """MSH-10."""
        return self.header.value(10)

    @property
    def sender(self) -> str:
        """MSH-3 and MSH-4 as "APPLICATION|FACILITY", as `hl7_from` in the settings names it."""
        return f"{self.header.value(3)}|{self.header.value(4)}"

    def all(self, name: str) -> tuple[Segment, ...]:
        """Every segment of that name."""
        return tuple(segment for segment in self.segments if segment.name == name)

    def first(self, name: str) -> Segment:
        """The first segment of that name; one without fields where there is none."""
        return next(iter(self.all(name)), Segment(name, (name,), self.header.delimiters))


def parse(message: bytes) -> Message:
    """Read a message without its frame. Unknown segments, versions and missing segments do not matter.

    Segments may end with LF or CRLF instead of CR.

    Raises:
        Unparsable: as `read_segments`, or no MSH-9 or MSH-10.
    """
    read = read_segments(message)
    if not (read.header.value(9) and read.control_id):
        raise Unparsable("no message type or control id in MSH")
    return read


def read_segments(message: bytes) -> Message:
    """As `parse`, for a message that need not say what it is: some systems' acknowledgements do not.

    Raises:
        Unparsable: no MSH first, delimiters that cannot be told apart, a character set that is not known or not kept
            to, or a line that is no segment.
    """
    lines = _lines(_decode(message))
    delimiters = _delimiters(lines[0])
    return Message(tuple(_segment(line, delimiters) for line in lines))


def escape(text: str, delimiters: Delimiters) -> str:
    """`text` as field text: delimiters as escape sequences (HL7 2.5.1 section 2.7), control characters as spaces."""
    mark = delimiters.escape
    table = {
        mark: f"{mark}E{mark}",
        delimiters.field: f"{mark}F{mark}" if mark else " ",
        delimiters.component: f"{mark}S{mark}" if mark else " ",
        delimiters.subcomponent: f"{mark}T{mark}" if mark else " ",
        delimiters.repetition: f"{mark}R{mark}" if mark else " ",
    }
    return "".join(table.get(c) or (c if c.isprintable() else " ") for c in text)


def unescape(text: str, delimiters: Delimiters) -> str:
    """Field text with its escape sequences resolved; highlighting and unknown sequences are dropped."""
    if not delimiters.escape or delimiters.escape not in text:
        return text
    table = {
        "E": delimiters.escape,
        "F": delimiters.field,
        "S": delimiters.component,
        "T": delimiters.subcomponent,
        "R": delimiters.repetition,
    }
    mark = re.escape(delimiters.escape)
    return re.sub(f"{mark}([^{mark}]*){mark}", lambda found: _resolve(found[1], table), text)


def _resolve(sequence: str, table: dict[str, str]) -> str:
    if sequence.startswith("X"):
        try:
            return bytes.fromhex(sequence[1:]).decode("latin-1")
        except ValueError:
            return ""
    return table.get(sequence, "")


def _decode(message: bytes) -> str:
    raw = message.removeprefix(b"\xef\xbb\xbf").strip(b"\r\n \0").decode("latin-1")
    if not raw.startswith("MSH") or len(raw) < 8:
        raise Unparsable("a message does not begin with MSH")
    fields = re.split(r"[\r\n]", raw, maxsplit=1)[0].split(raw[3])
    declared = fields[17].split(fields[1][:1] or "^")[0].split("~")[0].strip() if len(fields) > 17 else ""
    if declared not in CHARSETS:
        raise Unparsable("a character set in MSH-18 that is not known")
    try:
        return raw.encode("latin-1").decode(CHARSETS[declared])
    except UnicodeDecodeError:
        if declared in FALLBACK_CHARSETS:
            return raw
        raise Unparsable("bytes that are not of the character set in MSH-18") from None


def _lines(text: str) -> list[str]:
    # Where there are CRs they end the segments, and a LF is part of a text; only then.
    lines = text.split("\r") if "\r" in text else text.split("\n")
    return [stripped for line in lines if (stripped := line.strip("\n"))]


def _delimiters(header: str) -> Delimiters:
    separator, encoding = header[3], header[4:].split(header[3], 1)[0]
    distinct = len({separator, *encoding}) == len(encoding) + 1
    if not (distinct and 1 <= len(encoding) <= 5) or _is_text(separator + encoding):
        raise Unparsable("delimiters in MSH that cannot be told apart")
    # HL7 2.5.1 section 2.16.9.2: component, repetition, escape, subcomponent; the later ones may be left out.
    return Delimiters(separator, *(encoding[n : n + 1] for n in range(4)))


def _is_text(delimiters: str) -> bool:
    return any(c.isalnum() or c.isspace() or not c.isprintable() for c in delimiters)


def _segment(line: str, delimiters: Delimiters) -> Segment:
    name, *rest = line.split(delimiters.field)
    if not SEGMENT_NAME.match(name):
        raise Unparsable("a line that is no segment")
    if name == "MSH":  # MSH-1 is the separator itself
        rest = [delimiters.field, *rest]
    return Segment(name, (name, *rest), delimiters)
