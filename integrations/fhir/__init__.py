"""FHIR R4 towards the hospital's EHR: reports out, by conditional create.

`ADAPTER` is what the delivery flow sees; `capabilities` asks whether a server is there.
"""

from integrations.fhir.adapter import ADAPTER, FhirAdapter, capabilities

__all__ = ["ADAPTER", "FhirAdapter", "capabilities"]
