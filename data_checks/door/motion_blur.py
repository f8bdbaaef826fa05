"""Motion: along one direction the image has no fine detail left."""

from data_checks.at_door import Case, DoorCheck, Remark, Stage, usual, warn


def _judge(case: Case) -> Remark | None:
    family = usual(case)
    if family is None or case.facts.sharpness >= family.low["sharpness"]:
        return None
    return warn("the image is blurred, as by motion")


CHECK = DoorCheck(
    name="motion_blur",
    turn=40,
    stage=Stage.PIXELS,
    columns=("sharpness",),
    guards="motion during the exposure, or a lossy step on the way that took the detail",
    threshold="sharpness below that of the model's ground",
    judge=_judge,
)
