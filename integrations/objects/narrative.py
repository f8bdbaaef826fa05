"""The answer in sentences: what the ORU, the FHIR report and the failed SR say to people."""

from integrations.objects.context import AnswerContext
from integrations.objects.values import plain
from radloop.domain.enums import Qualification, ResultStatus, Urgency
from radloop.domain.records import Finding

NOT_A_DIAGNOSIS = "AI result, not a diagnosis"
_QUALIFIED = {
    Qualification.RESEARCH: f"{NOT_A_DIAGNOSIS}. For research use, not verified by a reader.",
    Qualification.PRODUCT: f"{NOT_A_DIAGNOSIS}. Not verified by a reader.",
}
_FAILED = {
    ResultStatus.NOT_APPLICABLE: "Not applicable",
    ResultStatus.UNAVAILABLE: "AI unavailable",
}
_SIDES = {"LEFT": "left", "RIGHT": "right", "BILATERAL": "both sides"}


def model_line(ctx: AnswerContext) -> str:
    """Name, version and digest of the model."""
    model = ctx.result.model
    return plain(f"{ctx.title} ({model.name}) version {model.version}, {model.qualification}, digest {model.digest}")


def finding_line(finding: Finding) -> str:
    """One target, with its probability, threshold and urgency."""
    side = "at or above" if finding.positive else "below"
    urgency = f"; {finding.urgency}" if finding.urgency is not Urgency.ROUTINE else ""
    return plain(
        f"{named(finding)}: probability {finding.probability:.4f}, "
        f"{side} the threshold {finding.threshold:.4f}{urgency}"
    )


def named(finding: Finding) -> str:
    """A finding by its name, place and severity."""
    severity = f", {finding.severity.lower()}" if finding.severity else ""
    return plain(f"{finding.code.meaning}{_place(finding)}{severity}")


def _place(finding: Finding) -> str:
    words = [finding.location.meaning] if finding.location else []
    words += [_SIDES[finding.laterality]] if finding.laterality else []
    return f" ({', '.join(words)})" if words else ""


def failure(ctx: AnswerContext) -> str:
    """Why there are no findings; '' for a result that has them."""
    label = _FAILED.get(ctx.result.status)
    return plain(f"{label}: {ctx.result.reason or 'no reason on record'}") if label else ""


def ranked(ctx: AnswerContext) -> tuple[Finding, ...]:
    """The findings, most urgent and then most probable first."""
    return tuple(sorted(ctx.result.findings, key=lambda f: (-f.urgency.rank, -f.probability, f.target)))


def lines(ctx: AnswerContext) -> tuple[str, ...]:
    """The whole report, a line each."""
    said = [failure(ctx)] if failure(ctx) else [finding_line(f) for f in ranked(ctx)]
    odd = [f"Image quality: {note}" for note in quality(ctx)]
    return (_QUALIFIED[ctx.result.model.qualification], *said, *odd, f"Model: {model_line(ctx)}")


def quality(ctx: AnswerContext) -> tuple[str, ...]:
    """What is odd about the images, a sentence each: the answer may be less sure than its numbers say."""
    return tuple(plain(note) for note in ctx.quality)


def conclusion(ctx: AnswerContext) -> str:
    """One sentence: what was found, or that nothing reached its threshold."""
    positive = [f for f in ranked(ctx) if f.positive]
    if failure(ctx):
        return f"{failure(ctx)}. {NOT_A_DIAGNOSIS}."
    found = "; ".join(finding_line(f) for f in positive) or "No target reached its threshold"
    return f"{found}. {NOT_A_DIAGNOSIS}."
