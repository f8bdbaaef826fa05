"""Grey values the wrong way round although the header says MONOCHROME2 (PS3.3 C.7.6.3.1.2)."""

from data_checks.at_door import Case, DoorCheck, Remark, Stage, upside_down, warn


def _judge(case: Case) -> Remark | None:
    if case.row.photometric == "MONOCHROME1" or not upside_down(case):
        return None
    return warn("the grey values look inverted")


CHECK = DoorCheck(
    name="inverted",
    turn=20,
    stage=Stage.EMBEDDING,
    columns=("embedding", "photometric"),
    guards="an image with its grey values inverted",
    threshold="nearer to the inverted images of the model's ground than to the upright ones",
    judge=_judge,
)
