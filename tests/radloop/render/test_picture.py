from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from radloop.domain.errors import InvalidObject
from radloop.render import heat, picture, to_png
from radloop.render.picture import read_grey

RAMP = np.linspace(0, 4095, 64 * 48, dtype=np.float32).reshape(64, 48)


def pixels_of(png: bytes) -> np.ndarray:
    with Image.open(BytesIO(png)) as image:
        assert image.format == "PNG"
        return np.asarray(image)


def test_a_window_maps_its_ends_to_black_and_white() -> None:
    grey = pixels_of(picture(np.array([[0, 100, 150, 200, 900]], dtype=np.float32), "MONOCHROME2", (150.5, 101.0)))
    assert grey.tolist() == [[0, 0, 127, 255, 255]]


def test_monochrome1_is_the_negative() -> None:
    straight, turned = (pixels_of(picture(RAMP, kind, (2000, 3000))) for kind in ("MONOCHROME2", "MONOCHROME1"))
    assert (straight.astype(int) + turned == 255).all()


def test_without_a_window_a_few_extreme_pixels_do_not_flatten_the_rest() -> None:
    pixels = RAMP.copy()
    pixels[0, 0], pixels[0, 1] = 1e9, -1e9
    grey = pixels_of(picture(pixels, "MONOCHROME2", None))
    assert np.ptp(grey[1:].astype(int)) > 250


@pytest.mark.parametrize(
    ("shape", "size"), [((3000, 2000), (683, 1024)), ((2000, 3000), (1024, 683)), ((40, 30), (30, 40))]
)
def test_the_long_side_is_at_most_1024_and_small_pictures_stay_small(
    shape: tuple[int, int], size: tuple[int, int]
) -> None:
    png = picture(np.zeros(shape, dtype=np.float32), "MONOCHROME2", None)
    assert read_grey(png).size == size


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=40),
        elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=False),
    ),
    st.sampled_from(["MONOCHROME1", "MONOCHROME2"]),
    st.none() | st.tuples(st.floats(-1e5, 1e5, allow_subnormal=False), st.floats(-10, 1e5, allow_subnormal=False)),
)
def test_any_image_and_any_window_make_a_picture_of_its_size(
    pixels: np.ndarray, photometric: str, window: tuple[float, float] | None
) -> None:
    assert pixels_of(picture(pixels, photometric, window)).shape == pixels.shape


def test_heat_is_kept_cell_by_cell_in_eight_bits() -> None:
    values = np.random.default_rng(1).random((5, 7), np.float32)
    grey = pixels_of(heat(values))
    assert grey.shape == (5, 7)
    assert np.abs(grey / 255 - values).max() < 1 / 255


def test_rgb_survives_png() -> None:
    rgb = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    assert (pixels_of(to_png(rgb)) == rgb).all()


@pytest.mark.parametrize("data", [b"", b"not a picture", to_png(np.zeros((50, 50), dtype=np.uint8))[:60]])
def test_what_is_not_a_whole_png_is_an_invalid_object(data: bytes) -> None:
    with pytest.raises(InvalidObject):
        read_grey(data)
