"""FHIR R4 towards the hospital's EHR: reports out, by conditional create.

`ADAPTER` is what the delivery flow sees.
"""

from integrations.fhir.adapter import ADAPTER, FhirAdapter

__all__ = ["ADAPTER", "FhirAdapter"]
