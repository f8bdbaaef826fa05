"""The radloop.toml of `radloop init`: every key explained, the few that people change set, the others as comments."""

import json
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from radloop.settings import (
    Condition,
    Escalation,
    Ldap,
    Oidc,
    Peer,
    Phrase,
    Reader,
    Route,
    Schedule,
    Settings,
    Syslog,
)

ACTIVE: Final = {
    "gateway": ("ae_title", "host", "dicom_port", "hl7_port"),
    "completeness": ("settle_seconds", "quiet_seconds"),
    "site": ("name", "application", "facility"),
}

# What a key without a default may look like.
EXAMPLES: Final[dict[str, str]] = {
    "tls": '{ certificate = "/etc/radloop/cert.pem", key = "/etc/radloop/key.pem" }',
    "path": '"/srv/radloop/store"',
    "keys": '"/srv/radloop/keys"',
    "folder": '"/srv/radloop/training"',
    "pictures_days": "365",
    "reports_days": "3650",
    "oidc": '{ issuer = "https://sso.example.org", client_id = "radloop" }',
    "ldap": '{ url = "ldaps://ldap.example.org", user_base = "ou=people,dc=ex", group_base = "ou=groups,dc=ex" }',
    "groups": '{ radiologists = ["READER"], it-imaging = ["IT"], ai-board = ["GOVERNANCE", "APPROVER"] }',
    "syslog": '{ address = "audit.example.org:6514" }',
    "smtp_host": '"mail.example.org"',
    "smtp_ca": '"/etc/radloop/mail-ca.pem"',
    "smtp_password_file": '"/etc/radloop/mail.secret"',
    "sender": '"radloop@example.org"',
    "recipients": '["it@example.org"]',
    "webhook": '"https://hooks.example.org/radloop"',
    "webhook_secret_file": '"/etc/radloop/webhook.secret"',
    "reader_hour_cost": "150.0",
    "minutes_saved_per_study": "0.5",
    "minutes_lost_per_override": "1.0",
    "cost_per_year": "40000.0",
}

# Tables that a site names itself: they cannot be generated from defaults.
NAMED: Final = """
# ---- Peers: the systems we talk to, a table each: [peers.NAME] ----------------------------------------------------
# Who is not named here is refused. Keys of a peer:
{peer}

# This machine: `radloop send` and `radloop ingest` send in its name.
[peers.local]
ae_title = "RADLOOP_SEND"
host = "127.0.0.1"
roles = ["source"]

#[peers.pacs]
#ae_title = "ORTHANC"
#host = "127.0.0.1"
#port = 4242                    # not needed for a peer that only sends
#roles = ["source", "results"]  # may send to us; gets SR and SC

#[peers.ris]
#mllp = "127.0.0.1:2576"
#roles = ["reports", "orders"]  # gets ORU; may send orders and ADT to us
#priority_upgrade = "ORM"       # an urgent finding raises the order's priority

#[peers.ehr]
#fhir = "http://127.0.0.1:8090/fhir"
#roles = ["reports"]            # gets DiagnosticReport

# ---- Routes: which models read which studies ----------------------------------------------------------------------
# A route matches a study when one of its images meets everything in `when`. Keys of `when`, each a list of patterns
# (* and ?, case does not matter; "" matches an absent value):
{condition}

[[routes]]
models = ["cxr_pneumonia"]
when = {{ modality = ["CR", "DX"], body_part = ["CHEST", ""] }}

[[routes]]
models = ["brain_mr_tumour"]
when = {{ modality = ["MR"], body_part = ["BRAIN", "HEAD", ""] }}

# This model has seen phantoms alone: it reads what is uploaded by hand, and nobody's scan. A CT of anything has the
# same modality, so only what says that it is a head.
#[[routes]]
#models = ["head_ct_haemorrhage"]
#when = {{ modality = ["CT"], body_part = ["HEAD", "BRAIN", "SKULL"] }}

# ---- Escalation: the site's own rule over a model card's table: [escalation.MODEL.FINDING] --------------------------
{escalation}
#[escalation.cxr_pneumonia.pneumonia]
#escalate_at = 0.85
#urgency = "URGENT"

# ---- Readers: radiologists as reports name them: [readers.NAME], the name of their actor ----------------------------
{reader}
#[readers.curie]
#ids = ["R17"]
#names = ["CURIE^MARIE"]

# ---- Phrases: how this site's reports say that a finding is there, or is not, where no code says so ------------------
{phrase}
#[[phrases]]
#model = "cxr_pneumonia"
#finding = "pneumonia"
#present = ['\\bpneumonia\\b']
#absent = ['\\bno (sign of )?pneumonia\\b']

# ---- Schedules: flows that run by the clock: [schedules.NAME] -------------------------------------------------------
{schedule}
# the data checks over the last day's images, every hour
[schedules.watch]
flow = "watch"
cron = "0 * * * *"
since = "1d"

# and over the last thirty days', every night: what moves slowly shows there
[schedules.watch_daily]
flow = "watch"
cron = "30 4 * * *"
since = "30d"

# what a quarter's signed studies say of the models; each report begins where the last one ended
#[schedules.audit]
#flow = "audit"
#cron = "0 6 1 1,4,7,10 *"

#[schedules.night]
#flow = "ingest"
#cron = "0 2 * * *"
#peer = "local"
#modality = "CR"
#since = "1d"
"""

HEAD: Final = """# radloop.toml: the settings of one home. A variable beats the file: RADLOOP_GATEWAY__DICOM_PORT=104.
# Keys behind a # show their default, or an example where they have none. docs/settings.md lists them all.
"""


def render() -> str:
    """The text of a fresh radloop.toml; it loads as it is."""
    sections = "\n".join("\n".join(_section(name, model)) for name, model in sections_of(Settings))
    named = NAMED.format(
        peer="\n".join(_explained(Peer)),
        condition="\n".join(_explained(Condition)),
        escalation="\n".join(_explained(Escalation)),
        reader="\n".join(_explained(Reader)),
        phrase="\n".join(_explained(Phrase)),
        schedule="\n".join(_explained(Schedule)),
    )
    return f"{HEAD}\n{sections}{named}"


def sections_of(root: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """The tables with a fixed name, in the order of the tree."""
    for name, field in root.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield name, field.annotation


def named_sections() -> tuple[tuple[str, type[BaseModel]], ...]:
    """The tables that a site names itself, as they are written."""
    return (
        ("peers.NAME", Peer),
        ("[routes]", Route),
        ("routes.when", Condition),
        ("escalation.MODEL.FINDING", Escalation),
        ("readers.NAME", Reader),
        ("[phrases]", Phrase),
        ("schedules.NAME", Schedule),
        ("login.oidc", Oidc),
        ("login.ldap", Ldap),
        ("audit.syslog", Syslog),
    )


def keys_of(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """The keys a person may write in this table."""
    for name, field in model.model_fields.items():
        if not field.exclude:
            yield name, field


def default_of(field: FieldInfo) -> str | None:
    """The default as TOML, or None where there is none."""
    value = field.get_default(call_default_factory=True) if not field.is_required() else None
    return None if value is None else as_toml(value)


def as_toml(value: object) -> str:
    """One value as TOML text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum | str | Path):
        return json.dumps(str(value))
    if isinstance(value, tuple | list):
        return "[" + ", ".join(as_toml(item) for item in value) + "]"
    if isinstance(value, dict | BaseModel):
        return "{}"
    return str(value)


def kind_of(annotation: Any) -> str:
    """What a key takes, in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is UnionType:
        return " or ".join(kind_of(part) for part in arguments if part is not type(None))
    if origin is tuple:
        return f"list of {kind_of(arguments[0])}"
    if str(origin) == "typing.Literal":
        return " or ".join(json.dumps(word) for word in arguments)
    if origin is dict:
        return "table"
    if arguments:
        return kind_of(arguments[0])
    return _plain_kind(annotation)


def _plain_kind(annotation: Any) -> str:
    names = {bool: "true or false", int: "whole number", float: "number", str: "text", Path: "path"}
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(json.dumps(member.value) for member in annotation)
    return names.get(annotation, "table")


def _section(name: str, model: type[BaseModel]) -> Iterator[str]:
    yield f"# {(model.__doc__ or '').strip().splitlines()[0]}"
    yield f"[{name}]"
    for key, field in keys_of(model):
        value = EXAMPLES.get(key) or default_of(field)
        mark = "" if key in ACTIVE.get(name, ()) else "#"
        yield f"# {field.description}"
        yield f"{mark}{key} = {value}"
    yield ""


def _explained(model: type[BaseModel]) -> Iterator[str]:
    width = max(len(key) for key, _ in keys_of(model))
    for key, field in keys_of(model):
        default = default_of(field)
        known = f" (default {default})" if default not in (None, "[]", "{}", '""') else ""
        yield f"#   {key:<{width}}  {field.description}{known}"
