"""View Position (0018,5101): where it is missing, a lateral view may pass for a frontal one."""

from data_checks.at_door import Case, DoorCheck, Remark, Stage, not_applicable


def _judge(case: Case) -> Remark | None:
    if not case.asked.views or case.row.view.strip():
        return None
    return not_applicable("the header names no view: the card could not be held against it")


CHECK = DoorCheck(
    name="view_named",
    turn=1,
    stage=Stage.HEADER,
    columns=("view",),
    guards="another view under a header that names none",
    threshold="the card names views, the header none",
    judge=_judge,
)
