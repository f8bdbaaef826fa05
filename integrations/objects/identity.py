"""The identifiers of what we send: derived, so that the same result always gets the same ones."""

import base64
import hashlib

from integrations.objects.context import AnswerContext
from radloop.domain.enums import ObjectKind
from radloop.domain.ids import derive_uid
from radloop.domain.records import Finding

CONTROL_ID_LENGTH = 20


def sop_uid(ctx: AnswerContext, kind: ObjectKind, ordinal: int = 0) -> str:
    """SOP Instance UID of an object."""
    return derive_uid(ctx.site.uid_root, ctx.result.id, kind, str(ordinal))


def series_uid(ctx: AnswerContext, kind: ObjectKind) -> str:
    """Series Instance UID: a new series per model, version and result, and per modality of what we make."""
    return derive_uid(ctx.site.uid_root, ctx.result.id, kind, "series")


def device_uid(ctx: AnswerContext) -> str:
    """The observer: one UID per set of weights."""
    return derive_uid(ctx.site.uid_root, "device", ctx.result.model.digest)


def tracking_uid(ctx: AnswerContext, finding: Finding) -> str:
    """One UID per study, model and target, so that a later version's finding is known as the same one."""
    return derive_uid(ctx.site.uid_root, "tracking", ctx.study.study_id, ctx.result.model.name, finding.target)


def implementation_uid(ctx: AnswerContext) -> str:
    """Implementation Class UID of the file meta header."""
    return derive_uid(ctx.site.uid_root, "implementation")


def control_id(ctx: AnswerContext, structure: str) -> str:
    """MSH-10: at most 20 characters (HL7 v2.5.1 section 2.15.9.10), unique by result and message structure."""
    return _short(structure.partition("_")[0], ctx.result.id, structure)


def filler_number(ctx: AnswerContext) -> str:
    """Our own OBR-3 where no order gives one."""
    return _short("RL", ctx.result.id, "filler")


def _short(prefix: str, *parts: str) -> str:
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return (prefix + base64.b32encode(digest).decode())[:CONTROL_ID_LENGTH]
