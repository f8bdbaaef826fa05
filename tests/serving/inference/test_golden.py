"""The golden study is of the kind that a model reads; a model of anything else is warmed up all the same."""

from dataclasses import replace

import pytest

from models.catalog import catalog
from serving.inference.golden import golden_study

SPEC = catalog()["cxr_pneumonia"]


@pytest.mark.parametrize(
    ("modalities", "drawn"),
    [
        (("CR", "DX"), "CR"),
        (("DX",), "CR"),
        (("MR",), "MR"),
        (("CT",), "CT"),
        (("PT", "CT"), "CT"),
        (("MG",), "CR"),
        ((), "CR"),
    ],
)
def test_every_card_has_a_golden_study_whatever_modalities_it_names(modalities: tuple[str, ...], drawn: str) -> None:
    spec = replace(SPEC, applicability=replace(SPEC.applicability, modalities=modalities))
    assert golden_study(spec).Modality == drawn
