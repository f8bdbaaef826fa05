"""A record as an audit message of DICOM (PS3.15 A.5.1), which is what IHE ATNA sends and stores."""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from types import MappingProxyType
from typing import Final
from xml.sax.saxutils import quoteattr

from radloop.audit.meanings import Code, Meaning, meaning
from radloop.domain.errors import IntegrityError
from radloop.ledger.audit_log import Entry

OURS: Final = "radloop"
"""The coding scheme of our own names: actions, roles, kinds of objects."""
APPLICATION: Final = Code("110150", "Application")
APPLICATION_SERVER: Final = "4"
PERSON, SYSTEM = "1", "2"
KINDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "patient": (PERSON, "1"),
        "actor": (PERSON, "6"),
        "reader": (PERSON, "8"),
        "study": (SYSTEM, "3"),
        "study_version": (SYSTEM, "3"),
        "instance": (SYSTEM, "3"),
        "result": (SYSTEM, "3"),
        "audit_report": (SYSTEM, "3"),
        "key": (SYSTEM, "13"),
        "schedule": (SYSTEM, "18"),
        "training": (SYSTEM, "20"),
    }
)
"""By our kind of object: ParticipantObjectTypeCode and ParticipantObjectTypeCodeRole (PS3.15 A.5.1.2.2)."""
# XML 1.0 section 2.2: what may stand in a document at all.
_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_KEPT: Final = re.compile(
    rb'type=\\?"number\\?" value=\\?"([A-Za-z0-9+/=]+)\\?"/>'
    rb'<ParticipantObjectDetail type=\\?"link\\?" value=\\?"([A-Za-z0-9+/=]+)\\?"'
)


@dataclass(frozen=True, slots=True)
class Source:
    """Who reports: the host, and the site as its settings name it."""

    host: str
    site: str

    @property
    def name(self) -> str:
        """Who we are: `radloop@host`."""
        return f"{OURS}@{self.host}"


def message(entry: Entry, source: Source) -> bytes:
    """The AuditMessage of one record: one line of XML in ASCII, without a declaration.

    The number and the link of the chain are details of the object, so that whoever keeps the messages can tell an
    altered record, and a record that ended earlier, from the one that was sent.
    """
    parts = (_event(entry, meaning(entry.action)), _participants(entry, source), _source(source), _object(entry))
    return f"<AuditMessage>{''.join(parts)}</AuditMessage>".encode("ascii", "xmlcharrefreplace")


def access_of(address: str) -> tuple[str, str] | None:
    """An address and its NetworkAccessPointTypeCode (1: a machine's name, 2: an IP address); None for none."""
    if not address.strip():
        return None
    try:
        ip_address(address)
    except ValueError:
        return address, "1"
    return address, "2"


def witnessed(lines: Iterable[bytes]) -> dict[int, bytes]:
    """Links by number, of audit messages that somebody kept, whatever stands around them.

    Raises:
        IntegrityError: one number has two links there.
    """
    found: dict[int, bytes] = {}
    for line in lines:
        for number, link in _numbered(line):
            if found.setdefault(number, link) != link:
                raise IntegrityError(f"what is kept outside holds two records of number {number}")
    return found


def _numbered(line: bytes) -> Iterator[tuple[int, bytes]]:
    for match in _KEPT.finditer(line):
        try:
            yield int(b64decode(match[1])), b64decode(match[2])
        except ValueError:
            raise IntegrityError("what is kept outside cannot be read") from None


def _event(entry: Entry, row: Meaning) -> str:
    attributes = {
        "EventActionCode": row.done,
        "EventDateTime": entry.at.isoformat(),
        "EventOutcomeIndicator": row.outcome,
    }
    types = (_dcm("EventTypeCode", row.type) if row.type else "") + _ours("EventTypeCode", entry.action, row.words)
    return _element("EventIdentification", attributes, _dcm("EventID", row.event) + types)


def _participants(entry: Entry, source: Source) -> str:
    person = {"UserID": entry.actor, "UserIsRequestor": "true"}
    roles = "".join(_ours("RoleIDCode", role, role) for role in entry.role.split(",") if role)
    us = {"UserID": source.name, "UserIsRequestor": "false", **_access(source.host)}
    return _element("ActiveParticipant", {**person, **_access(entry.address)}, roles) + _element(
        "ActiveParticipant", us, _dcm("RoleIDCode", APPLICATION)
    )


def _source(source: Source) -> str:
    attributes = {"AuditEnterpriseSiteID": source.site, "AuditSourceID": source.name}
    return _element(
        "AuditSourceIdentification", attributes, _element("AuditSourceTypeCode", {"csd-code": APPLICATION_SERVER})
    )


def _object(entry: Entry) -> str:
    type_, role = KINDS.get(entry.object_kind, (SYSTEM, ""))
    attributes = {"ParticipantObjectID": entry.object_id or "-", "ParticipantObjectTypeCode": type_}
    if role:
        attributes["ParticipantObjectTypeCodeRole"] = role
    # In this order: see `_KEPT`.
    details = {"number": b"" if entry.number is None else str(entry.number).encode(), "link": entry.link or b""}
    details |= {"record": entry.id.encode(), "detail": entry.detail.encode("utf-8", "surrogatepass")}
    inner = _ours("ParticipantObjectIDTypeCode", entry.object_kind, entry.object_kind)
    inner += f"<ParticipantObjectName>{_escaped(entry.object_kind)}</ParticipantObjectName>"
    inner += "".join(_detail(name, value) for name, value in details.items() if value)
    return _element("ParticipantObjectIdentification", attributes, inner)


def _detail(name: str, value: bytes) -> str:
    return _element("ParticipantObjectDetail", {"type": name, "value": b64encode(value).decode()})


def _access(address: str) -> dict[str, str]:
    found = access_of(address)
    return {"NetworkAccessPointID": found[0], "NetworkAccessPointTypeCode": found[1]} if found else {}


def _dcm(name: str, code: Code) -> str:
    return _coded(name, code.value, "DCM", code.meaning)


def _ours(name: str, value: str, words: str) -> str:
    return _coded(name, value, OURS, words)


def _coded(name: str, value: str, scheme: str, words: str) -> str:
    return _element(name, {"csd-code": value, "codeSystemName": scheme, "originalText": words})


def _element(name: str, attributes: Mapping[str, str], inner: str = "") -> str:
    said = "".join(f" {key}={_attribute(value)}" for key, value in attributes.items())
    return f"<{name}{said}>{inner}</{name}>" if inner else f"<{name}{said}/>"


def _attribute(value: str) -> str:
    return quoteattr(_FORBIDDEN.sub("\ufffd", value), {'"': "&quot;"})


def _escaped(text: str) -> str:
    return _attribute(text)[1:-1]
