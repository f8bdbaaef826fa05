import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydicom import Dataset

from models.preparation import HeaderFacts, excluded, header_facts, resample, to_picture, to_unit

images = arrays(np.int16, st.tuples(st.integers(1, 40), st.integers(1, 40)))


def ramp(rows: int = 64, columns: int = 64) -> np.ndarray:
    return np.tile(np.linspace(0, 4095, columns), (rows, 1)).astype(np.uint16)


@settings(max_examples=40, deadline=None)
@given(images, st.sampled_from(["MONOCHROME1", "MONOCHROME2"]), st.none() | st.floats(-100, 100, allow_subnormal=False))
def test_any_image_becomes_finite_float32_within_0_and_1(
    image: np.ndarray, photometric: str, pad: float | None
) -> None:
    facts = HeaderFacts(photometric=photometric, padding=pad, window=(40.0, 400.0))
    for made in (to_unit(image, facts), to_picture(image, facts) / 255):
        assert np.isfinite(made).all()
        assert 0 <= made.min() <= made.max() <= 1
    assert to_unit(image, facts).dtype == np.float32


def test_monochrome1_is_inverted_so_that_bright_is_dense() -> None:
    plain, inverse = (to_unit(ramp(), HeaderFacts(photometric=name)) for name in ("MONOCHROME2", "MONOCHROME1"))
    np.testing.assert_allclose(plain, 1 - inverse, atol=1e-5)
    assert to_picture(ramp(), HeaderFacts(photometric="MONOCHROME1", window=(2048.0, 4096.0)))[0, 0] == 255


@given(st.floats(0.5, 20, allow_subnormal=False), st.floats(-2000, 2000, allow_subnormal=False))
def test_rescaling_and_windowing_change_nothing_the_model_sees(slope: float, intercept: float) -> None:
    facts = HeaderFacts(slope=slope, intercept=intercept, window=(40.0, 400.0))
    np.testing.assert_allclose(to_unit(ramp(), facts), to_unit(ramp(), HeaderFacts()), atol=1e-3)


def test_a_burned_in_marker_and_padding_do_not_darken_the_rest() -> None:
    marked = ramp()
    marked[:2, :2] = 65535
    padded = ramp().astype(np.int32)
    padded[:, :8] = -30000
    clean = to_unit(ramp(), HeaderFacts())
    np.testing.assert_allclose(to_unit(marked, HeaderFacts())[3:], clean[3:], atol=0.02)
    assert (to_unit(padded, HeaderFacts(padding=-30000.0))[:, :8] == 0).all()
    assert to_unit(padded, HeaderFacts(padding=-30000.0))[:, 10].max() < 0.2


def test_the_picture_uses_the_window_of_the_header_unless_it_leaves_nothing_to_see() -> None:
    narrow = to_picture(ramp(), HeaderFacts(window=(1000.0, 100.0)))
    assert (narrow[:, :8] == 0).all()
    assert (narrow[:, 40:] == 255).all()
    hopeless = to_picture(ramp(), HeaderFacts(window=(100000.0, 100.0)))
    assert hopeless.std() > 50


def test_a_card_s_window_shows_hounsfield_units_as_they_are_whatever_else_is_in_the_picture() -> None:
    units = np.array([[-3000, -1000, 0, 20, 40, 60, 80, 1000]], np.float32)
    shown = to_unit(units + 1024, HeaderFacts(intercept=-1024.0, padding=-1976.0, window=(300.0, 1500.0)), (40.0, 80.0))
    np.testing.assert_allclose(shown, [[0, 0, 0, 0.26, 0.51, 0.76, 1, 1]], atol=0.01)
    inverse = to_unit(-units - 1024, HeaderFacts(intercept=1024.0, photometric="MONOCHROME1"), (-40.0, 80.0))
    np.testing.assert_allclose(inverse, shown, atol=0.02)


@pytest.mark.parametrize("units", [-1000, 40, 3000])
def test_what_is_flat_in_a_window_comes_out_as_zeros_as_it_does_without(units: int) -> None:
    assert not to_unit(np.full((4, 4), units, np.int16), HeaderFacts(), (40.0, 80.0)).any()


def test_padding_is_the_darkest_in_a_window_too() -> None:
    padded = np.array([[30, 3000]], np.int16)
    assert to_unit(padded, HeaderFacts(padding=3000.0), (40.0, 80.0))[0, 1] == 0
    assert to_picture(padded, HeaderFacts(padding=3000.0, window=(40.0, 80.0)))[0, 1] == 0


@pytest.mark.parametrize(
    ("changes", "hounsfield"),
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "RescaleIntercept": "-1024"}, True),
        ({"RescaleIntercept": "-1024", "RescaleType": "HU"}, True),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "RescaleIntercept": "0", "RescaleType": "US"}, False),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, False),
        ({"RescaleIntercept": "-1024"}, False),
    ],
)
def test_a_model_with_a_window_reads_hounsfield_units_alone(changes: dict[str, str], hounsfield: bool) -> None:
    ds = Dataset()
    for key, value in changes.items():
        setattr(ds, key, value)
    facts = header_facts(ds)
    assert facts.hounsfield is hounsfield
    assert excluded(facts, "", (40.0, 80.0)) == (None if hounsfield else "the image is not in Hounsfield units")
    assert excluded(facts, "") is None


@pytest.mark.parametrize(("rows", "columns", "shape"), [(2048, 1024, (1024, 512)), (300, 200, (300, 200))])
def test_the_picture_is_at_most_1024_on_the_long_side_and_never_enlarged(
    rows: int, columns: int, shape: tuple[int, int]
) -> None:
    assert to_picture(ramp(rows, columns), HeaderFacts()).shape == shape


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 60), st.integers(1, 60))
def test_resampling_keeps_a_flat_image_flat_and_a_mirrored_one_mirrored(
    h: int, w: int, rows: int, columns: int
) -> None:
    np.testing.assert_allclose(resample(np.full((h, w), 0.5, np.float32), rows, columns), 0.5, atol=1e-5)
    image = np.random.default_rng(h * 61 + w).random((h, w), np.float32)
    mirrored = resample(np.ascontiguousarray(image[:, ::-1]), rows, columns)
    np.testing.assert_allclose(mirrored, resample(image, rows, columns)[:, ::-1], atol=1e-5)


def header(**values: object) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def test_facts_are_read_from_the_header_and_nonsense_counts_as_absent() -> None:
    facts = header_facts(header(PhotometricInterpretation="MONOCHROME1", RescaleSlope="2", RescaleIntercept="-5",
                                WindowCenter=["40", "80"], WindowWidth=["400", "800"]))  # fmt: skip
    assert (facts.photometric, facts.slope, facts.intercept, facts.window) == ("MONOCHROME1", 2.0, -5.0, (40.0, 400.0))
    assert header_facts(header()) == HeaderFacts(photometric="")
    assert header_facts(header(RescaleSlope="0")).slope == 1.0


@pytest.mark.parametrize(
    ("values", "plane", "reason"),
    [
        ({"ImageType": ["DERIVED", "SECONDARY"]}, "", "the image is a secondary capture"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "", "the image is a secondary capture"),
        ({"ImageType": ["DERIVED", "PRIMARY"]}, "", None),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}, "AXIAL", None),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0.2, -0.98]}, "AXIAL", "the slice is not axial"),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, "AXIAL", "the slice is not axial"),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, "", None),
        ({}, "AXIAL", None),
    ],
)
def test_secondary_captures_and_other_planes_are_excluded(
    values: dict[str, object], plane: str, reason: str | None
) -> None:
    assert excluded(header_facts(header(**values)), plane) == reason
