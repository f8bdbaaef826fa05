"""Another body part, or no body at all, under a header that fits the card: told by where the model puts the image."""

from data_checks.at_door import Case, DoorCheck, Remark, Stage, distance, nearest, warn


def _judge(case: Case) -> Remark | None:
    if case.ground is None or case.seen is None:
        return None
    family = nearest(case.ground, case.seen.embedding)
    far = distance(family, case.seen.embedding) / family.reach
    if far <= 1.0:
        return None
    return warn("the image is unlike any that the model knows: perhaps another body part or view")


CHECK = DoorCheck(
    name="wrong_body_part",
    turn=30,
    stage=Stage.EMBEDDING,
    columns=("embedding",),
    guards="another body part or view than the header says",
    threshold="beyond the reach (squared Mahalanobis distance) of every family of the model's ground",
    judge=_judge,
)
