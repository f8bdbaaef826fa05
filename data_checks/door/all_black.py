"""All black: nothing but the noise of the dark. Of MONOCHROME1 (PS3.3 C.7.6.3.1.2) high values are the dark ones."""

from typing import Final

from data_checks.at_door import Case, DoorCheck, Remark, Stage, warn

DARK: Final = 0.005
"""Share of the grey scale; 8 bits in a grey scale of 16 lie lower, but hold more than noise does."""
LEAST: Final = 2.5


def _judge(case: Case) -> Remark | None:
    facts = case.facts
    brightest = 1.0 - facts.p1 if case.row.photometric == "MONOCHROME1" else facts.p99
    return warn("the image is all black") if brightest <= DARK and facts.entropy < LEAST else None


CHECK = DoorCheck(
    name="all_black",
    turn=10,
    stage=Stage.PIXELS,
    columns=("p1", "p99", "entropy", "photometric"),
    guards="an image without exposure",
    threshold=f"99 % of pixels in the darkest {DARK:.1%} of the grey scale, entropy below {LEAST:g} bits",
    judge=_judge,
)
