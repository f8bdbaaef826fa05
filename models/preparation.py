"""From decoded pixels to what the network sees and what the reader sees. Pure functions of numpy arrays.

Training and inference call the same code, so a model is never fed what it was not trained on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pydicom

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Window = tuple[float, float]
"""Centre and width, as in Window Center (0028,1050) and Window Width (0028,1051)."""

PERCENTILES = (0.5, 99.5)
"""Grey levels outside are clipped: burned-in markers and dead pixels are brighter than any tissue."""
ENOUGH_SIDE = 1024
"""Percentiles of a large image are taken from every n-th row and column: a sort of five megapixels takes 0.5 s."""
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderFacts:
    """What the pixels need to be understood, and nothing about the patient.

    `window` is (centre, width) of the first VOI window; `orientation` the six direction cosines of Image
    Orientation (Patient); `padding` the Pixel Padding Value. None where the header has none. `hounsfield`: rescaled
    values are Hounsfield units.
    """

    photometric: str = "MONOCHROME2"
    slope: float = 1.0
    intercept: float = 0.0
    window: Window | None = None
    padding: float | None = None
    orientation: tuple[float, ...] | None = None
    secondary: bool = False
    hounsfield: bool = False


def header_facts(ds: pydicom.Dataset) -> HeaderFacts:
    """Read the facts from a data set's header; values that are no numbers count as absent."""
    slope, intercept = _numbers(ds, "RescaleSlope"), _numbers(ds, "RescaleIntercept")
    centre, width = _numbers(ds, "WindowCenter"), _numbers(ds, "WindowWidth")
    padding, orientation = _numbers(ds, "PixelPaddingValue"), _numbers(ds, "ImageOrientationPatient")
    return HeaderFacts(
        photometric=str(ds.get("PhotometricInterpretation", "") or ""),
        slope=slope[0] if slope and slope[0] else 1.0,
        intercept=intercept[0] if intercept else 0.0,
        window=(centre[0], width[0]) if centre and width and width[0] > 1 else None,
        padding=padding[0] if padding else None,
        orientation=tuple(orientation) if len(orientation) == 6 else None,
        secondary=_secondary(ds),
        hounsfield=_hounsfield(ds),
    )


def of_modality_values(facts: HeaderFacts) -> HeaderFacts:
    """The facts once slope and intercept are applied (PS3.3 C.11.1): the padding value moves with the rest."""
    if facts.padding is None:
        return replace(facts, slope=1.0, intercept=0.0)
    moved = np.float32(facts.padding) * np.float32(facts.slope) + np.float32(facts.intercept)
    return replace(facts, slope=1.0, intercept=0.0, padding=float(moved))


def excluded(facts: HeaderFacts, plane: str, window: Window | None = None) -> str | None:
    """Why an image is outside the card although its acquisition row passed, or None.

    Derived/secondary captures carry drawings, not raw anatomy (PS3.3 C.7.6.1.1.2); a card may ask for a plane, and one
    that names a window asks for Hounsfield units.
    """
    if facts.secondary:
        return "the image is a secondary capture"
    if plane == "AXIAL" and facts.orientation is not None and not _axial(facts.orientation):
        return "the slice is not axial"
    if window is not None and not facts.hounsfield:
        return "the image is not in Hounsfield units"
    return None


def to_unit(pixels: npt.NDArray[np.generic], facts: HeaderFacts, window: Window | None = None) -> Floats:
    """Stored values (H, W) to float32 0..1, bright = dense: rescaled, inverted where MONOCHROME1, percentiles clipped.

    With the `window` of a card, cut to that instead: Hounsfield units mean the same everywhere, and percentiles, which
    air and bone decide, would leave blood and brain one grey. A flat image comes out as zeros. Padding counts as the
    darkest value.
    """
    if window is not None:
        seen = _in_window(pixels, facts, window)
        return seen if np.ptp(seen) else np.zeros_like(seen)
    values = _rescaled(pixels, facts)
    step = max(1, max(values.shape) // ENOUGH_SIDE)
    sample = values[::step, ::step]
    real = sample[np.isfinite(sample)]
    low, high = np.percentile(real, PERCENTILES) if real.size else (0.0, 0.0)
    return _stretched(np.nan_to_num(values, nan=float(low)), float(low), float(high))


def to_picture(pixels: npt.NDArray[np.generic], facts: HeaderFacts, max_side: int = 1024) -> Bytes:
    """Stored values (H, W) to the 8-bit picture a reader sees, at most `max_side` on the long side.

    Uses the header's linear VOI window (PS3.3 C.11.2.1.2.1) where it leaves contrast, percentiles otherwise.
    """
    unit = _windowed(pixels, facts)
    height, width = unit.shape
    scale = min(1.0, max_side / max(height, width))
    small = resample(unit, max(1, round(height * scale)), max(1, round(width * scale))) if scale < 1 else unit
    return np.round(small * 255).astype(np.uint8)


def resample(image: Floats, rows: int, columns: int) -> Floats:
    """Area-aware linear resampling of (H, W) to (rows, columns): a triangle filter as wide as the step."""
    resampled = _weights(image.shape[0], rows) @ image @ _weights(image.shape[1], columns).T
    return np.ascontiguousarray(resampled, np.float32)


def _weights(source: int, target: int) -> Floats:
    """The (target, source) matrix of a triangle filter, rows summing to 1."""
    step = source / target
    reach = max(1.0, step)
    centres = (np.arange(target) + 0.5) * step - 0.5
    distance = np.abs(np.arange(source)[None, :] - centres[:, None]) / reach
    weights = np.clip(1.0 - distance, 0.0, None)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def _rescaled(pixels: npt.NDArray[np.generic], facts: HeaderFacts) -> Floats:
    values = pixels.astype(np.float32)
    if facts.padding is not None:
        values = np.where(values == facts.padding, np.float32(np.nan), values)
    values = values * np.float32(facts.slope) + np.float32(facts.intercept)
    return -values if facts.photometric == "MONOCHROME1" else values


def _windowed(pixels: npt.NDArray[np.generic], facts: HeaderFacts) -> Floats:
    if facts.window is None:
        return to_unit(pixels, facts)
    unit = _in_window(pixels, facts, facts.window)
    return to_unit(pixels, facts) if unit.std() < 0.02 else unit


def _in_window(pixels: npt.NDArray[np.generic], facts: HeaderFacts, window: Window) -> Floats:
    """A linear VOI window (PS3.3 C.11.2.1.2.1) over rescaled values; padding is the darkest."""
    centre, width = window
    low, high = centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
    if facts.photometric == "MONOCHROME1":
        low, high = -high, -low
    return _stretched(np.nan_to_num(_rescaled(pixels, facts), nan=low), low, high)


def _stretched(values: Floats, low: float, high: float) -> Floats:
    stretched: Floats = np.clip((values - low) / max(high - low, 1e-6), 0.0, 1.0).astype(np.float32)
    return stretched


def _axial(cosines: Sequence[float]) -> bool:
    """Whether the slice normal is closest to the head-foot axis."""
    normal = np.abs(np.cross(np.asarray(cosines[:3]), np.asarray(cosines[3:])))
    return bool(normal[2] >= normal[:2].max())


def _secondary(ds: pydicom.Dataset) -> bool:
    image_type = ds.get("ImageType") or ()
    words = [image_type] if isinstance(image_type, str) else [str(word) for word in image_type]
    return "SECONDARY" in words[1:2] or str(ds.get("SOPClassUID", "")).startswith(SECONDARY_CAPTURE)


def _hounsfield(ds: pydicom.Dataset) -> bool:
    """In a CT image, an absent Rescale Type says HU (PS3.3 C.8.2.1); without an intercept there is no rescaling."""
    assumed = "HU" if str(ds.get("SOPClassUID", "")) == CT_IMAGE and _numbers(ds, "RescaleIntercept") else ""
    return str(ds.get("RescaleType") or assumed) == "HU"


def _numbers(ds: pydicom.Dataset, keyword: str) -> list[float]:
    value = ds.get(keyword)
    if value is None:
        return []
    try:
        items = [value] if isinstance(value, str | int | float) else list(value)
        numbers = [float(item) for item in items]
    except (TypeError, ValueError):
        return []
    return numbers if np.isfinite(numbers).all() else []
