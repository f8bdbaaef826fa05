"""Simulated scanners of several hospitals, and what may change at one of them: named, and the same for one seed."""

import datetime as dt
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np
from pydicom.dataset import Dataset
from scipy.ndimage import gaussian_filter

from models.phantoms.header import Grey, Subject
from models.phantoms.lateral import lateral_pixels
from models.phantoms.shapes import Floats, as_floats, grain
from models.phantoms.sites import FULL, SITES, Appearance, Case, Site, pixels, radiograph

RARE_PROTOCOLS: Final = tuple(f"CHEST SPECIAL {number}" for number in range(1, 61))
"""Names that someone typed once: a long tail that every department has."""
PROTOCOLS: Final = (("CHEST PA", 0.80), ("CHEST PA GRID", 0.15), ("CHEST SITTING", 0.04))
READER_ERROR: Final = 0.04
GAMMA_SPREAD: Final = 0.06
NOISE_SPREAD: Final = 0.15
"""Relative spreads of grey curve and noise between studies: patients are thin and stout, exposures are set by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """One machine, in one state.

    Args:
        site: the peer that its studies come from.
        station: its StationName.
        share: of all studies.
        hospital: maker, model name, case mix and look.
        software: SoftwareVersions.
        kernel: the name of its processing, as ConvolutionKernel.
        kvp: its usual tube voltage, in kV.
        inverted: whether its pixels are inverted, and its header does not say so.
        laterals: the share of its studies that are lateral views, sent as PA.
        sharpen: how much of the fine structure its processing adds once more.
    """

    site: str
    station: str
    share: float
    hospital: Site
    software: str
    kernel: str
    kvp: float = 120.0
    inverted: bool = False
    laterals: float = 0.0
    sharpen: float = 0.0

    @property
    def device(self) -> str:
        """Manufacturer, model name and station."""
        return f"{self.hospital.maker} {self.hospital.scanner} {self.station}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One study to come: its scanner, its truth, its number (which decides the picture), its settings."""

    scanner: Scanner
    case: Case
    lateral: bool
    kvp: float
    exposure: float
    protocol: str

    @property
    def positive(self) -> bool:
        """Whether the finding is there; a lateral view shows none."""
        return self.case.positive and not self.lateral

    @property
    def read_positive(self) -> bool:
        """What the reader, who errs now and then, says of it."""
        text = f"{self.scanner.station}\x1f{self.case.seed}"
        errs = int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") < READER_ERROR * (1 << 48)
        return self.positive is not errs


SCANNERS: Final = (
    Scanner(site="alpha", station="ACR1", share=0.35, hospital=SITES["A"], software="VB30A", kernel="S4"),
    Scanner(site="alpha", station="ACR2", share=0.25, hospital=SITES["A"], software="VB30A", kernel="S4"),
    Scanner(site="beta", station="BDR1", share=0.25, hospital=SITES["B"], software="5.2.1", kernel="STD"),
    Scanner(site="gamma", station="CCR1", share=0.15, hospital=SITES["C"], software="VC10D", kernel="S2", kvp=115.0),
)


def _looks(scanner: Scanner, change: Callable[[Appearance], Appearance]) -> Scanner:
    return replace(scanner, hospital=replace(scanner.hospital, look=change(scanner.hospital.look)))


def _upgraded(scanner: Scanner) -> Scanner:
    return replace(scanner, software=scanner.software + " SP2", kernel=scanner.kernel + "+", sharpen=0.5)


def _graded(scanner: Scanner) -> Scanner:
    return _looks(scanner, lambda look: replace(look, gamma=look.gamma * 1.10, noise=look.noise * 1.2))


def _softer(scanner: Scanner) -> Scanner:
    return replace(scanner, kvp=scanner.kvp - 12.0)


def _sideways(scanner: Scanner) -> Scanner:
    return replace(scanner, laterals=0.2)


def _inverted(scanner: Scanner) -> Scanner:
    return replace(scanner, inverted=True)


def _other_patients(scanner: Scanner) -> Scanner:
    """Fewer and smaller findings, more lines and pacemakers: another hospital's patients on the same machine."""
    other = replace(scanner.hospital, prevalence=0.2)
    changed = replace(scanner, hospital=other)
    return _looks(changed, lambda look: replace(look, size=(0.045, 0.07), wire=0.5, device=0.3, shadow=0.4))


@dataclass(frozen=True, slots=True)
class Change:
    """What happens at one scanner, by station, and in words."""

    name: str
    station: str
    words: str
    apply: Callable[[Scanner], Scanner]


CHANGES: Final[Mapping[str, Change]] = MappingProxyType({
    change.name: change
    for change in (
        Change("software", "ACR2", "a new software version and kernel: sharper pictures", _upgraded),
        Change("gamma-noise", "BDR1", "another grey curve and more noise; the header says nothing", _graded),
        Change("kvp", "ACR1", "a tube voltage 12 kV lower: more contrast", _softer),
        Change("lateral", "CCR1", "a fifth of the studies are lateral views, sent as PA", _sideways),
        Change("inverted", "BDR1", "pixels are inverted, photometric interpretation is not", _inverted),
        Change("case-mix", "ACR1", "another hospital's patients on the same machine", _other_patients),
    )
})  # fmt: skip


def scanner_of(station: str, change: Change | None = None) -> Scanner:
    """The scanner of that station, as it is or changed."""
    found = next(scanner for scanner in SCANNERS if scanner.station == station)
    return change.apply(found) if change is not None and change.station == station else found


def shot(scanner: Scanner, seed: int) -> Shot:
    """One study of a scanner; `seed` (0 to 99,999,999) decides everything about it."""
    rng = np.random.default_rng([seed, *scanner.station.encode()])
    hospital = scanner.hospital
    case = Case(
        site=_on_the_day(hospital, rng),
        seed=seed,
        patient=seed,
        sex="FM"[int(rng.integers(2))],
        age=int(np.clip(rng.normal(58, 17), 18, 95)),
        positive=bool(rng.random() < hospital.prevalence),
    )
    return Shot(
        scanner=scanner,
        case=case,
        lateral=bool(rng.random() < scanner.laterals),
        kvp=round(float(rng.normal(scanner.kvp, 5.0))),
        exposure=round(float(rng.lognormal(1.0, 0.35)), 2),
        protocol=_protocol(rng),
    )


def _on_the_day(hospital: Site, rng: np.random.Generator) -> Site:
    """The hospital's look as it is for one study."""
    gamma, noise = np.exp(rng.normal(0.0, (GAMMA_SPREAD, NOISE_SPREAD)))
    look = replace(hospital.look, gamma=hospital.look.gamma * float(gamma), noise=hospital.look.noise * float(noise))
    return replace(hospital, look=look)


def picture(one: Shot, rows: int = 256) -> Grey:
    """What the scanner sends: (rows, rows) uint16, 0..4095."""
    return processed(one, lateral_pixels(one.case.seed, rows) if one.lateral else pixels(one.case, rows))


def processed(one: Shot, raw: Grey) -> Grey:
    """A picture of 12 bits (H, W) as the shot's scanner and its settings would show it."""
    image = as_floats(raw / FULL)
    usual = next(scanner.kvp for scanner in SCANNERS if scanner.station == one.scanner.station)
    image = _contrasted(image, 1.0 + 0.012 * (usual - one.kvp))
    if one.scanner.sharpen:
        image = as_floats(image + one.scanner.sharpen * (image - gaussian_filter(image, 1.5)))
    image = np.clip(image, 0, 1)
    return np.round((1 - image if one.scanner.inverted else image) * FULL).astype(np.uint16)


def regraded(one: Shot, raw: Grey) -> Grey:
    """A given picture, which has a look of its own, through what the shot's scanner differs by from its usual state."""
    usual, look = scanner_of(one.scanner.station).hospital.look, one.scanner.hospital.look
    image = as_floats(np.clip(raw / FULL, 0, 1) ** (look.gamma / usual.gamma))
    rng = np.random.default_rng([one.case.seed, 11])
    more = max(0.0, look.noise**2 - usual.noise**2) ** 0.5
    noisy = as_floats(image + more * grain(rng, (image.shape[0], image.shape[1])))
    return processed(one, np.round(np.clip(noisy, 0, 1) * FULL).astype(np.uint16))


def study(one: Shot, at: dt.datetime, grey: Grey) -> Dataset:
    """A shot as a complete Computed Radiography data set, taken at that time (UTC), with that picture."""
    ds = radiograph(one.case, rows=8)
    scanner = one.scanner
    subject = Subject(kind=f"sim{scanner.station}", seed=one.case.seed, description="XR CHEST PA PHANTOM")
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = subject.uid("instance", "1")
    ds.StudyInstanceUID, ds.SeriesInstanceUID = subject.uid("study"), subject.uid("series")
    ds.PatientID = f"SIM-{scanner.station}-{one.case.patient:09d}"
    ds.PatientName = f"Phantom^{scanner.station}{one.case.patient:09d}"
    ds.AccessionNumber = f"{scanner.station}{one.case.seed:09d}"
    for kind in ("Study", "Series", "Acquisition", "Content"):
        setattr(ds, f"{kind}Date", at.strftime("%Y%m%d"))
        setattr(ds, f"{kind}Time", at.strftime("%H%M%S"))
    ds.StationName, ds.SoftwareVersions = scanner.station, scanner.software
    ds.ConvolutionKernel, ds.ProtocolName = scanner.kernel, one.protocol
    ds.KVP, ds.Exposure = f"{one.kvp:g}", str(max(1, round(one.exposure)))
    ds.Rows, ds.Columns = grey.shape
    ds.ImagerPixelSpacing = [f"{0.35 * 1024 / grey.shape[0]:.4f}"] * 2
    ds.PixelData = grey.astype("<u2").tobytes()
    return ds


def _contrasted(image: Floats, factor: float) -> Floats:
    return as_floats(np.clip(0.5 + (image - 0.5) * factor, 0, 1))


def _protocol(rng: np.random.Generator) -> str:
    draw = rng.random()
    for name, share in PROTOCOLS:
        if draw < share:
            return name
        draw -= share
    return str(rng.choice(RARE_PROTOCOLS))
