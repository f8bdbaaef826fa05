"""Exposure: too many pixels at the end of the grey scale. What was cut there cannot be seen again."""

from data_checks.at_door import Case, DoorCheck, Remark, Stage, usual, warn


def _judge(case: Case) -> Remark | None:
    family = usual(case)
    if family is None:
        return None
    dark, bright = case.facts.clipped_low, case.facts.clipped_high
    if case.row.photometric == "MONOCHROME1":
        dark, bright = bright, dark
    if bright > family.high["clipped_high"]:
        return warn(f"the image is clipped: {bright:.0%} of the pixels are at its brightest value")
    if dark > family.high["clipped_low"]:
        return warn(f"the image is clipped: {dark:.0%} of the pixels are at its darkest value")
    return None


CHECK = DoorCheck(
    name="clipped",
    turn=50,
    stage=Stage.PIXELS,
    columns=("clipped_low", "clipped_high", "photometric"),
    guards="saturation by over- or underexposure",
    threshold="more pixels at one value than on the model's ground",
    judge=_judge,
)
