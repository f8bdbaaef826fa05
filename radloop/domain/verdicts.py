"""What a verdict says of the finding that it is about: whether it disagrees, and what the reader holds to be true."""

from collections.abc import Iterable
from typing import Final

from radloop.domain.enums import VerdictKind
from radloop.domain.records import Finding, Verdict

OVERRIDES: Final = frozenset((VerdictKind.REJECT, VerdictKind.MODIFY, VerdictKind.ADD))
"""The kinds that disagree with the model."""


def is_override(verdict: Verdict, finding: Finding | None = None) -> bool:  # noqa: ARG001 - the kind alone decides
    """Whether the reader disagrees with what the model said, or did not say."""
    return verdict.kind in OVERRIDES


def reader_value(verdict: Verdict, finding: Finding | None) -> int | None:
    """What the reader says of the target: 1 it is there, 0 it is not, None where the verdict is about no target.

    `finding` is the model's own word on that target; None where the result has none (an ADD).
    """
    if not verdict.target:
        return None
    if verdict.kind in (VerdictKind.MODIFY, VerdictKind.ADD):
        return 1
    if finding is None:
        return None
    agrees = verdict.kind is VerdictKind.CONFIRM
    return int(finding.positive is agrees)


def last_words(verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """The newest verdict of each reader on each target of each result; what is not about a target stays, all of it.

    A reader who enters another verdict has changed their mind. In order of time.
    """
    newest: dict[tuple[str, str, str], Verdict] = {}
    for verdict in sorted(verdicts, key=lambda one: (one.at, one.id)):
        newest[verdict.result_id, verdict.reader, verdict.target or verdict.id] = verdict
    return tuple(sorted(newest.values(), key=lambda one: (one.at, one.id)))
