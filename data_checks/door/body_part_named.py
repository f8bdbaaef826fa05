"""Body Part Examined (0018,0015): where it is missing, the card cannot be held against it."""

from data_checks.at_door import Case, DoorCheck, Remark, Stage, not_applicable


def _judge(case: Case) -> Remark | None:
    if not case.asked.body_parts or case.row.body_part.strip():
        return None
    return not_applicable("the header names no body part: the card could not be held against it")


CHECK = DoorCheck(
    name="body_part_named",
    turn=1,
    stage=Stage.HEADER,
    columns=("body_part",),
    guards="another body part under a header that names none",
    threshold="the card names body parts, the header none",
    judge=_judge,
)
