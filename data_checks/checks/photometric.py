"""Photometric Interpretation (0028,0004): a term of PS3.3 C.7.6.3.1.2 that is not retired."""

from data_checks.check import Check, ClosedSet

CHECK = Check(
    name="photometric",
    column="photometric",
    rule=ClosedSet(
        values=(
            "MONOCHROME1",
            "MONOCHROME2",
            "PALETTE COLOR",
            "RGB",
            "YBR_FULL",
            "YBR_FULL_422",
            "YBR_PARTIAL_420",
            "YBR_ICT",
            "YBR_RCT",
            "XYB",
        )
    ),
    promise="the photometric interpretation is one of PS3.3",
)
