"""Soft shapes on a canvas, drawn by formula. Coordinates run 0..1, x to the right and y down."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Canvas:
    """A pixel grid: `x` is (1, W) and `y` (H, 1), 0..1."""

    x: Floats
    y: Floats

    @classmethod
    def of(cls, rows: int, columns: int) -> "Canvas":
        """A canvas of that many pixels."""
        x = np.linspace(0, 1, columns, dtype=np.float32)[None, :]
        return cls(x, np.linspace(0, 1, rows, dtype=np.float32)[:, None])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.y.shape[0], self.x.shape[1]


@dataclass(frozen=True, slots=True)
class Ellipse:
    """Centre, half axes and tilt (radians, clockwise on the picture)."""

    cx: float
    cy: float
    rx: float
    ry: float
    tilt: float = 0.0

    def radius(self, canvas: Canvas) -> Floats:
        """(H, W): 0 in the centre, 1 on the rim."""
        dx, dy = canvas.x - self.cx, canvas.y - self.cy
        cos, sin = np.float32(np.cos(self.tilt)), np.float32(np.sin(self.tilt))
        u, v = (dx * cos + dy * sin) / self.rx, (dy * cos - dx * sin) / self.ry
        return np.sqrt(u * u + v * v, dtype=np.float32)

    def mask(self, canvas: Canvas, edge: float = 0.05) -> Floats:
        """(H, W): 1 inside, 0 outside, a rim as soft as `edge` (share of the radius)."""
        return as_floats(np.clip((1.0 + edge - self.radius(canvas)) / (2 * edge), 0.0, 1.0))

    def glow(self, canvas: Canvas) -> Floats:
        """(H, W): a Gaussian of one standard deviation at the rim."""
        return as_floats(np.exp(-0.5 * self.radius(canvas) ** 2))


def as_floats(values: npt.ArrayLike) -> Floats:
    """The values as float32."""
    return np.asarray(values, np.float32)


def clouds(rng: np.random.Generator, shape: tuple[int, int], cells: int) -> Floats:
    """(H, W) smooth noise, mean about 0, -1..1: random values on a `cells` grid, interpolated linearly."""
    grid = rng.uniform(-1, 1, (cells + 1, cells + 1)).astype(np.float32)
    return as_floats(_steps(shape[0], cells) @ grid @ _steps(shape[1], cells).T)


def grain(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """(H, W) white noise of unit variance."""
    return rng.standard_normal(shape, dtype=np.float32)


def _steps(length: int, cells: int) -> Floats:
    """The (length, cells + 1) matrix that interpolates a grid linearly."""
    position = np.linspace(0, cells, length, dtype=np.float32)[:, None]
    return as_floats(np.clip(1.0 - np.abs(position - np.arange(cells + 1, dtype=np.float32)[None, :]), 0.0, 1.0))
