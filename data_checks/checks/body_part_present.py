"""How often Body Part Examined (0018,0015) is missing: routes match on it."""

from data_checks.check import Check, Present

CHECK = Check(
    name="body_part_present",
    column="body_part",
    rule=Present(share=0.5),
    promise="at least half of the images name their body part",
    least=20,
)
