"""One object: read, cleaned, looked at, written, searched. Nothing comes out of here that was not searched."""

from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import UID

from integrations.deidentify import pixels
from integrations.deidentify.cleaning import Cleaner
from integrations.deidentify.looking import Looker
from integrations.deidentify.marks import mark
from integrations.deidentify.needles import collect
from integrations.deidentify.options import Options
from integrations.deidentify.pseudonyms import Pseudonyms
from integrations.deidentify.refusals import NotAnImage
from integrations.deidentify.searching import expected, search
from integrations.deidentify.vocabulary import is_standard_uid
from integrations.deidentify.writing import part10
from radloop.domain.errors import Unparsable
from radloop.pixels.elements import DEFLATED, EXPLICIT_LITTLE
from radloop.pixels.limits import refuse_above
from radloop.pixels.part10 import parsing, read_with_pixels

DEFAULT = Options()
_NEEDED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """A file that may go out: its bytes, its name, its pseudonyms, and what a person should read.

    `kept_texts` are the free texts that were let through; `masked`: pixels were blacked out; `looked`: every frame was
    looked at.
    """

    data: bytes
    file_name: str
    patient: str
    study_uid: str
    series_uid: str
    sop_uid: str
    modality: str
    masked: bool
    looked: bool
    kept_texts: tuple[str, ...]


def deidentify_dataset(ds: Dataset, keys: Pseudonyms, options: Options = DEFAULT) -> Dataset:
    """A de-identified copy of an image with its `file_meta`; the input is left as it was.

    Args:
        ds: as pydicom or `radloop.pixels` reads it; `file_meta.TransferSyntaxUID` says how the pixels are encoded.
        keys: of one project.
        options: whether text in pixels is masked, and whether descriptions are kept.

    Raises:
        NotReleased: it may not go out (`refusals` says why): no image, burned-in text, or a hit of the final search.
        Unparsable, TooLarge, Undecodable: it cannot be handled within the limits.
        Unavailable: no child could be started to look at the pixels.
    """
    released = _release(ds, keys, options)
    return read_with_pixels(released.data, options.limits)


def deidentify_file(data: bytes, keys: Pseudonyms, options: Options = DEFAULT) -> Released:
    """As `deidentify_dataset`, from the bytes of a Part 10 file to those of another.

    Raises:
        NotReleased, Unparsable, TooLarge, Undecodable, Unavailable: as `deidentify_dataset`.
    """
    refuse_above(len(data), options.limits.file, "bytes in the file")
    return _release(read_with_pixels(data, options.limits), keys, options)


def _release(ds: Dataset, keys: Pseudonyms, options: Options) -> Released:
    with parsing():
        syntax = _checked(ds)
        needles = collect(ds, options.limits)
        patient = _patient(ds, keys)
        cleaner = Cleaner(keys, keys.days(patient), needles, options)
        out = cleaner.dataset(ds)
        out.PatientID = out.PatientName = patient
        pixels.refuse_too_large(out, options.limits)
        pixels.refuse_hidden_overlay(ds, syntax)
        pixels.tidy(out, syntax)
        burned_in = str(ds.get("BurnedInAnnotation", "")).strip().upper() == "YES"
    looker = Looker(syntax, options)
    out = looker.examine(out, burned_in=burned_in)
    mark(out, options, masked=looker.masked, looked=looker.looked)
    data = part10(out, looker.transfer_syntax_uid)
    search(data, expected(keys, patient, needles), options.limits)
    return Released(
        data=data,
        file_name=keys.file_name(str(ds.SOPInstanceUID)),
        patient=patient,
        study_uid=str(out.StudyInstanceUID),
        series_uid=str(out.SeriesInstanceUID),
        sop_uid=str(out.SOPInstanceUID),
        modality=str(out.get("Modality", "")),
        masked=looker.masked,
        looked=looker.looked,
        kept_texts=tuple(sorted(cleaner.kept)),
    )


def _checked(ds: Dataset) -> str:
    """The transfer syntax of an image that says what it is."""
    if missing := [keyword for keyword in _NEEDED if not str(ds.get(keyword) or "")]:
        raise Unparsable(f"the data set has no {missing[0]}")
    if not is_standard_uid(str(ds.SOPClassUID)):
        raise NotAnImage("the object is of a class that nobody here knows")
    pixels.keyword_of(ds)
    syntax = UID(str(ds.file_meta.TransferSyntaxUID))
    if not is_standard_uid(syntax):
        raise Unparsable("the transfer syntax is none of the standard")
    # Whoever read the data set has inflated it.
    return EXPLICIT_LITTLE if syntax in DEFLATED else str(syntax)


def _patient(ds: Dataset, keys: Pseudonyms) -> str:
    """By issuer and PatientID; where there is none, a study is its own patient's."""
    patient_id = str(ds.get("PatientID") or "").strip()
    issuer = str(ds.get("IssuerOfPatientID") or "").strip()
    return keys.patient(issuer, patient_id or f"study {ds.StudyInstanceUID}")
