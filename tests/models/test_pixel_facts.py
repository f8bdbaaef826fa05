"""Pixel facts: each number says what its docstring says, of images made for it."""

from dataclasses import asdict

import numpy as np
import pytest

from models.pixel_facts import Scale, pixel_facts, stored_scale

TWELVE = Scale(0.0, 4095.0)


def ramp(side: int = 512) -> np.ndarray:
    return np.tile(np.linspace(0, 4095, side, dtype=np.float32), (side, 1))


def texture(side: int = 512, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(2000, 200, (side, side))).astype(np.float32)


def test_percentiles_are_shares_of_what_bits_stored_can_hold() -> None:
    facts = pixel_facts(ramp(), TWELVE)
    assert [facts.p1, facts.p25, facts.p50, facts.p75, facts.p99] == pytest.approx(
        [0.01, 0.25, 0.5, 0.75, 0.99], abs=0.01
    )


def test_rescaled_and_signed_values_give_the_same_shares() -> None:
    hounsfield = stored_scale(12, signed=True, slope=2.0, intercept=-1000.0, inverted=False)
    facts = pixel_facts((ramp() - 2048) * 2 - 1000, hounsfield)
    assert asdict(facts) == pytest.approx(asdict(pixel_facts(ramp(), TWELVE)), abs=1e-3)


def test_an_even_spread_has_eight_bits_and_a_constant_none() -> None:
    assert pixel_facts(ramp(), TWELVE).entropy == pytest.approx(8, abs=0.1)
    flat = pixel_facts(np.full((300, 300), 7, np.float32), TWELVE)
    assert (flat.entropy, flat.clipped_low, flat.clipped_high, flat.sharpness) == (0, 1, 1, 0)


def test_saturation_is_the_share_of_pixels_at_the_extremes() -> None:
    image = ramp().clip(409.5, 4095 * 0.7)
    facts = pixel_facts(image, TWELVE)
    assert facts.clipped_low == pytest.approx(0.1, abs=0.01)
    assert facts.clipped_high == pytest.approx(0.3, abs=0.01)


def test_noise_is_told_in_shares_of_the_spread() -> None:
    noisy = ramp() + np.random.default_rng(0).normal(0, 40, (512, 512)).astype(np.float32)
    assert pixel_facts(noisy, TWELVE).noise * 4095 == pytest.approx(40, rel=0.1)
    assert pixel_facts(ramp(), TWELVE).noise == 0


@pytest.mark.parametrize("way", [(0, 1), (1, 0)])
def test_motion_along_one_axis_takes_the_sharpness(way: tuple[int, int]) -> None:
    image = texture()
    moved = np.mean([np.roll(image, (n * way[0], n * way[1]), (0, 1)) for n in range(16)], axis=0)
    assert pixel_facts(moved, TWELVE).sharpness < 0.5 * pixel_facts(image, TWELVE).sharpness


@pytest.mark.parametrize("inverted", [False, True])
def test_collimation_is_counted_from_the_edges_inwards(inverted: bool) -> None:
    image = texture()
    image[:64] = image[:, -128:] = 4095 if inverted else 0
    image[300:310] = 4095 if inverted else 0  # a dark line inside is no collimation
    facts = pixel_facts(image, Scale(0, 4095, inverted=inverted))
    assert facts.border == pytest.approx((64 + 128) / 1024, abs=0.01)


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (33, 40), (257, 511), (2000, 300), (1025, 1023)])
def test_any_shape_will_do_and_every_number_is_finite(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(1).normal(100, 30, shape).astype(np.float32)
    image[0, 0] = np.nan if image.size > 1 else 5
    assert all(np.isfinite(value) for value in asdict(pixel_facts(image, TWELVE)).values())


def test_an_image_without_a_finite_pixel_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        pixel_facts(np.full((8, 8), np.nan, np.float32), TWELVE)
