"""The audit message schema of PS3.15 A.5.1, as a table: what is wrong with a message by it."""

import re
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from defusedxml import ElementTree

TOKEN = r"(?s).*\S.*"
TEXT = r"(?s).*"
BASE64 = r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"


@dataclass(frozen=True)
class Rule:
    """`children`: (name, least, most) in their order; `needed` and `allowed`: attributes and their patterns."""

    needed: dict[str, str] = field(default_factory=dict)
    allowed: dict[str, str] = field(default_factory=dict)
    children: tuple[tuple[str, int, int], ...] = ()
    text: str | None = None


MANY = 10_000
CODED = Rule(needed={"csd-code": TOKEN, "codeSystemName": TOKEN, "originalText": TOKEN}, allowed={"displayName": TOKEN})
RULES = {
    "AuditMessage": Rule(
        children=(
            ("EventIdentification", 1, 1),
            ("ActiveParticipant", 1, MANY),
            ("AuditSourceIdentification", 1, 1),
            ("ParticipantObjectIdentification", 0, MANY),
        )
    ),
    "EventIdentification": Rule(
        needed={"EventDateTime": MOMENT, "EventOutcomeIndicator": "0|4|8|12"},
        allowed={"EventActionCode": "[CRUDE]"},
        children=(("EventID", 1, 1), ("EventTypeCode", 0, MANY), ("EventOutcomeDescription", 0, 1)),
    ),
    "ActiveParticipant": Rule(
        needed={"UserID": TEXT, "UserIsRequestor": "true|false|0|1"},
        allowed={
            "AlternativeUserID": TEXT,
            "UserName": TEXT,
            "NetworkAccessPointID": TOKEN,
            "NetworkAccessPointTypeCode": "[1-5]",
        },
        children=(("RoleIDCode", 0, MANY), ("MediaIdentifier", 0, 1)),
    ),
    "AuditSourceIdentification": Rule(
        needed={"AuditSourceID": TOKEN},
        allowed={"AuditEnterpriseSiteID": TOKEN},
        children=(("AuditSourceTypeCode", 0, MANY),),
    ),
    "ParticipantObjectIdentification": Rule(
        needed={"ParticipantObjectID": TOKEN},
        allowed={
            "ParticipantObjectTypeCode": "[1-4]",
            "ParticipantObjectTypeCodeRole": r"[1-9]|1\d|2[0-6]",
            "ParticipantObjectDataLifeCycle": r"[1-9]|1[0-5]",
            "ParticipantObjectSensitivity": TOKEN,
        },
        # Either a name or a query; ours have a name.
        children=(
            ("ParticipantObjectIDTypeCode", 1, 1),
            ("ParticipantObjectName", 1, 1),
            ("ParticipantObjectDetail", 0, MANY),
        ),
    ),
    "ParticipantObjectDetail": Rule(needed={"type": TOKEN, "value": BASE64}),
    "ParticipantObjectName": Rule(text=TOKEN),
    "EventOutcomeDescription": Rule(text=TEXT),
    # A digit may stand alone; it then has the meaning of A.5.1.2.1.
    "AuditSourceTypeCode": Rule(needed={"csd-code": "[1-9]"}),
    "EventID": CODED,
    "EventTypeCode": CODED,
    "RoleIDCode": CODED,
    "ParticipantObjectIDTypeCode": CODED,
}


def faults(message: bytes) -> list[str]:
    """What breaks the schema, in words; raises where it is no XML at all."""
    root = ElementTree.fromstring(message)
    return faults_of(root) if root.tag == "AuditMessage" else [f"the root is {root.tag}"]


def faults_of(element: Element) -> list[str]:
    rule = RULES.get(element.tag)
    if rule is None:
        return [f"{element.tag} is unknown"]
    patterns = {**rule.needed, **rule.allowed}
    found = [f"{element.tag} lacks {name}" for name in rule.needed if name not in element.attrib]
    found += [
        f"{element.tag}@{name} is {value!r}"
        for name, value in element.attrib.items()
        if name not in patterns or not re.fullmatch(patterns[name], value)
    ]
    if (element.text or "").strip() and (rule.text is None or not re.fullmatch(rule.text, element.text or "")):
        found.append(f"{element.tag} holds text")
    order = [name for name, _, _ in rule.children]
    names = [child.tag for child in element]
    if any(name not in order for name in names) or names != sorted(names, key=order.index):
        found.append(f"{element.tag} holds {names}")
    for name, least, most in rule.children:
        if not least <= names.count(name) <= most:
            found.append(f"{element.tag} holds {names.count(name)} of {name}")
    return found + [one for child in element for one in faults_of(child)]
