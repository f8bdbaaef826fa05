"""KVP (0018,0060) of projections, in kilovolts: volts under the name of kilovolts, or an image of no patient."""

from typing import Final

from data_checks.at_door import Case, DoorCheck, Remark, Stage, warn

LOW: Final = 15.0
HIGH: Final = 160.0
MODALITIES: Final = ("CR", "DX", "MG", "RF", "XA", "CT")


def _judge(case: Case) -> Remark | None:
    kvp = case.row.kvp
    # 0 stands where a device knows none.
    if case.row.modality not in MODALITIES or not kvp or LOW <= kvp <= HIGH:
        return None
    return warn(f"the header says that the tube voltage is {kvp:g} kV")


CHECK = DoorCheck(
    name="tube_voltage",
    turn=1,
    stage=Stage.HEADER,
    columns=("modality", "kvp"),
    guards="a header that cannot be true of this image",
    threshold=f"below {LOW:g} or above {HIGH:g} kV",
    judge=_judge,
)
