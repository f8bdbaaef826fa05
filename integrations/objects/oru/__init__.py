"""The observation result: HL7 v2.5.1 ORU^R01."""

from integrations.objects.oru.encode import ENCODER

__all__ = ["ENCODER"]
