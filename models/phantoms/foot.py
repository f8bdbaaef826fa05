"""A study that no model of ours may read: CT slices of a foot."""

import numpy as np
from pydicom.dataset import Dataset

from models.phantoms.ct import Scan, ct_slice
from models.phantoms.header import Subject
from models.phantoms.shapes import Canvas, Ellipse, Floats, as_floats, grain

SCAN = Scan(body_part="FOOT", position="FFS", field=180.0, thickness=2.0, window=(300, 1500))


def unreadable_study(seed: int, count: int = 2, rows: int = 256) -> list[Dataset]:
    """`count` axial CT slices of a foot (CT Image Storage). The same seed gives the same bytes."""
    subject = Subject(kind="foot", seed=seed, description="CT FOOT PHANTOM")
    slices = [ct_slice(subject, number, _units(seed, number, rows), SCAN) for number in range(1, count + 1)]
    for ds in slices:
        ds.Laterality = "L"
    return slices


def _units(seed: int, number: int, rows: int) -> Floats:
    """(rows, rows) in HU: soft tissue with five bones in air."""
    rng = np.random.default_rng([seed, number, 4])
    canvas = Canvas.of(rows, rows)
    units = -1000 + 1040 * Ellipse(0.5, 0.5, 0.42, 0.24).mask(canvas, 0.04)
    for ray in range(5):
        centre = 0.24 + 0.13 * ray + rng.uniform(-0.01, 0.01)
        units += 700 * Ellipse(centre, 0.47, 0.045, 0.06).mask(canvas, 0.1)
    return as_floats(units + 12 * grain(rng, canvas.shape))
