"""HL7 v2 over MLLP: results out, orders and patient updates in.

`ADAPTER` is what the delivery flow sees. The gateway feeds a `Decoder`, reads with `parse`, asks `kind_of` or
`refusal_of`, reads with `read_order` or `read_patient_update`, and answers with `acknowledge`.
"""

from integrations.hl7.acknowledgements import (
    AckCode,
    Refusal,
    acknowledge,
    acknowledge_unreadable,
    refusal_of,
)
from integrations.hl7.adapter import ADAPTER, Hl7Adapter
from integrations.hl7.framing import Decoder, frame
from integrations.hl7.message import Message, Segment, parse
from integrations.hl7.orders import MessageKind, PatientUpdate, kind_of, read_order, read_patient_update

__all__ = [
    "ADAPTER",
    "AckCode",
    "Decoder",
    "Hl7Adapter",
    "Message",
    "MessageKind",
    "PatientUpdate",
    "Refusal",
    "Segment",
    "acknowledge",
    "acknowledge_unreadable",
    "frame",
    "kind_of",
    "parse",
    "read_order",
    "read_patient_update",
    "refusal_of",
]
