"""How often View Position (0018,5101) of a projection is missing: cards ask for it."""

from data_checks.check import Check, Present

CHECK = Check(
    name="view_present",
    column="view",
    rule=Present(share=0.5),
    promise="at least half of the projections name their view",
    modalities=("CR", "DX", "MG"),
    least=20,
)
