"""What the report states: the model's findings until a reader has signed, then what the reader made of them."""

from dataclasses import dataclass, replace
from typing import Final

from integrations.objects import narrative
from integrations.objects.context import AnswerContext, Signed
from integrations.objects.values import plain
from radloop.domain.enums import Urgency, VerdictKind
from radloop.domain.records import Code, Finding, Verdict
from radloop.domain.verdicts import reader_value

PRELIMINARY: Final = "preliminary"
FINAL: Final = "final"
CERTAIN: Final = 1.0
"""Of what a reader says there is no probability; it never leaves a statement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One Observation. `status` is its own; `by_reader`: the reader's word stands in place of the model's."""

    finding: Finding
    status: str = PRELIMINARY
    by_reader: bool = False

    @property
    def verified(self) -> bool:
        """Whether a reader stands for it."""
        return self.status == FINAL


def statements(ctx: AnswerContext) -> tuple[Statement, ...]:
    """One per finding that is reported, in the model's order, then what the reader added."""
    if ctx.signed is None:
        return tuple(Statement(finding=finding) for finding in ctx.result.findings)
    said = {verdict.target: verdict for verdict in ctx.signed.verdicts if verdict.target}
    judged = (_judged(finding, said.get(finding.target)) for finding in ctx.result.findings)
    return (*(one for one in judged if one is not None), *_added(ctx.signed))


def conclusion(ctx: AnswerContext) -> str:
    """One sentence of the model's, or the reader's own words."""
    return narrative.conclusion(ctx) if ctx.signed is None else _words(ctx.signed.conclusion)


def lines(ctx: AnswerContext) -> tuple[str, ...]:
    """The report for people, a line each."""
    if ctx.signed is None:
        return narrative.lines(ctx)
    title = plain(f"Final report, signed by {ctx.signed.reader} at {ctx.signed.at.isoformat(timespec='seconds')}.")
    own = [_words(ctx.signed.conclusion)] if ctx.signed.conclusion else []
    return (title, *own, *map(_line, statements(ctx)), f"Model: {narrative.model_line(ctx)}")


def _judged(finding: Finding, verdict: Verdict | None) -> Statement | None:
    """The model's word, confirmed or not judged; the reader's in its place; or nothing: it was rejected."""
    if verdict is None:
        return Statement(finding=finding)
    if verdict.kind is VerdictKind.CONFIRM:
        return Statement(finding=finding, status=FINAL)
    if reader_value(verdict, finding) == 1:
        return Statement(finding=_as_read(finding, verdict), status=FINAL, by_reader=True)
    return None


def _as_read(finding: Finding, verdict: Verdict) -> Finding:
    return replace(
        finding,
        code=verdict.code or finding.code,
        severity=verdict.severity or finding.severity,
        laterality=verdict.laterality or finding.laterality,
        probability=CERTAIN,
        urgency=Urgency.ROUTINE,
    )


def _added(signed: Signed) -> tuple[Statement, ...]:
    """What the model has no target for, where the reader gave it a code."""
    coded = [(verdict, verdict.code) for verdict in signed.verdicts if not verdict.target and verdict.code]
    return tuple(Statement(finding=_new(verdict, code), status=FINAL, by_reader=True) for verdict, code in coded)


def _new(verdict: Verdict, code: Code) -> Finding:
    return Finding(
        target="",
        code=code,
        probability=CERTAIN,
        threshold=CERTAIN,
        urgency=Urgency.ROUTINE,
        severity=verdict.severity,
        laterality=verdict.laterality,
    )


def _words(text: str) -> str:
    return "\n".join(filter(None, map(plain, text.splitlines())))


def _line(one: Statement) -> str:
    if one.by_reader:
        return f"{narrative.named(one.finding)}: present, by the reader"
    judged = "confirmed by the reader" if one.verified else "AI result, not judged by the reader"
    return f"{narrative.finding_line(one.finding)}; {judged}"
