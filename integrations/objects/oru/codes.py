"""The tables of the observation result: HL7 v2.5.1 chapters 4 and 7, and the observations' own codes."""

from radloop.domain.enums import Urgency
from radloop.domain.records import Code

STRUCTURE = "ORU_R01"
# Table 0074, "Diagnostic service section ID".
RADIOLOGY = "RAD"
# Table 0085: "Order detail description only": the study's UID is no observation.
STUDY_STATUS = "O"

STUDY = Code("113014", "DCM", "DICOM Study")
NARRATIVE = Code("59776-5", "LN", "Procedure Findings")

# Table 0078, "Abnormal flags": of a coded observation, and of a number against its threshold.
NORMAL = "N"
ABNORMAL = {Urgency.ROUTINE: "A", Urgency.URGENT: "A", Urgency.CRITICAL: "AA"}
HIGH = {Urgency.ROUTINE: "H", Urgency.URGENT: "H", Urgency.CRITICAL: "HH"}

# What must not be empty: RESULTS.md, HL7 ORU^R01.
REQUIRED = {
    "MSH": (3, 7, 9, 10, 11, 12, 18),
    "PID": (3, 5),
    "OBR": (3, 4, 24, 25),
    "TQ1": (9,),
    "OBX": (2, 3, 5, 11),
}
