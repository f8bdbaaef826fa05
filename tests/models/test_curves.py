import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from models.curves import area_of, curves_in, curves_of, reliability_of, roc_of, subgroups_of
from radloop.domain.errors import Unparsable
from radloop.domain.learning import Facts

cases = st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=4, max_size=60).filter(
    lambda pairs: {label for label, _ in pairs} == {True, False}
)


def split(pairs: list[tuple[bool, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([label for label, _ in pairs]), np.array([score / 20 for _, score in pairs])


@given(cases)
def test_the_area_under_the_drawn_curve_is_the_auc(pairs: list[tuple[bool, int]]) -> None:
    labels, scores = split(pairs)
    points = roc_of(labels, scores)
    assert np.trapezoid(points[:, 1], points[:, 0]) == pytest.approx(roc_auc_score(labels, scores))
    assert points[0].tolist() == [0, 0]
    assert points[-1].tolist() == [1, 1]
    assert (np.diff(points, axis=0) >= 0).all()


@given(cases)
def test_every_image_is_in_one_bin_and_every_share_inside_its_interval(pairs: list[tuple[bool, int]]) -> None:
    labels, scores = split(pairs)
    bins = reliability_of(labels, scores)
    assert sum(one.n for one in bins) == len(labels)
    assert sum(one.observed * one.n for one in bins) == pytest.approx(labels.sum())
    assert all(one.low - 1e-9 <= one.observed <= one.high + 1e-9 for one in bins)


def test_a_perfect_score_on_few_images_is_no_certainty() -> None:
    labels = np.array([False] * 10 + [True] * 10)
    area = area_of(labels, np.linspace(0, 1, 20))
    assert area is not None
    assert area.value == 1.0
    assert area.low < 0.75
    assert area_of(labels[:11], np.linspace(0, 1, 11)) is None


def test_subgroups_have_a_row_for_each_known_value_and_too_small_ones_no_number() -> None:
    labels = np.array([True, False] * 10 + [True])
    facts = [Facts(sex="F")] * 20 + [Facts(sex="M")]
    rows = subgroups_of(labels, np.random.default_rng(1).random(21), facts)
    assert [(row.name, row.value is None, row.note) for row in rows] == [
        ("sex F", False, "n 20"),
        ("sex M", True, "n 1"),
    ]


def test_the_operating_point_lies_on_the_curve() -> None:
    labels = np.array([1, 1, 0, 0], np.float32)
    curves = curves_of(labels, np.array([0.9, 0.4, 0.6, 0.1]), [Facts()] * 4, 0.5, "four images")
    assert curves.operating == (0.5, 0.5)
    assert list(curves.operating) in curves.roc.tolist()
    assert curves.subgroups == ()


def test_curves_that_a_bundle_holds_are_taken_as_they_are_and_nonsense_is_refused() -> None:
    held = curves_in({"curves": {"roc": [[0, 0], [1, 1]], "reliability": [[0.2, 0.3, 0.1, 0.5, 7]]}})
    assert held is not None
    assert held.n == 7
    assert curves_in({"auc": 1}) is None
    with pytest.raises(Unparsable):
        curves_in({"curves": {"roc": "a line"}})
