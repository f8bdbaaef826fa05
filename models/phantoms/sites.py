"""Simulated sites: radiographs of many patients as one hospital's scanner makes them, with the truth beside them.

What differs between sites is what differs between hospitals: grey curve, sharpness, noise, how large and how faint the
findings are, how often there is one, and what else lies in the picture: markers, wires, devices, shadows that are none.
"""

import argparse
import csv
import hashlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from pydicom.dataset import Dataset
from scipy.ndimage import gaussian_filter

from models.phantoms.chest import BITS, CR_IMAGE, chest_pixels
from models.phantoms.header import Grey, Subject, data_set, put_pixels
from models.phantoms.shapes import Canvas, Ellipse, Floats, as_floats, clouds, grain
from radloop.domain.enums import VerdictKind

ROWS: Final = 256
TARGET: Final = "pneumonia"
NONE: Final = "no-finding"
COLUMNS: Final = ("file", "label", "patient", "site", "scanner", "sex", "age")
IMAGES_PER_PATIENT: Final = 1.25
FULL: Final = (1 << BITS) - 1
LUNGS: Final = ((0.315, 0.45), (0.685, 0.46))
"""Where the middle of each lung is, x and y of 0..1."""
Span = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Appearance:
    """How a site's pictures look. Contrasts and noise are shares of the full grey scale, sizes of the picture's width.

    `faint` is how much a lesion adds; `height` how far it lies below (negative: above) the lung's middle. `shadow`,
    `wire` and `device` are the shares of images, of either label, that have one; `marker` that of burned-in letters.
    """

    gamma: float = 1.0
    noise: float = 0.02
    blur: float = 0.0
    faint: Span = (0.16, 0.30)
    size: Span = (0.06, 0.10)
    height: Span = (-0.05, 0.15)
    shadow: float = 0.0
    wire: float = 0.0
    device: float = 0.0
    marker: float = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A simulated hospital: name, its scanner's model name and maker, how often the finding is there, its look."""

    name: str
    scanner: str
    maker: str
    prevalence: float
    look: Appearance


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One radiograph to come: whose, and what is true of it. `seed` decides the picture, `age` is in years."""

    site: Site
    seed: int
    patient: int
    sex: str
    age: int
    positive: bool

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.site.name.lower()}-{self.seed:09d}.dcm"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedReader:
    """A reader who sees the truth, but for a share `error` of the cases; the same case is always read the same."""

    name: str
    error: float

    def says(self, case: Case) -> bool:
        """Whether this reader holds the finding to be there."""
        text = f"{self.name}\x1f{case.site.name}\x1f{case.seed}"
        errs = int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") < self.error * (1 << 48)
        return case.positive is not errs

    def verdict(self, case: Case, called: bool) -> VerdictKind:  # noqa: FBT001 - what the model said
        """The verdict on a model that called the finding, or did not."""
        if self.says(case) is called:
            return VerdictKind.CONFIRM
        return VerdictKind.REJECT if called else VerdictKind.ADD


SITES: Final[Mapping[str, Site]] = {
    site.name: site
    for site in (
        Site(name="A", scanner="Clarity 100", maker="Northlight", prevalence=0.5, look=Appearance()),
        Site(
            name="B",
            scanner="Sonde DR-7",
            maker="Meridian",
            prevalence=0.4,
            look=Appearance(
                gamma=1.6,
                noise=0.03,
                blur=0.9,
                faint=(0.14, 0.27),
                size=(0.05, 0.085),
                height=(-0.18, 0.12),
                shadow=0.5,
                wire=0.5,
                device=0.3,
            ),
        ),
        Site(
            name="C",
            scanner="Portalis 3",
            maker="Northlight",
            prevalence=0.45,
            look=Appearance(gamma=0.7, noise=0.04, faint=(0.14, 0.26), wire=0.7, device=0.2),
        ),
    )
}


def cases(site: Site, count: int, seed: int) -> tuple[Case, ...]:
    """That many radiographs of a site; some patients have several. Another seed has other patients.

    Raises:
        ValueError: more than 100,000 at once, or a seed outside 0..9,999.
    """
    if not 0 < count <= 100_000 or not 0 <= seed < 10_000:
        raise ValueError("at most 100,000 cases of a seed of 0 to 9,999")
    rng = np.random.default_rng([seed, *site.name.encode()])
    people = max(1, round(count / IMAGES_PER_PATIENT))
    ages = np.clip(rng.normal(58, 17, people), 18, 95).astype(int)
    women = rng.random(people) < 0.5
    whose = np.concatenate([np.arange(people), rng.integers(0, people, count - people)])
    truth = rng.random(count) < site.prevalence
    base = seed * 100_000
    return tuple(
        Case(
            site=site,
            seed=base + number,
            patient=base + int(person),
            sex="F" if women[person] else "M",
            age=int(ages[person]),
            positive=bool(truth[number]),
        )
        for number, person in enumerate(whose)
    )


def pixels(case: Case, rows: int = ROWS) -> Grey:
    """The picture of a case: (rows, rows) uint16, 0..4095. The same case gives the same picture."""
    look, rng = case.site.look, np.random.default_rng([case.seed, *case.site.name.encode()])
    canvas = Canvas.of(rows, rows)
    anatomy = int.from_bytes(hashlib.sha256(f"{case.site.name}{case.seed}".encode()).digest()[:4], "big")
    image = as_floats(chest_pixels(anatomy, opacity=False, rows=rows) / FULL)
    if case.positive:
        image = image + _lesion(rng, canvas, look)
    for share, draw in ((look.shadow, _shadow), (look.wire, _wire), (look.device, _device)):
        if rng.random() < share:
            image = image + draw(rng, canvas)
    image = _seen(rng, as_floats(image), look)
    if rng.random() < look.marker:
        image = np.maximum(image, _marker(rng, canvas))
    return np.round(np.clip(image, 0, 1) * FULL).astype(np.uint16)


def radiograph(case: Case, rows: int = ROWS) -> Dataset:
    """A case as a complete Computed Radiography data set."""
    site = case.site
    ds = data_set(
        Subject(kind=f"site{site.name}", seed=case.seed, description="XR CHEST PA PHANTOM"), CR_IMAGE, "CR", 1
    )
    ds.PatientID = f"SITE-{site.name}-{case.patient:09d}"
    ds.PatientName = f"Phantom^{site.name}{case.patient:09d}"
    ds.PatientSex = case.sex
    ds.PatientBirthDate = f"{int(ds.StudyDate[:4]) - case.age:04d}0101"
    ds.PatientAge = f"{case.age:03d}Y"
    ds.AccessionNumber = f"S{site.name}{case.seed:09d}"
    ds.Manufacturer, ds.ManufacturerModelName = site.maker, site.scanner
    ds.StationName, ds.InstitutionName = f"SITE{site.name}CR1", f"Phantom Hospital {site.name}"
    ds.BodyPartExamined, ds.ViewPosition, ds.KVP, ds.PlateID = "CHEST", "PA", "120", "PHANTOM"
    ds.PatientOrientation = ["L", "F"]
    ds.ImagerPixelSpacing = [f"{0.35 * 1024 / rows:.4f}"] * 2
    ds.LossyImageCompression = "00"
    put_pixels(ds, pixels(case, rows), BITS)
    ds.WindowCenter, ds.WindowWidth = "2048", "4096"
    return ds


def write(folder: Path, found: tuple[Case, ...], rows: int = ROWS) -> Path:
    """Write every case and `labels.csv`, as `radloop cohort import` reads it; the path of the table."""
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "labels.csv"
    with table.open("w", newline="", encoding="utf-8") as lines:
        out = csv.writer(lines)
        out.writerow(COLUMNS)
        out.writerows(_written(folder, found, rows))
    return table


def _written(folder: Path, found: tuple[Case, ...], rows: int) -> Iterator[tuple[str, ...]]:
    for case in found:
        ds = radiograph(case, rows)
        ds.save_as(folder / case.name, enforce_file_format=True)
        label = TARGET if case.positive else NONE
        yield case.name, label, ds.PatientID, case.site.name, case.site.scanner, case.sex, str(case.age)


def _lesion(rng: np.random.Generator, canvas: Canvas, look: Appearance) -> Floats:
    """A soft, cloudy consolidation in one lung."""
    x, y = LUNGS[int(rng.integers(2))]
    size = rng.uniform(*look.size)
    place = Ellipse(x + rng.uniform(-0.04, 0.04), y + rng.uniform(*look.height), size, size * rng.uniform(0.9, 1.3))
    cloudy = place.glow(canvas) * (1.0 + 0.45 * clouds(rng, canvas.shape, 18))
    return as_floats(rng.uniform(*look.faint) * cloudy)


def _shadow(rng: np.random.Generator, canvas: Canvas) -> Floats:
    """What is no finding: the smooth, sharp-edged shadow of a breast or a skin fold, low on one side or both."""
    depth, low = rng.uniform(0.06, 0.12), rng.uniform(0.62, 0.72)
    sides = [0.30, 0.70] if rng.random() < 0.7 else [float(rng.choice([0.30, 0.70]))]
    shade = sum((Ellipse(x, low, 0.15, 0.12).mask(canvas, 0.15) for x in sides), np.float32(0))
    return as_floats(depth * shade)


def _wire(rng: np.random.Generator, canvas: Canvas) -> Floats:
    """A lead or a tube across the chest."""
    start, end, bow = rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.8), rng.uniform(-0.3, 0.3)
    course = start + (end - start) * canvas.y + bow * canvas.y * (1 - canvas.y)
    return as_floats(rng.uniform(0.15, 0.3) * np.exp(-(((canvas.x - course) / 0.005) ** 2)))


def _device(rng: np.random.Generator, canvas: Canvas) -> Floats:
    """A pacemaker's box below one collar bone."""
    x = float(rng.choice([0.28, 0.72])) + rng.uniform(-0.03, 0.03)
    return as_floats(rng.uniform(0.3, 0.5) * Ellipse(x, rng.uniform(0.24, 0.3), 0.045, 0.035).mask(canvas, 0.08))


def _seen(rng: np.random.Generator, image: Floats, look: Appearance) -> Floats:
    """Through the site's scanner: sharpness, noise, grey curve."""
    sharp = gaussian_filter(image, look.blur) if look.blur else image
    noisy = sharp + look.noise * grain(rng, (image.shape[0], image.shape[1]))
    return as_floats(np.clip(noisy, 0, 1) ** look.gamma)


def _marker(rng: np.random.Generator, canvas: Canvas) -> Floats:
    """A bright letter in a corner: an L, burned in."""
    left, top = float(rng.choice([0.05, 0.88])), rng.uniform(0.04, 0.10)
    x, y = canvas.x - left, canvas.y - top
    upright = (x >= 0) & (x < 0.015) & (y >= 0) & (y < 0.07)
    foot = (x >= 0) & (x < 0.045) & (y >= 0.055) & (y < 0.07)
    return as_floats(np.where(upright | foot, 1.0, 0.0))


def main() -> None:
    """`python -m models.phantoms.sites --out DIR --site A --n 500 --seed 1`."""
    parser = argparse.ArgumentParser(prog="python -m models.phantoms.sites", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="gets the DICOM files and labels.csv")
    parser.add_argument("--site", choices=sorted(SITES), required=True)
    parser.add_argument("--n", type=int, default=500, help="how many radiographs")
    parser.add_argument("--seed", type=int, default=1, help="another one has other patients (0 to 9,999)")
    parser.add_argument("--rows", type=int, default=ROWS, help="rows and columns of each")
    asked = parser.parse_args()
    table = write(asked.out, cases(SITES[asked.site], asked.n, asked.seed), asked.rows)
    sys.stderr.write(f"{asked.n} radiographs of site {asked.site}: {table}\n")


if __name__ == "__main__":
    main()
