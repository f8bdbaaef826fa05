"""View Position (0018,5101): a term of PS3.3 C.8.1.3, C.8.7.1 or C.8.11.4; empty is told by another check."""

from data_checks.check import Check, ClosedSet

CHECK = Check(
    name="view",
    column="view",
    rule=ClosedSet(
        values=("AP", "PA", "LL", "RL", "RLD", "LLD", "RLO", "LLO", "LATERAL", "LAT", "CC", "MLO", "ML", "LM", "XCCL")
    ),
    promise="the view of a projection is one of PS3.3",
    modalities=("CR", "DX", "MG"),
)
