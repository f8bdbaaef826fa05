"""From a coarse map of heat to the place it shows."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from models.preparation import Floats, resample

Box = tuple[float, float, float, float]
FINE = 96
HOT = 0.6


def hottest_box(cam: Floats, shape: tuple[int, int]) -> Box | None:
    """The box around the connected area that holds the hottest point; None for a cold map.

    The area is what reaches `HOT` of the maximum. `shape` is (rows, columns) of the image; returns
    (left, top, right, bottom) in its pixels.
    """
    if float(cam.max()) <= 0:
        return None
    fine = _enlarged(cam, FINE, FINE)
    areas, _ = ndimage.label(fine >= HOT * fine.max())
    rows, columns = np.nonzero(areas == areas.flat[int(fine.argmax())])
    step_y, step_x = shape[0] / FINE, shape[1] / FINE
    return (
        float(columns.min() * step_x),
        float(rows.min() * step_y),
        float((columns.max() + 1) * step_x),
        float((rows.max() + 1) * step_y),
    )


def _enlarged(cam: npt.NDArray[np.floating], rows: int, columns: int) -> Floats:
    return np.clip(resample(np.asarray(cam, np.float32), rows, columns), 0.0, 1.0)
