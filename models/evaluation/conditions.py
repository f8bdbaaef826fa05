"""The gates that compare no scores: they hold or they do not."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from models.change_plan import Scope
from models.evaluation.trial import Bools
from radloop.domain.enums import Awareness, GateOutcome
from radloop.domain.learning import GateVerdict

SAME_ANSWER = 1e-4
"""Results record probabilities to this; another machine or thread count sums in another order."""


def blinded_labels(awareness: Sequence[Awareness]) -> GateVerdict:
    """Every label was given by a reader who had not seen the AI: one who had tends to agree with it."""
    seen = sum(one is not Awareness.BLINDED for one in awareness)
    outcome = GateOutcome.FAIL if seen else GateOutcome.PASS
    return _held("blinded_labels", outcome, len(awareness), f"{seen} labels of readers who may have seen the AI")


def label_balance(positive: Bools, least_share: float) -> GateVerdict:
    """The rarer label has its share of the test set."""
    share = float(min(positive.mean(), 1.0 - positive.mean())) if len(positive) else 0.0
    outcome = GateOutcome.PASS if share >= least_share else GateOutcome.INSUFFICIENT_EVIDENCE
    return GateVerdict(
        gate="label_balance",
        outcome=outcome,
        value=share,
        low=None,
        high=None,
        margin=least_share,
        n=len(positive),
        words=f"{int(positive.sum())} with and {int((~positive).sum())} without the finding",
    )


def signature(digest: str) -> GateVerdict:
    """The bundle matched its manifest and the site's key when it was loaded; one that does not is never loaded."""
    return _held("signature", GateOutcome.PASS, 1, f"signed by this site's key, digest {digest[:12]}")


def change_scope(changed: frozenset[str], scope: Scope) -> GateVerdict:
    """The version changes only what the plan says that it may."""
    beyond = sorted(changed - set(scope.may_change))
    outcome = GateOutcome.FAIL if beyond else GateOutcome.PASS
    words = f"changes {', '.join(beyond)}, which the plan does not allow" if beyond else _changes(changed)
    return _held("change_scope", outcome, len(changed), words)


def golden(
    first: npt.NDArray[np.float32], second: npt.NDArray[np.float32], recorded: npt.NDArray[np.float64] | None
) -> GateVerdict:
    """Two loads answer the golden images (n, targets) bit for bit alike at batch 1, and as the bundle recorded."""
    apart = int((first != second).sum())
    moved = 0 if recorded is None else _moved(first, recorded)
    words = f"{apart} answers differ between two loads" if apart else "two loads answer bit for bit alike"
    against = "no recorded answers" if recorded is None else f"{moved} differ from the recorded answers"
    outcome = GateOutcome.FAIL if apart or moved else GateOutcome.PASS
    return _held("golden", outcome, len(first), f"{words}; {against}")


def drift(outcomes: Mapping[str, str], alarms: Sequence[str] = ()) -> GateVerdict:
    """No alarm is open, and no data check that nobody has decided on failed when it last ran.

    Args:
        outcomes: by check, "pass", "fail" or "insufficient data".
        alarms: the open alarms that concern the model, each in a few words.
    """
    failing = [*alarms, *sorted(check for check, outcome in outcomes.items() if outcome == "fail")]
    outcome = GateOutcome.FAIL if failing else GateOutcome.PASS
    quiet = "no alarm is open" if outcomes else "no check has run yet"
    return _held("drift", outcome, len(outcomes), f"open alarms: {', '.join(failing)}" if failing else quiet)


def _changes(changed: frozenset[str]) -> str:
    return f"changes {', '.join(sorted(changed))}" if changed else "changes nothing"


def _moved(answers: npt.NDArray[np.float32], recorded: npt.NDArray[np.float64]) -> int:
    if answers.shape != recorded.shape:
        return int(answers.size)
    return int((np.abs(answers.astype(np.float64) - recorded) > SAME_ANSWER).sum())


def _held(gate: str, outcome: GateOutcome, n: int, words: str) -> GateVerdict:
    return GateVerdict(gate=gate, outcome=outcome, value=None, low=None, high=None, margin=None, n=n, words=words)
