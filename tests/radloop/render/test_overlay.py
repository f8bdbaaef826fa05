from dataclasses import replace

import numpy as np
import pytest

from radloop.domain.enums import Qualification
from radloop.domain.errors import InvalidObject
from radloop.render import Legend, overlay, to_png
from radloop.render.overlay import _AMBER, _BAND, _MARGIN, _verdict

LEGEND = Legend(
    finding="Pneumonia",
    probability=0.9231,
    threshold=0.5,
    model="cxr_pneumonia",
    version="1.0.0",
    qualification=Qualification.RESEARCH,
)


def grey(shape: tuple[int, int], value: int = 0) -> np.ndarray:
    return np.full(shape, value, dtype=np.uint8)


def ramp(shape: tuple[int, int]) -> np.ndarray:
    return np.linspace(0, 255, shape[0] * shape[1]).reshape(shape).astype(np.uint8)


def drawn(picture: np.ndarray, heatmap: np.ndarray, legend: Legend = LEGEND) -> np.ndarray:
    return overlay(to_png(picture), to_png(heatmap), legend)


def band_of(image: np.ndarray) -> np.ndarray:
    return image[1026:]


@pytest.mark.parametrize("shape", [(1024, 1024), (256, 256), (1024, 300), (300, 1024), (16, 16), (2000, 1500)])
def test_it_is_rgb_large_enough_to_read_and_leaves_the_band_to_the_legend(shape: tuple[int, int]) -> None:
    image = drawn(ramp(shape), grey(shape))
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert max(image.shape[:2]) >= 1024
    assert image.shape[1] >= 768


def test_where_there_is_no_heat_the_picture_is_untouched_and_no_word_lies_on_it() -> None:
    picture = ramp((1024, 1024))
    image = drawn(picture, grey((1024, 1024)))
    assert (image[:1023] == picture[:1023, :, None]).all()


def test_anatomy_shows_through_the_hottest_place() -> None:
    picture = grey((1024, 1024), 60)
    picture[:, 512:] = 200
    image = drawn(picture, grey((1024, 1024), 255)).astype(int)
    assert (np.abs(image[500, 200] - image[500, 800]) > 40).all()


def test_hotter_is_lighter_and_more_opaque() -> None:
    heatmap = np.tile(np.arange(1024) // 4, (1024, 1)).astype(np.uint8)
    row = drawn(grey((1024, 1024)), heatmap)[500].astype(float) @ np.array([0.2126, 0.7152, 0.0722])
    assert row[:100].max() < 8
    assert (np.diff(row[200::40]) > 0).all()


CHANGES = {
    "finding": replace(LEGEND, finding="Effusion"),
    "probability": replace(LEGEND, probability=0.61),
    "threshold": replace(LEGEND, threshold=0.6),
    "model": replace(LEGEND, model="other"),
    "version": replace(LEGEND, version="1.0.1"),
    "qualification": replace(LEGEND, qualification=Qualification.PRODUCT),
}


@pytest.mark.parametrize("legend", CHANGES.values(), ids=CHANGES)
def test_every_part_of_the_legend_is_in_the_pixels(legend: Legend) -> None:
    picture = grey((1024, 1024))
    one, other = (drawn(picture, picture, each) for each in (LEGEND, legend))
    assert (one[:1024] == other[:1024]).all()
    assert (band_of(one) != band_of(other)).any()


def test_the_notice_is_in_the_pixels_in_its_own_colour() -> None:
    image = drawn(grey((1024, 1024)), grey((1024, 1024)))
    assert (band_of(image) == _AMBER).all(axis=-1).sum() > 500


def test_both_sides_of_the_threshold_never_print_as_one_number() -> None:
    assert _verdict(replace(LEGEND, probability=0.4999)) == "Probability 0.4999, below the threshold of 0.5000"
    assert _verdict(LEGEND) == "Probability 0.92, at or above the threshold of 0.50"


@pytest.mark.parametrize("shape", [(1024, 1024), (1024, 300)])
def test_long_words_stay_inside_the_margins(shape: tuple[int, int]) -> None:
    legend = replace(LEGEND, finding="long words " * 40, model="model" * 60)
    band = band_of(drawn(grey(shape), grey(shape), legend))
    assert (band[:, : _MARGIN - 4] == _BAND).all()
    assert (band[:, -_MARGIN + 4 :] == _BAND).all()


def test_a_coarse_heatmap_is_stretched_over_the_picture_and_keeps_its_peak() -> None:
    coarse = np.zeros((5, 5), np.uint8)
    coarse[1, 3] = 255
    cold, hot = (drawn(np.zeros((512, 1024), np.uint8), one) for one in (np.zeros_like(coarse), coarse))
    added = (hot.astype(int) - cold)[:512].sum(axis=2)
    row, column = np.unravel_index(added.argmax(), added.shape)
    assert abs(row - 154) < 20
    assert abs(column - 717) < 40


def test_bytes_that_are_no_png_are_invalid() -> None:
    with pytest.raises(InvalidObject):
        overlay(b"x", b"y", LEGEND)
