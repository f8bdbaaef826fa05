from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.catalog import catalog
from models.spec import ModelSpec
from radloop.domain.enums import Urgency
from radloop.domain.records import Acquisition

CHEST = catalog()["cxr_pneumonia"]
BRAIN = catalog()["brain_mr_tumour"]
probabilities = st.floats(0, 1, allow_subnormal=False)


@dataclass(frozen=True)
class Rule:
    escalate_at: float
    urgency: Urgency


def image(**changes: object) -> Acquisition:
    fine = Acquisition(
        instance_id="in_1",
        version_id="sv_1",
        modality="CR",
        body_part="CHEST",
        view="PA",
        photometric="MONOCHROME2",
        rows=1024,
        columns=1024,
    )
    return replace(fine, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("spec", catalog().values(), ids=lambda spec: spec.name)
def test_a_finding_at_092_is_flagged_and_one_at_061_is_listed_and_never_escalated(spec: ModelSpec) -> None:
    target = spec.targets[0]
    assert target.escalate_at == 0.85
    assert spec.urgency_of(target.name, 0.92) is Urgency.URGENT
    assert spec.urgency_of(target.name, 0.85) is Urgency.URGENT
    assert spec.urgency_of(target.name, 0.8499) is Urgency.ROUTINE
    assert spec.urgency_of(target.name, 0.61) is Urgency.ROUTINE


def test_the_site_overrides_the_cards_table_for_the_finding_it_names() -> None:
    site = {"pneumonia": Rule(0.6, Urgency.CRITICAL)}
    assert CHEST.urgency_of("pneumonia", 0.61, site) is Urgency.CRITICAL
    assert CHEST.urgency_of("pneumonia", 0.59, site) is Urgency.ROUTINE
    assert BRAIN.urgency_of("tumour", 0.61, site) is Urgency.ROUTINE


@given(lower=probabilities, higher=probabilities, at=probabilities)
def test_a_higher_probability_is_never_less_urgent(lower: float, higher: float, at: float) -> None:
    low, high = sorted((lower, higher))
    rule = {"pneumonia": Rule(at, Urgency.CRITICAL)}
    assert CHEST.urgency_of("pneumonia", low, rule).rank <= CHEST.urgency_of("pneumonia", high, rule).rank


@given(logits=st.tuples(st.floats(-1e6, 1e6, allow_subnormal=False), st.floats(-1e6, 1e6, allow_subnormal=False)))
def test_calibration_keeps_the_order_and_stays_within_0_and_1(logits: tuple[float, float]) -> None:
    low, high = sorted(logits)
    for spec in catalog().values():
        assert 0 <= spec.calibration.probability(low) <= spec.calibration.probability(high) <= 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"modality": "US"}, "modality is not CR or DX"),
        ({"modality": ""}, "modality is not CR or DX"),
        ({"body_part": "FOOT"}, "body part is not CHEST or THORAX or LUNG"),
        ({"view": "LATERAL"}, "view is not PA or AP"),
        ({"view": "LL"}, "view is not PA or AP"),
        ({"photometric": "RGB"}, "the image is not a greyscale image"),
        ({"frames": 2}, "the image has more than one frame"),
        ({"rows": 255}, "the image has fewer than 256 rows"),
        ({"columns": None}, "the image has fewer than 256 columns"),
    ],
)
def test_an_image_outside_the_card_is_not_applicable_with_its_reason(changes: dict[str, object], reason: str) -> None:
    assert CHEST.inapplicable([image(**changes)]) == reason


@pytest.mark.parametrize("changes", [{"body_part": ""}, {"view": ""}, {"view": "AP"}, {"body_part": " chest "}])
def test_an_absent_body_part_or_view_passes(changes: dict[str, object]) -> None:
    assert CHEST.inapplicable([image(**changes)]) is None


def test_one_frontal_image_is_enough_and_the_lateral_beside_it_is_left_out() -> None:
    frontal, lateral = image(), image(view="LATERAL")
    assert CHEST.inapplicable([lateral, frontal]) is None
    assert CHEST.readable([lateral, frontal]) == (frontal,)


def test_the_most_telling_reason_is_given_and_an_empty_study_has_one_too() -> None:
    assert CHEST.inapplicable([image(modality="SR"), image(view="LATERAL")]) == "view is not PA or AP"
    assert CHEST.inapplicable([]) == "the study has no image"


words = st.text(max_size=12)


@given(modality=words, body=words, view=words, photometric=words, rows=st.none() | st.integers(0, 5000))
def test_a_reason_never_repeats_what_the_header_says(
    modality: str, body: str, view: str, photometric: str, rows: int | None
) -> None:
    marked = [f"zq{text}zq" for text in (modality, body, view, photometric)]
    odd = image(modality=marked[0], body_part=marked[1], view=marked[2], photometric=marked[3], rows=rows)
    reason = CHEST.inapplicable([odd])
    assert reason is not None
    assert "zq" not in reason


@given(st.permutations([image(), image(view="LATERAL"), image(modality="SR"), image(rows=10)]))
def test_the_order_of_the_images_does_not_decide_applicability(images: list[Acquisition]) -> None:
    assert CHEST.inapplicable(images) is None
    assert CHEST.inapplicable([one for one in images if one.rows == 10 or one.view == "LATERAL"]) is not None
