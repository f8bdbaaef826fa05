"""A RIS that sends final reports: HL7 v2.5.1 ORU^R01, as such systems write them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

MARIE = "mcurie&Curie&Marie"
OBSERVED_AT = "20260304060000+0000"


@dataclass(frozen=True, kw_only=True)
class Obx:
    """One observation: OBX-2, 3, 5, 8 and 11."""

    kind: str = "TX"
    name: str = "18782-3^Study observation^LN"
    value: str
    flag: str = ""
    status: str | None = None


@dataclass(frozen=True, kw_only=True)
class Oru:
    """A report. `status` is OBR-25 and, where an observation says nothing else, OBX-11."""

    accession: str
    patient_id: str
    observations: Sequence[Obx] = field(default=())
    control_id: str = "1"
    status: str = "F"
    reader: str = MARIE
    reported: str = OBSERVED_AT
    sender: str = "RIS|HOSPITAL"
    sent: str = "20260304060500"

    def encode(self) -> bytes:
        """Without its frame."""
        request = [""] * 33
        request[0], request[1], request[4] = "OBR", "1", "36643-5^XR Chest^LN"
        request[18], request[22], request[25], request[32] = self.accession, self.reported, self.status, self.reader
        lines = [
            f"MSH|^~\\&|{self.sender}|RADLOOP|RADIOLOGY|{self.sent}||ORU^R01^ORU_R01|{self.control_id}|P|2.5.1"
            "||||||UNICODE UTF-8",
            f"PID|1||{self.patient_id}^^^HOSP^MR||Phantom^One",
            "|".join(request),
            *(self._obx(number, one) for number, one in enumerate(self.observations, 1)),
        ]
        return ("\r".join(lines) + "\r").encode()

    def _obx(self, number: int, one: Obx) -> str:
        status = self.status if one.status is None else one.status
        return f"OBX|{number}|{one.kind}|{one.name}||{one.value}|||{one.flag}|||{status}|||{self.reported}"
