"""A header that says MONOCHROME1 (low is bright: PS3.3 C.7.6.3.1.2) over pixels of which high is bright."""

from data_checks.at_door import Case, DoorCheck, Remark, Stage, upside_down, warn


def _judge(case: Case) -> Remark | None:
    if case.row.photometric != "MONOCHROME1" or not upside_down(case):
        return None
    return warn("the header says MONOCHROME1, but the image looks like MONOCHROME2")


CHECK = DoorCheck(
    name="wrong_photometric",
    turn=21,
    stage=Stage.EMBEDDING,
    columns=("embedding", "photometric"),
    guards="a photometric interpretation that is not the pixels' own",
    threshold="as `inverted`",
    judge=_judge,
)
