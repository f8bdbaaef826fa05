"""Warming up: one made-up answer is encoded before the first real one, which then need not wait for imports.

Encoders load their standards' tables at first use, and checks what they compute with: that takes seconds. Nothing made
here is stored or sent.
"""

from datetime import UTC, datetime
from typing import Final

import numpy as np
from pydicom import Dataset

from data_checks.at_door import door
from flows.encoding import SOFTWARE_VERSION, site_facts
from integrations.objects.catalog import encoders
from integrations.objects.context import AnswerContext
from models.catalog import catalog
from radloop.domain.enums import Qualification, ResultStatus, Standing, StudyState, Urgency
from radloop.domain.ids import derive_uid
from radloop.domain.records import Code, Evidence, Finding, ModelVersion, Result, StudyVersion
from radloop.render import to_png
from radloop.settings import SiteSettings

AT: Final = datetime(2000, 1, 1, tzinfo=UTC)
WARMTH: Final = "warm"
CR_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.1"


def warm_up(site: SiteSettings) -> int:
    """Find every check, encode and validate one answer in every kind; how many objects that made.

    Raises:
        InvalidObject: an encoder refused the made-up answer.
    """
    catalog()
    door()
    ctx = _context(site)
    made = [(encoder, encoder.encode(ctx)) for encoder in encoders().values()]
    for encoder, encoded in made:
        for one in encoded:
            encoder.validate(one, ctx)
    return sum(len(encoded) for _, encoded in made)


def _context(site: SiteSettings) -> AnswerContext:
    grey = to_png(np.tile(np.arange(64, dtype=np.uint8), (64, 1)))
    return AnswerContext(
        study=_study(),
        result=_result(),
        title="Warming up",
        sources={WARMTH: _header()},
        pictures={WARMTH: grey},
        order=None,
        predecessor=None,
        site=site_facts(site, AT),
        software_version=SOFTWARE_VERSION,
    )


def _header() -> Dataset:
    ds = Dataset()
    ds.SOPClassUID = CR_IMAGE
    ds.SOPInstanceUID, ds.SeriesInstanceUID = derive_uid("2.25", WARMTH, "image"), derive_uid("2.25", WARMTH, "series")
    ds.StudyInstanceUID = derive_uid("2.25", WARMTH)
    ds.Modality, ds.BodyPartExamined = "CR", "CHEST"
    ds.PatientOrientation = ["L", "F"]
    ds.Rows = ds.Columns = 64
    return ds


def _study() -> StudyVersion:
    return StudyVersion(
        id=WARMTH,
        study_id=WARMTH,
        study_uid=derive_uid("2.25", WARMTH),
        number=1,
        state=StudyState.READING,
        reason=None,
        urgency=Urgency.ROUTINE,
        evidence=Evidence(),
        received_at=AT,
        completed_at=AT,
        answered_at=None,
        instances=1,
        modalities=("CR",),
        peer="",
    )


def _result() -> Result:
    finding = Finding(
        target=WARMTH,
        code=Code("233604007", "SCT", "Pneumonia"),
        probability=0.9,
        threshold=0.5,
        urgency=Urgency.URGENT,
        location=Code("39607008", "SCT", "Lung"),
        instance_id=WARMTH,
        picture_key=WARMTH,
        heatmap_key=WARMTH,
        box=(8.0, 8.0, 32.0, 32.0),
    )
    model = ModelVersion(
        name=WARMTH,
        version="1",
        digest="0" * 64,
        standing=Standing.CHALLENGER,
        qualification=Qualification.RESEARCH,
    )
    return Result(
        id=WARMTH,
        version_id=WARMTH,
        model=model,
        status=ResultStatus.OK,
        reason=None,
        findings=(finding,),
        run=None,
        predecessor_id=None,
        created_at=AT,
    )
