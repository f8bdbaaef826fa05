"""KVP (0018,0060) of projection radiography and CT, in kilovolts."""

from data_checks.check import Check, Range

CHECK = Check(
    name="kvp",
    column="kvp",
    rule=Range(low=15, high=160),
    promise="the tube voltage lies between 15 and 160 kV",
    modalities=("CR", "DX", "MG", "CT", "RF", "XA"),
)
