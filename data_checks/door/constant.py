"""(Nearly) every pixel has the same value: a detector that did not read out, or a blank."""

from typing import Final

from data_checks.at_door import Case, DoorCheck, Remark, Stage, warn

LEAST: Final = 0.5


def _judge(case: Case) -> Remark | None:
    return warn("nearly every pixel has the same value") if case.facts.entropy < LEAST else None


CHECK = DoorCheck(
    name="constant",
    turn=11,
    stage=Stage.PIXELS,
    columns=("entropy",),
    guards="an image without content",
    threshold=f"entropy below {LEAST:g} bits",
    judge=_judge,
)
