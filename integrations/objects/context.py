"""What an encoder is given, and the face that every encoder shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from pydicom import Dataset

from radloop.domain.enums import ObjectKind, ResultStatus
from radloop.domain.records import EncodedObject, Order, Result, StudyVersion, Verdict


class PriorityMessage(StrEnum):
    """Which order message raises the priority at the RIS (HL7 v2.5.1 chapter 4)."""

    ORM_O01 = "ORM_O01"
    """The general order message; most systems take it."""
    OMI_O23 = "OMI_O23"
    """The imaging order, with the study named in IPC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFacts:
    """What an object says of the site that makes it.

    `uid_root` is the site's own root; every UID of ours lies under it. `name`, `application` and `facility`
    name the sender (InstitutionName, MSH-3, MSH-4). `assigning_authority` stands in PID-3 and as issuer where
    the images name none. `observation_status` is R or P (HL7 tables 0123 and 0085). `timezone_offset`
    (`+0100`) holds where the images name none. `fhir_system` is the system of our business identifiers;
    `patient_system`, `accession_system` and `practitioner_system` are the systems of the hospital's own ('' where it
    has none).
    """

    uid_root: str
    name: str = "radloop"
    application: str = "RADLOOP"
    facility: str = ""
    receiving_application: str = ""
    receiving_facility: str = ""
    assigning_authority: str = ""
    observation_status: str = "R"
    processing_id: str = "P"
    timezone_offset: str = "+0000"
    priority_message: PriorityMessage = PriorityMessage.ORM_O01
    fhir_system: str = "urn:radloop:object"
    patient_system: str = ""
    accession_system: str = ""
    practitioner_system: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Predecessor:
    """The SR of the result that this one replaces."""

    study_uid: str
    series_uid: str
    sop_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """The sign-off under a final report.

    `reader` is the reader's name for people, `reader_id` the hospital's or our own. `conclusion` is the reader's own
    text. `verdicts` are those that count: at most one per target.
    """

    reader: str
    reader_id: str
    at: datetime
    conclusion: str
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerContext:
    """One result and all that its objects quote.

    `title` is the model's name for people. `sources` maps the id of each instance read, in order, to its
    header (no pixel data). `pictures` maps store keys to PNG bytes: the picture and heatmap that findings
    name. `calibration` says how the probabilities were calibrated, as the model's card has it. `signed` is None until
    a reader has closed the study. `quality` are sentences on what is odd about the images.
    """

    study: StudyVersion
    result: Result
    title: str
    sources: Mapping[str, Dataset]
    pictures: Mapping[str, bytes]
    order: Order | None
    predecessor: Predecessor | None
    site: SiteFacts
    software_version: str
    calibration: str = "not stated"
    signed: Signed | None = None
    quality: tuple[str, ...] = ()


class Encoder(Protocol):
    """Makes one kind of object from a result. Pure: the same context gives the same bytes."""

    @property
    def kind(self) -> ObjectKind:
        """What it makes."""
        ...

    @property
    def statuses(self) -> frozenset[ResultStatus]:
        """The results it can speak of."""
        ...

    def encode(self, ctx: AnswerContext) -> tuple[EncodedObject, ...]:
        """The objects as they go on the wire.

        Raises:
            InvalidObject: the result lacks what the object cannot do without.
        """
        ...

    def validate(self, obj: EncodedObject, ctx: AnswerContext) -> None:
        """Hold an object against its standard.

        Raises:
            InvalidObject: in the validator's words, without patient data.
        """
        ...
