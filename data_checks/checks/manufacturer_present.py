"""How often Manufacturer (0008,0070) is missing: drift is told by site and device."""

from data_checks.check import Check, Present

CHECK = Check(
    name="manufacturer_present",
    column="manufacturer",
    rule=Present(share=0.9),
    promise="nine in ten images name their manufacturer",
    least=20,
)
