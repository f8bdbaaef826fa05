"""The report for the EHR: one self-contained FHIR R4 DiagnosticReport."""

from integrations.objects.diagnostic_report.encode import ENCODER

__all__ = ["ENCODER"]
