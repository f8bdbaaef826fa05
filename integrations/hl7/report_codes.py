"""The tables by which a final report is read (docs/verdicts.md, HL7 ORU): codes and words that say "there" or "not"."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from radloop.domain.enums import Awareness


class ReportStatus(StrEnum):
    """What OBR-25 makes of a report (HL7 table 0123)."""

    FINAL = "FINAL"
    CORRECTED = "CORRECTED"
    NOT_FINAL = "NOT_FINAL"
    """Preliminary, cancelled, scheduled: nothing a reader stands for."""


class Presence(StrEnum):
    """What a report says of one finding."""

    PRESENT = "PRESENT"
    ABSENT = "ABSENT"


STATUSES: Final[Mapping[str, ReportStatus]] = MappingProxyType({"F": ReportStatus.FINAL, "C": ReportStatus.CORRECTED})
# HL7 table 0085: of one observation. 'U' became final without being sent again.
OBSERVED: Final = frozenset(("F", "C", "U"))

# Names of coding systems (HL7 table 0396, and what is written for them) -> DICOM's designators, which findings carry.
SCHEMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("SCT", "SNM3", "SNM", "SNOMED", "SNOMEDCT", "SNOMED-CT", "SNOMED CT"), "SCT"),
        **dict.fromkeys(("RADLEX", "RID"), "RADLEX"),
        **dict.fromkeys(("LN", "LOINC"), "LN"),
        "DCM": "DCM",
        "HL70136": "HL70136",
        "99RADLOOP": "99RADLOOP",
    }
)

# OBX-5 as a code, under an OBX-3 that names the finding.
CODED: Final[Mapping[tuple[str, str], Presence]] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                ("52101004", "SCT"),  # Present
                ("10828004", "SCT"),  # Positive
                ("121053", "DCM"),  # Present
                ("Y", "HL70136"),
                ("LA9633-4", "LN"),  # Present
                ("LA33-6", "LN"),  # Yes
                ("LA6576-8", "LN"),  # Positive
            ),
            Presence.PRESENT,
        ),
        **dict.fromkeys(
            (
                ("2667000", "SCT"),  # Absent
                ("272519000", "SCT"),  # Absence findings: CID 240 has it for "Absent"
                ("260385009", "SCT"),  # Negative
                ("121054", "DCM"),  # Absent
                ("N", "HL70136"),
                ("LA9634-2", "LN"),  # Absent
                ("LA32-8", "LN"),  # No
                ("LA6577-6", "LN"),  # Negative
            ),
            Presence.ABSENT,
        ),
    }
)
# OBX-5 as a plain value (ID, IS, ST), or a code without a coding system.
PLAIN: Final[Mapping[str, Presence]] = MappingProxyType(
    {
        **dict.fromkeys(("Y", "YES", "PRESENT", "POSITIVE", "POS"), Presence.PRESENT),
        **dict.fromkeys(("N", "NO", "ABSENT", "NEGATIVE", "NEG"), Presence.ABSENT),
    }
)
# OBX-8 (HL7 table 0078): where OBX-5 is empty, or names the finding itself.
FLAGS: Final[Mapping[str, Presence]] = MappingProxyType(
    {
        **dict.fromkeys(("A", "AA", "POS"), Presence.PRESENT),
        **dict.fromkeys(("N", "NEG"), Presence.ABSENT),
    }
)

# OBX-3 under which a finding in OBX-5 is what the reader found. Not under others: a reason, a history, a question.
FOUND_UNDER: Final = frozenset(
    {
        ("121071", "DCM"),  # Finding
        ("121073", "DCM"),  # Impression
        ("121077", "DCM"),  # Conclusion
        ("59776-5", "LN"),  # Procedure Findings
        ("19005-8", "LN"),  # Impression
        ("55110-1", "LN"),  # Conclusions
        ("404684003", "SCT"),  # Clinical finding
    }
)

TEXT_TYPES: Final = frozenset(("TX", "FT", "ST"))
CODED_TYPES: Final = frozenset(("CE", "CWE", "CNE", "CF"))
PLAIN_TYPES: Final = frozenset(("ID", "IS", "ST"))

# The impression, as LOINC and as HL7 2.x's suffix (section 7.2.4) name it.
IMPRESSION: Final = ("19005-8", "LN")
IMPRESSION_SUFFIX: Final = "IMP"

AWARENESS: Final = ("AWARENESS", "99RADLOOP")
AWARENESSES: Final = MappingProxyType({(member.value, "99RADLOOP"): member for member in Awareness})
