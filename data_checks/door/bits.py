"""Bits Stored (0028,0101): models saw images of 8 to 16 bits."""

from typing import Final

from data_checks.at_door import Case, DoorCheck, Remark, Stage, warn

LEAST: Final = 8
MOST: Final = 16


def _judge(case: Case) -> Remark | None:
    bits = case.row.bits_stored
    if bits is None:
        return warn("the header does not say how many bits are stored")
    return None if LEAST <= bits <= MOST else warn(f"{bits} bits are stored")


CHECK = DoorCheck(
    name="bits",
    turn=1,
    stage=Stage.HEADER,
    columns=("bits_stored",),
    guards="a grey scale that no model was made for",
    threshold=f"fewer than {LEAST} or more than {MOST} bits",
    judge=_judge,
)
