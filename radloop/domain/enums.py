"""The closed sets of words that every room uses. Members are documented where they stand."""

from enum import StrEnum


class StudyState(StrEnum):
    """Where one study version stands."""

    RECEIVING = "RECEIVING"
    """Instances still arrive; no evidence yet that the study is whole."""
    COMPLETE = "COMPLETE"
    """Judged whole, with evidence recorded; waits for the runner."""
    READING = "READING"
    """Claimed by a runner: models are looking at it."""
    ANSWERED = "ANSWERED"
    """Every routed model has answered, or the reason why none could is recorded."""
    SIGNED = "SIGNED"
    """A reader closed this version."""


class Signal(StrEnum):
    """What made us believe that a study version is whole."""

    EXPECTED_COUNT = "EXPECTED_COUNT"
    """An order or a C-FIND at the sender named a count, and it was reached."""
    SINGLE_IMAGE = "SINGLE_IMAGE"
    """A single-image modality, idle for settle_seconds."""
    QUIET_PERIOD = "QUIET_PERIOD"
    """Nothing arrived for quiet_seconds: the weakest evidence."""


class ResultStatus(StrEnum):
    """What kind of answer a result is."""

    OK = "OK"
    """The model read the study; findings are listed."""
    NOT_APPLICABLE = "NOT_APPLICABLE"
    """The study lies outside the model's card; the reason is recorded."""
    UNAVAILABLE = "UNAVAILABLE"
    """The model could not read a study that is on its ground (undecodable pixels); the reason is recorded."""


class Urgency(StrEnum):
    """How soon a person should look. Ordered by `rank`, never compared as text."""

    ROUTINE = "ROUTINE"
    URGENT = "URGENT"
    CRITICAL = "CRITICAL"

    @property
    def rank(self) -> int:
        """0 for ROUTINE, 1 for URGENT, 2 for CRITICAL."""
        return tuple(Urgency).index(self)


class Severity(StrEnum):
    """How bad a finding is, where the model says so (SNOMED CT 255604002, 6736007, 24484000)."""

    MILD = "MILD"
    MODERATE = "MODERATE"
    SEVERE = "SEVERE"


class Laterality(StrEnum):
    """The side of a finding (SNOMED CT 7771000, 24028007, 51440002)."""

    LEFT = "LEFT"
    RIGHT = "RIGHT"
    BILATERAL = "BILATERAL"


class DeliveryState(StrEnum):
    """Where one object stands on its way to one peer (RESULTS.md, Delivery states)."""

    QUEUED = "QUEUED"
    """Due at `next_at`."""
    SENT = "SENT"
    """Handed to the wire; no answer is on record yet. Resent with the same identifiers after the lease ends."""
    ACCEPTED = "ACCEPTED"
    """The peer's own protocol said yes."""
    COMMITTED = "COMMITTED"
    """The peer promised to keep it (storage commitment)."""
    PARKED = "PARKED"
    """Waits for a person: resend, or drop with a reason."""
    DROPPED = "DROPPED"
    """A person decided not to send it; the reason is in the audit."""


class ObjectKind(StrEnum):
    """What a result is made into."""

    SR = "SR"
    SC = "SC"
    SEG = "SEG"
    KOS = "KOS"
    GSPS = "GSPS"
    PDF = "PDF"
    ORU = "ORU"
    ORM = "ORM"
    DIAGNOSTIC_REPORT = "DIAGNOSTIC_REPORT"


class Standing(StrEnum):
    """What a model version may do."""

    CHALLENGER = "CHALLENGER"
    SHADOW = "SHADOW"
    CHAMPION = "CHAMPION"
    PREVIOUS = "PREVIOUS"


class Qualification(StrEnum):
    """What a model version may be called; DICOM ContentQualification (0018,9004) takes the same words."""

    RESEARCH = "RESEARCH"
    PRODUCT = "PRODUCT"


class ActorKind(StrEnum):
    """Who acts: a person with a name, or a machine with a role."""

    PERSON = "PERSON"
    MACHINE = "MACHINE"


class PeerRole(StrEnum):
    """What a peer may do and gets."""

    SOURCE = "source"
    """May send us instances, and may be queried by C-FIND and C-MOVE where it has a port."""
    RESULTS = "results"
    """Gets SR and SC."""
    REPORTS = "reports"
    """Gets ORU (mllp) or DiagnosticReport (fhir)."""
    ORDERS = "orders"
    """May send us orders and ADT; gets the priority upgrade where it wants one."""


class VerdictKind(StrEnum):
    """What a reader said of one finding of a result."""

    CONFIRM = "CONFIRM"
    """The model's call stands."""
    REJECT = "REJECT"
    """The model's call is wrong."""
    MODIFY = "MODIFY"
    """The finding is there, but its place, side, severity or name is another."""
    ADD = "ADD"
    """There is something that the model did not call."""


class Awareness(StrEnum):
    """Whether the reader had seen the AI: labels of readers who had bias the next model (MLOPS.md, Retraining)."""

    BLINDED = "BLINDED"
    """The verdict was given before the AI was shown."""
    SAW_AI = "SAW_AI"
    """The reader had seen the AI, or might have."""
    CORRECTED = "CORRECTED"
    """The reader was blinded first and changed the verdict after seeing the AI."""


class VerdictSource(StrEnum):
    """By which door a verdict or a sign-off came in."""

    REST = "REST"
    DICOM_SR = "DICOM_SR"
    HL7_ORU = "HL7_ORU"
    COMMAND_LINE = "COMMAND_LINE"


class Consent(StrEnum):
    """What a patient has said about being learned from."""

    TRAINING = "TRAINING"
    """May be learned from."""
    WITHDRAWN = "WITHDRAWN"
    """May not (any more)."""


class Split(StrEnum):
    """What a labelled image of a cohort is for. No patient is in two."""

    TRAIN = "TRAIN"
    VALIDATION = "VALIDATION"
    """Chooses threshold and calibration; never trained on."""
    TEST = "TEST"
    """Frozen, blinded labels only; every look at it spends alpha."""


class GateOutcome(StrEnum):
    """What a gate came to."""

    PASS = "PASS"  # noqa: S105 - a word, no secret
    FAIL = "FAIL"
    INSUFFICIENT_EVIDENCE = "INSUFFICIENT_EVIDENCE"
    """Too few cases to decide: never a pass."""


class RunState(StrEnum):
    """Where a training run stands."""

    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"


class ApprovalKind(StrEnum):
    """What is approved."""

    PROMOTE = "PROMOTE"
    """To become champion."""
    QUALIFY = "QUALIFY"
    """To be called PRODUCT."""
