"""The coded concepts that more than one kind of object carries, each with where PS3.16 has it."""

from radloop.domain.enums import Laterality, Severity, Urgency
from radloop.domain.records import Code, Finding

FINDING = Code("121071", "DCM", "Finding")
FINDING_SITE = Code("363698007", "SCT", "Finding Site")
PROBABILITY = Code("122157", "DCM", "Probability")
THRESHOLD = Code("122411", "DCM", "Threshold Value")
NO_UNITS = Code("1", "UCUM", "no units")
ALGORITHM_NAME = Code("111001", "DCM", "Algorithm Name")

SEVERITY = Code("246112005", "SCT", "Severity")
SEVERITIES = {
    Severity.MILD: Code("255604002", "SCT", "Mild"),
    Severity.MODERATE: Code("6736007", "SCT", "Moderate"),
    Severity.SEVERE: Code("24484000", "SCT", "Severe"),
}

# CID 244 "Laterality".
LATERALITY = Code("272741003", "SCT", "Laterality")
LATERALITIES = {
    Laterality.LEFT: Code("7771000", "SCT", "Left"),
    Laterality.RIGHT: Code("24028007", "SCT", "Right"),
    Laterality.BILATERAL: Code("51440002", "SCT", "Right and left"),
}

# CID 7035 "Actionable Finding Classification": within minutes, hours, days.
PRIORITY = Code("260870009", "SCT", "Priority")
CATEGORIES = {
    Urgency.CRITICAL: Code("RID49480", "RADLEX", "ACR Category 1 Actionable Finding"),
    Urgency.URGENT: Code("RID49481", "RADLEX", "ACR Category 2 Actionable Finding"),
    Urgency.ROUTINE: Code("RID49482", "RADLEX", "ACR Category 3 Actionable Finding"),
}

# CID 6047 "CAD Processing and Findings Summary".
SUMMARY = Code("111017", "DCM", "CAD Processing and Findings Summary")
WITHOUT_FINDINGS = Code("111241", "DCM", "All algorithms succeeded; without findings")
WITH_FINDINGS = Code("111242", "DCM", "All algorithms succeeded; with findings")
NONE_SUCCEEDED = Code("111245", "DCM", "No algorithms succeeded; without findings")


def actionable(finding: Finding) -> Code | None:
    """The ACR category; None for a target below its threshold and never escalated: it is no actionable finding."""
    return CATEGORIES[finding.urgency] if finding.positive or finding.urgency is not Urgency.ROUTINE else None


def qualifiers(finding: Finding) -> tuple[tuple[Code, Code], ...]:
    """Name and value of what qualifies a finding wherever it stands: priority and severity."""
    category = actionable(finding)
    named = [(PRIORITY, category)] if category else []
    named += [(SEVERITY, SEVERITIES[finding.severity])] if finding.severity else []
    return tuple(named)


def places(finding: Finding) -> tuple[tuple[Code, Code], ...]:
    """Name and value of where a finding is: site and side."""
    named = [(FINDING_SITE, finding.location)] if finding.location else []
    named += [(LATERALITY, LATERALITIES[finding.laterality])] if finding.laterality else []
    return tuple(named)
