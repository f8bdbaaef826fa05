"""Modality (0008,0060): a term that PS3.3 C.7.3.1.1.1 defines for images."""

from data_checks.check import Check, ClosedSet

CHECK = Check(
    name="modality",
    column="modality",
    rule=ClosedSet(
        values=(
            "CR",
            "DX",
            "MG",
            "IO",
            "PX",
            "RG",
            "CT",
            "MR",
            "US",
            "XA",
            "RF",
            "NM",
            "PT",
            "OP",
            "OPT",
            "ES",
            "GM",
            "XC",
        )
    ),
    promise="the modality is one that PS3.3 defines for images",
)
