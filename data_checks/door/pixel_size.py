"""Pixel Spacing (0028,0030), in millimetres: sizes are told by it."""

from typing import Final

from data_checks.at_door import Case, DoorCheck, Remark, Stage, warn

LOW: Final = 0.01
HIGH: Final = 5.0


def _judge(case: Case) -> Remark | None:
    spacing = case.row.spacing
    if spacing is None or LOW <= spacing <= HIGH:
        return None
    return warn(f"the header says that a pixel is {spacing:g} mm high")


CHECK = DoorCheck(
    name="pixel_size",
    turn=1,
    stage=Stage.HEADER,
    columns=("spacing",),
    guards="a header that cannot be true of this image",
    threshold=f"below {LOW:g} or above {HIGH:g} mm",
    judge=_judge,
)
