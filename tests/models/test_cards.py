from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from models.cards import BundleWords, CardFacts, card
from models.catalog import catalog
from models.curves import Curves
from radloop.domain.enums import GateOutcome, Qualification, Standing
from radloop.domain.learning import Evaluation, GateVerdict
from radloop.domain.records import ModelVersion
from radloop.render.document import to_markdown

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SPEC = catalog()["cxr_pneumonia"]
BUNDLE = BundleWords(
    spec=SPEC,
    words="",
    metrics={"out_of_fold": {"auc": {"value": 0.8, "low": 0.7, "high": 0.9}}, "auc_by_fold": [0.8], "model": "x"},
    fault=None,
    weights=(),
    shipped=False,
)
FACTS = CardFacts(
    version=ModelVersion(
        name=SPEC.name, version="1.0.0", digest=SPEC.digest, standing=Standing.SHADOW,
        qualification=Qualification.RESEARCH,
    ),
    registered_at=None, bundle=BUNDLE, first=None, lessons=(), evaluations=(), approvals=(), changes=(),
    curves="no evaluation is on record", read=0, at=AT,
)  # fmt: skip


def evaluation(*gates: GateVerdict) -> Evaluation:
    return Evaluation(
        id="ev_1", model=SPEC.name, digest=SPEC.digest, champion=None, original=None, cohort_id="co_1",
        plan_sha256="b" * 64, look=2, alpha=0.0125, outcome=GateOutcome.INSUFFICIENT_EVIDENCE, gates=gates,
        actor="ml.kim", at=AT,
    )  # fmt: skip


def test_every_section_is_there_even_where_nothing_is_on_record() -> None:
    written = to_markdown(card(FACTS))
    for heading in ("Intended use", "What it says", "Qualification and standing", "Training", "Metrics", "Figures"):
        assert f"\n## {heading}\n" in written
    for said in (
        "the bundle carries no words on it",
        "No change of standing is on record",
        "No approval is on record",
        "No training run is on record",
        "No evaluation is on record",
        "cannot be drawn: no evaluation is on record",
    ):
        assert said in written
    assert "| AUC | 0.800 (0.700 to 0.900) |" in written


def test_a_bundle_that_cannot_be_read_still_has_a_card() -> None:
    broken = BundleWords(spec=None, words="", metrics={}, fault="no manifest", weights=(), shipped=False)
    written = to_markdown(card(replace(FACTS, bundle=broken)))
    assert "NOT valid: no manifest" in written
    assert "nothing may be answered with it" in written


def test_insufficient_evidence_is_said_with_the_gate_that_lacks_it() -> None:
    gate = GateVerdict(
        gate="auc", outcome=GateOutcome.INSUFFICIENT_EVIDENCE, value=0.01, low=-0.2, high=0.22, margin=0.05, n=31,
        words="31 cases are too few",
    )  # fmt: skip
    written = to_markdown(card(replace(FACTS, evaluations=(evaluation(), evaluation(gate)))))
    assert "**INSUFFICIENT_EVIDENCE**. Look 2" in written
    assert "| auc | INSUFFICIENT_EVIDENCE | 0.01 (-0.2 to 0.22) | 0.05 | 31 | 31 cases are too few |" in written


def test_few_test_images_are_said_to_be_few() -> None:

    curves = Curves(np.array([[0.0, 0.0], [1.0, 1.0]]), None, None, (), (), 31, "31 images")
    written = to_markdown(card(replace(FACTS, curves=curves)))
    assert "The figures show 31 test images" in written
    assert "Subgroups cannot be drawn" in written


def test_a_card_says_which_hounsfield_units_the_network_sees() -> None:
    head = replace(BUNDLE, spec=replace(SPEC, window=(40.0, 80.0)))
    assert "96 x 96 pixels of 0 to 80 HU" in to_markdown(card(replace(FACTS, bundle=head)))
    assert "HU" not in to_markdown(card(FACTS))
