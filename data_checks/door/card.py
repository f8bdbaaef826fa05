"""The model's card against the header, image by image: said by `models.spec`, written down here."""

from data_checks.at_door import Case, DoorCheck, Remark, Stage, not_applicable


def _judge(case: Case) -> Remark | None:
    return not_applicable(case.outside) if case.outside else None


CHECK = DoorCheck(
    name="card",
    turn=0,
    stage=Stage.HEADER,
    columns=("modality", "body_part", "view", "photometric", "frames", "rows", "columns"),
    guards="images of a study that lie outside the model's card: they are not read",
    threshold="the card's applicability",
    judge=_judge,
)
