"""Frozen records: what walks between the wire, the ledger and the logic.

Ids are ours (`new_id`), opaque and safe to log. UIDs, accession numbers and patient identifiers are patient
data: they stay in the ledger, the store and the messages meant for them. Times are aware UTC datetimes.
"""

from dataclasses import dataclass, field
from datetime import datetime

from radloop.domain.acquired import Seen
from radloop.domain.enums import (
    ActorKind,
    Awareness,
    DeliveryState,
    Laterality,
    ObjectKind,
    Qualification,
    ResultStatus,
    Severity,
    Signal,
    Standing,
    StudyState,
    Urgency,
    VerdictKind,
    VerdictSource,
)


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept: code value, coding scheme designator and code meaning (PS3.3 section 8)."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Actor:
    """A person or machine with an identity. Every change names one."""

    id: str
    name: str
    kind: ActorKind


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes at rest: `key` finds them in the store, `sha256` (hex) and `size` are of the plain bytes.

    `sha256` is None where nobody asked for it: of a received instance, the digest of its content stands in the ledger.
    """

    key: str
    sha256: str | None
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceHeader:
    """What the gateway reads of a data set: identifiers only, as the data set has them ('' where absent)."""

    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    modality: str
    patient_id: str
    issuer: str
    accession_number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One instance, already durable in the store, that waits for its ledger row.

    `content_sha256` is of the encoded data set alone, so that the same bytes sent under another
    file meta header are still the same instance.
    """

    header: InstanceHeader
    blob: Blob
    content_sha256: str
    peer: str
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One received instance."""

    id: str
    version_id: str
    header: InstanceHeader
    blob: Blob
    peer: str
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Why a study version was judged whole. `missing` counts instances expected and not seen."""

    signal: Signal | None = None
    expected: int | None = None
    missing: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyVersion:
    """One version of one study; a late instance makes the next one."""

    id: str
    study_id: str
    study_uid: str
    number: int
    state: StudyState
    reason: str | None
    urgency: Urgency
    evidence: Evidence
    received_at: datetime
    completed_at: datetime | None
    answered_at: datetime | None
    instances: int
    modalities: tuple[str, ...]
    peer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One target of a model in one result; listed also below threshold.

    `probability` and `threshold` are 0..1, rounded to 1e-4. `target` is the model's own name for it.
    `picture_key` and `heatmap_key` find 8-bit grey PNGs of equal size in the store.
    `box` is (left, top, right, bottom) in pixels of the source image, where there is a region.
    """

    target: str
    code: Code
    probability: float
    threshold: float
    urgency: Urgency
    severity: Severity | None = None
    location: Code | None = None
    laterality: Laterality | None = None
    instance_id: str | None = None
    picture_key: str | None = None
    heatmap_key: str | None = None
    box: tuple[float, float, float, float] | None = None

    @property
    def positive(self) -> bool:
        """Whether the probability reached the operating threshold."""
        return self.probability >= self.threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """One registered version of a model. `digest` is the SHA-256 (hex) of its bundle's manifest."""

    name: str
    version: str
    digest: str
    standing: Standing
    qualification: Qualification


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How a result was computed: what must be known to compute it again, bit for bit."""

    batch: int
    device: str
    threads: int
    build: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One model version's answer for one study version; unique by (version_id, model.digest)."""

    id: str
    version_id: str
    model: ModelVersion
    status: ResultStatus
    reason: str | None
    findings: tuple[Finding, ...]
    run: Run | None
    predecessor_id: str | None
    created_at: datetime

    @property
    def urgency(self) -> Urgency:
        """The highest urgency among the findings; ROUTINE where there is none."""
        return max((f.urgency for f in self.findings), key=lambda u: u.rank, default=Urgency.ROUTINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedObject:
    """An object as it goes on the wire.

    `identifier` is the SOP Instance UID, the MSH-10 or the FHIR business identifier: stable over every resend.
    """

    kind: ObjectKind
    ordinal: int
    identifier: str
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """An object of a result, encoded once; `blob` is what every delivery sends."""

    id: str
    result_id: str
    kind: ObjectKind
    ordinal: int
    identifier: str
    media_type: str
    blob: Blob


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One object on its way to one peer."""

    id: str
    object: StoredObject
    version_id: str
    peer: str
    state: DeliveryState
    urgency: Urgency
    attempts: int
    content_errors: int
    next_at: datetime
    accepted_at: datetime | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Parcel:
    """What an adapter sends: the object and its stored bytes."""

    object: StoredObject
    data: bytes


@dataclass(frozen=True, slots=True)
class Accepted:
    """A peer took an object. `warnings` are the protocol's own codes, kept (0xB000, Retry hints, ...)."""

    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An imaging order as the RIS sent it. Empty strings where the message had none."""

    accession_number: str
    placer_number: str
    filler_number: str
    patient_id: str
    issuer: str
    priority: Urgency
    procedure: Code | None = None
    expected_instances: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """Bad input that was set aside: why, from whom, and the bytes (None where none could be kept)."""

    id: str
    reason: str
    peer: str
    blob: Blob | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquisition:
    """One typed row per instance: what the data checks look at. No patient text, no UID.

    `site`: the peer that sent it. `exposure` in mAs, `exposure_time`, `repetition_time` and `echo_time` in ms,
    `flip_angle` in degrees, `field_strength` in tesla, `spacing` and `thickness` in mm.
    """

    instance_id: str
    version_id: str
    modality: str
    body_part: str = ""
    view: str = ""
    description: str = ""
    manufacturer: str = ""
    model_name: str = ""
    station: str = ""
    software: str = ""
    protocol: str = ""
    photometric: str = ""
    kvp: float | None = None
    exposure: float | None = None
    rows: int | None = None
    columns: int | None = None
    frames: int = 1
    bits_stored: int | None = None
    spacing: float | None = None
    thickness: float | None = None
    kernel: str = ""
    transfer_syntax: str = ""
    missing_tags: tuple[str, ...] = ()
    site: str = ""
    sequence: str = ""
    exposure_time: float | None = None
    repetition_time: float | None = None
    echo_time: float | None = None
    flip_angle: float | None = None
    field_strength: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetScore:
    """What inference says of one target: numbers and references, no codes (the card has those)."""

    target: str
    probability: float
    instance_id: str | None = None
    picture_key: str | None = None
    heatmap_key: str | None = None
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceAnswer:
    """One model's answer for one study version, as the inference service returns it.

    `seen`: what was found of each image that was read, in their order; an image whose facts could not be told is not
    among them.
    """

    model: str
    digest: str
    status: ResultStatus
    reason: str | None
    scores: tuple[TargetScore, ...]
    run: Run
    quality: tuple[str, ...] = field(default=())
    seen: tuple[Seen, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """Who did what to which object. `detail` is a short text without patient data.

    `role`: those that the actor came with, joined by commas; `address`: where from. Both are '' inside the house.
    """

    at: datetime
    actor: str
    action: str
    object_kind: str
    object_id: str
    detail: str = ""
    role: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a reader said of one finding of one result. Unique by (source, source_id): entering it twice is once.

    `target` is the model's own name of the finding; of an ADD that the model does not know, '' with a `code`.
    `text` is the reader's own words: patient data, kept in the ledger only. `actor` entered it: the reader, or the
    machine that spoke for the reader.
    """

    id: str
    result_id: str
    version_id: str
    target: str
    kind: VerdictKind
    reader: str
    actor: str
    at: datetime
    awareness: Awareness
    source: VerdictSource
    source_id: str
    text: str = ""
    code: Code | None = None
    severity: Severity | None = None
    laterality: Laterality | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOff:
    """A reader closed a study version. `conclusion` is the reader's own: patient data, kept in the ledger only."""

    version_id: str
    reader: str
    actor: str
    at: datetime
    source: VerdictSource
    conclusion: str = ""
