"""A model's card for tests: one target, no weights. The runner of a test reads with it instead of the zoo's."""

from pathlib import Path

from models.spec import Applicability, Calibration, ModelSpec, TargetSpec
from radloop.domain.enums import Qualification, Standing, Urgency
from radloop.domain.records import Code, ModelVersion

NAME = "cxr_pneumonia"
DIGEST = "d" * 64


def card(name: str = NAME, digest: str = DIGEST, modalities: tuple[str, ...] = ("CR", "DX")) -> ModelSpec:
    return ModelSpec(
        name=name,
        version="1.0.0",
        title="Chest radiograph pneumonia",
        qualification=Qualification.RESEARCH,
        targets=(
            TargetSpec(
                name="pneumonia",
                code=Code("233604007", "SCT", "Pneumonia"),
                threshold=0.5,
                escalate_at=0.85,
                escalates_to=Urgency.URGENT,
                location=Code("39607008", "SCT", "Lung"),
                paired=True,
            ),
        ),
        applicability=Applicability(
            modalities=modalities,
            body_parts=("CHEST",),
            views=("PA", "AP"),
            photometric=("MONOCHROME1", "MONOCHROME2"),
            min_rows=64,
            min_columns=64,
        ),
        calibration=Calibration(method="Platt", slope=1.0, intercept=0.0),
        input_size=224,
        bundle=Path("/nowhere"),
        digest=digest,
    )


def version(name: str = NAME, digest: str = DIGEST, standing: Standing = Standing.CHAMPION) -> ModelVersion:
    return ModelVersion(
        name=name, version="1.0.0", digest=digest, standing=standing, qualification=Qualification.RESEARCH
    )


CATALOG = {NAME: card()}
