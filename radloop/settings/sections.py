"""The tables of radloop.toml. Every field's description is its documentation: `docs/settings.md` is made from them."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from radloop.domain.enums import PeerRole, Qualification, Urgency
from radloop.settings import crons

# PS3.5 Table 6.2-1, AE: at most 16 characters, no backslash, no control characters, not only spaces.
AE_TITLE_PATTERN = r"^[\x21-\x5b\x5d-\x7e][\x20-\x5b\x5d-\x7e]{0,15}$"
AeTitle = Annotated[str, StringConstraints(pattern=AE_TITLE_PATTERN)]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=30 * 86400)]
UidRoot = Annotated[str, StringConstraints(pattern=r"^[0-2](\.(0|[1-9][0-9]*))+$", max_length=43)]
Address = Annotated[str, StringConstraints(pattern=r"^\[?[A-Za-z0-9_.:-]+\]?:[0-9]{1,5}$")]


class Section(BaseModel):
    """A table of radloop.toml: unknown keys are errors, values never change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Tls(Section):
    """TLS material, as PEM files."""

    certificate: Path = Field(description="our certificate chain (PEM)")
    key: Path = Field(description="our private key (PEM)")
    ca: Path | None = Field(
        None,
        description="the authority that the other side's certificate must come from, or that certificate itself (PEM); "
        "absent: a listener asks for none, towards a peer it is the operating system's authorities",
    )


class GatewaySettings(Section):
    """The door for DICOM and HL7."""

    ae_title: AeTitle = Field("RADLOOP", description="our application entity title")
    host: str = Field("127.0.0.1", description="address that the DICOM and HL7 listeners bind to")
    dicom_port: Port = Field(11112, description="DICOM port (0: a free one)")
    hl7_port: Port = Field(2575, description="HL7 (MLLP) port (0: a free one)")
    processes: int = Field(1, ge=1, le=16, description="gateway processes that share the DICOM port")
    max_associations: int = Field(64, ge=1, description="associations open at once, per process")
    max_pdu: int = Field(1 << 20, ge=16384, le=1 << 24, description="largest PDU that is read, in bytes")
    pdu_deadline_seconds: Seconds = Field(10.0, description="a PDU that began must end within this time")
    idle_seconds: Seconds = Field(60.0, description="an association or HL7 connection without traffic is closed")
    max_pending_per_address: int = Field(32, ge=1, description="sockets per address that have no association yet")
    max_instance_bytes: int = Field(2 << 30, ge=1 << 20, description="largest instance that is taken, in bytes")
    tls: Tls | None = Field(None, description="TLS for the DICOM and HL7 listeners; absent: plain TCP")


class CompletenessSettings(Section):
    """When a study counts as whole."""

    settle_seconds: Seconds = Field(0.5, description="idle time after which evidence is looked at")
    quiet_seconds: Seconds = Field(30.0, description="idle time that is evidence by itself, the weakest")
    single_image_modalities: tuple[str, ...] = Field(
        ("CR", "DX", "MG", "IO", "PX", "DR", "RG"), description="modalities whose image is a study's whole answer"
    )
    ask_sender: bool = Field(True, description="ask the sender by C-FIND how many instances the study has")


class Peer(Section):
    """A system we talk to. Its name is the table's: `[peers.NAME]`."""

    name: str = Field("", description="set from the table's name", exclude=True)
    roles: tuple[PeerRole, ...] = Field(description='what it does: "source", "results", "reports", "orders"')
    qualifications: tuple[Qualification, ...] = Field(
        tuple(Qualification), description="qualifications of the models whose answers it gets; absent: any"
    )
    ae_title: AeTitle | None = Field(None, description="its application entity title (DICOM)")
    host: str | None = Field(None, description="its address (DICOM); also the one it may send from")
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(None, description="its DICOM port")
    addresses: tuple[str, ...] = Field((), description="further addresses that it may connect from")
    mllp: Address | None = Field(None, description='its HL7 address, "host:port"')
    hl7_from: str | None = Field(None, description='MSH-3/4 of what it sends, "APPLICATION|FACILITY"; absent: any')
    fhir: Annotated[str, StringConstraints(pattern=r"^https?://")] | None = Field(None, description="its FHIR base URL")
    token_file: Path | None = Field(None, description="file with the bearer token for its FHIR interface")
    priority_upgrade: Literal["none", "ORM", "OMI"] = Field(
        "none", description="message that raises an order's priority on an urgent finding: ORM^O01 or OMI^O23"
    )
    commitment: bool = Field(False, description="ask it for storage commitment of the DICOM objects it accepts")
    connect_seconds: Seconds = Field(5.0, description="deadline for opening a connection")
    answer_seconds: Seconds = Field(30.0, description="deadline for one answer")
    park_after_seconds: Seconds = Field(3 * 86400.0, description="a delivery retried for this long waits for a person")
    acknowledgements: dict[str, Literal["accepted", "retry", "content", "refused"]] = Field(
        default_factory=dict, description='HL7 acknowledgement code -> outcome, over the defaults, e.g. AE = "retry"'
    )
    tls: Tls | None = Field(None, description="TLS towards this peer; absent: plain TCP")
    certificate_names: tuple[Annotated[str, StringConstraints(min_length=1, max_length=300)], ...] = Field(
        (),
        description="the certificate with which it comes to us carries one of these: a common name, a DNS name, an "
        'address, a URI, or "sha256:" and its fingerprint; absent: its AE title, where the certificate names any',
    )

    @model_validator(mode="after")
    def _reachable_for_its_roles(self) -> "Peer":
        if PeerRole.RESULTS in self.roles and not (self.ae_title and self.host and self.port):
            raise ValueError('a peer with the role "results" needs ae_title, host and port')
        if PeerRole.SOURCE in self.roles and not (self.ae_title and self.host):
            raise ValueError('a peer with the role "source" needs ae_title and host')
        if PeerRole.REPORTS in self.roles and not (self.mllp or self.fhir):
            raise ValueError('a peer with the role "reports" needs mllp or fhir')
        if PeerRole.ORDERS in self.roles and not self.mllp:
            raise ValueError('a peer with the role "orders" needs mllp')
        # Not min_length: that complains of "0 items" beside a value that is merely wrong.
        if not self.qualifications:
            raise ValueError('qualifications: "RESEARCH", "PRODUCT" or both are needed; absent: both')
        return self


class Condition(Section):
    """What one image must look like for a route.

    Each list holds patterns (`*`, `?`, case does not matter); "" matches an absent value. A key that is not given
    matches anything.
    """

    modality: tuple[str, ...] = Field((), description="Modality (0008,0060)")
    body_part: tuple[str, ...] = Field((), description='BodyPartExamined (0018,0015); "" for absent')
    view: tuple[str, ...] = Field((), description='ViewPosition (0018,5101); "" for absent')
    description: tuple[str, ...] = Field((), description='SeriesDescription or StudyDescription; "" for absent')
    station: tuple[str, ...] = Field((), description='StationName (0008,1010); "" for absent')
    peer: tuple[str, ...] = Field((), description="name of the peer that sent it")

    def matches(self, facts: Mapping[str, str]) -> bool:
        """Whether `facts` (the same names as the fields above) satisfy every list that is given."""
        return all(
            any(fnmatchcase(facts.get(name, "").strip().upper(), pattern.upper()) for pattern in patterns)
            for name, patterns in self.model_dump().items()
            if patterns
        )


class Route(Section):
    """Which models read which studies."""

    models: tuple[str, ...] = Field(min_length=1, description="names of models in the zoo")
    when: Condition = Field(default_factory=Condition, description="all that is given must hold for one image")


class SiteSettings(Section):
    """Who we are in the objects that we send."""

    name: str = Field("radloop trial site", max_length=64, description="institution, as objects name it")
    uid_root: UidRoot = Field("2.25", description="root of the UIDs of our objects; 2.25 needs no registration")
    application: str = Field("RADLOOP", max_length=180, description="MSH-3 of what we send")
    facility: str = Field("RADIOLOGY", max_length=180, description="MSH-4 of what we send")
    receiving_application: str = Field("RIS", max_length=180, description="MSH-5 of what we send")
    receiving_facility: str = Field("RADIOLOGY", max_length=180, description="MSH-6 of what we send")
    assigning_authority: str = Field("", max_length=64, description="of patient ids that come without an issuer")
    observation_status: Literal["R", "P"] = Field("R", description="OBR-25 and OBX-11: R (not verified) or P")
    timezone: str = Field("UTC", description="the site's time zone by its IANA name, e.g. Europe/Zurich")
    identifier_system: str = Field("urn:radloop", description="namespace of our business identifiers in FHIR")
    not_applicable_sr: bool = Field(False, description="also send an SR that says a model was not applicable")

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of the database, as "Europe"
            raise ValueError('not a time zone of the IANA database, e.g. "Europe/Zurich"') from None
        return name


class Escalation(Section):
    """The site's own rule for one finding, over the model card's table."""

    escalate_at: Annotated[float, Field(ge=0, le=1)] = Field(description="probability from which it escalates")
    urgency: Urgency = Field(description="ROUTINE, URGENT or CRITICAL")


class LedgerSettings(Section):
    """The durable record."""

    url: str = Field("", description='SQLAlchemy URL, e.g. "postgresql+psycopg://..."; empty: SQLite under the home')
    busy_seconds: Seconds = Field(5.0, description="bounded wait for a locked database")


class StoreSettings(Section):
    """Bytes at rest."""

    path: Path | None = Field(None, description="folder; absent: `store` under the home")
    keys: Path | None = Field(None, description="folder of the keys; absent: `keys` under the home")


class RunnerSettings(Section):
    """The process that claims studies and deliveries."""

    poll_seconds: Seconds = Field(0.1, description="how often due work is looked for")
    lease_seconds: Seconds = Field(6.0, description="a claim that is not renewed for this long is free again")
    batch: int = Field(8, ge=1, le=64, description="studies per triage run under load")
    flow_timeout_seconds: Seconds = Field(1.5, description="wait for the Prefect server before going on without it")


class InferenceSettings(Section):
    """The model server. Loopback only."""

    port: Port = Field(3611, description="HTTP port (0: a free one)")
    threads: int = Field(0, ge=0, le=64, description="torch threads (0: one per core)")
    max_batch: int = Field(8, ge=1, le=64, description="images per forward pass at most")
    deadline_seconds: Seconds = Field(60.0, description="one request must be answered within this time")
    retry_seconds: Seconds = Field(5.0, description="wait before another attempt after a failed one")


class ServerSettings(Section):
    """A third party's server that we keep. Loopback only."""

    port: Port = Field(0, description="HTTP port (0: a free one)")
    enabled: bool = Field(True, description="whether `radloop up` starts it")


class DeliverySettings(Section):
    """How deliveries are tried again."""

    first_retry_seconds: Seconds = Field(1.0, description="wait after the first failure; doubles, with jitter")
    longest_retry_seconds: Seconds = Field(300.0, description="the longest wait between two tries")
    content_tries: int = Field(
        3, ge=1, description="tries after an error in the content (HL7 AE, CE), or where storage is not committed"
    )
    breaker_failures: int = Field(3, ge=1, description="failures in a row that open a peer's breaker")
    breaker_seconds: Seconds = Field(5.0, description="an open breaker lets one try through after this long")


class Schedule(Section):
    """A flow that runs by the clock. Its name is the table's: `[schedules.NAME]`."""

    flow: Literal["ingest", "watch", "retrain", "audit", "retain"] = Field(description="which flow")
    cron: str = Field(description='when, e.g. "*/15 * * * *"')
    paused: bool = Field(False, description="keep it, but do not run it")
    peer: str | None = Field(None, description="ingest: the peer that is queried")
    folder: Path | None = Field(None, description="ingest: the folder that is imported")
    modality: str = Field("", description="ingest: only this modality")
    model: str | None = Field(None, description="retrain: the model; audit: this one only")
    since: str = Field(
        "1d", pattern=r"^[0-9]+[hd]$", description="how far back: 12h or 1d; audit: the first one, where not given 90d"
    )

    @field_validator("cron")
    @classmethod
    def _is_a_time(cls, cron: str) -> str:
        return crons.check(cron)

    @model_validator(mode="after")
    def _ingest_has_one_source(self) -> "Schedule":
        if self.flow == "ingest" and (self.peer is None) == (self.folder is None):
            raise ValueError("an ingest schedule needs either peer or folder")
        if self.flow == "retrain" and self.model is None:
            raise ValueError("a retrain schedule needs model")
        return self
