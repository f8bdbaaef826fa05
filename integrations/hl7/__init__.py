"""HL7 v2 over MLLP: results out; orders, patient updates and reports in.

`ADAPTER` is what the delivery flow sees; `reach` tries whether a peer is there. The gateway feeds a `Decoder`, reads
with `parse`, asks `kind_of` or `refusal_of`, reads with `read_order`, `read_patient_update` or `read_reports`, and
answers with `acknowledge`.
"""

from integrations.hl7.acknowledgements import (
    AckCode,
    Refusal,
    acknowledge,
    acknowledge_unreadable,
    refusal_of,
)
from integrations.hl7.adapter import ADAPTER, Hl7Adapter, reach
from integrations.hl7.framing import Decoder, frame
from integrations.hl7.message import Message, Segment, parse
from integrations.hl7.orders import MessageKind, PatientUpdate, kind_of, read_order, read_patient_update
from integrations.hl7.report_codes import Presence, ReportStatus
from integrations.hl7.reports import Report, read_reports

__all__ = [
    "ADAPTER",
    "AckCode",
    "Decoder",
    "Hl7Adapter",
    "Message",
    "MessageKind",
    "PatientUpdate",
    "Presence",
    "Refusal",
    "Report",
    "ReportStatus",
    "Segment",
    "acknowledge",
    "acknowledge_unreadable",
    "frame",
    "kind_of",
    "parse",
    "reach",
    "read_order",
    "read_patient_update",
    "read_reports",
    "refusal_of",
]
