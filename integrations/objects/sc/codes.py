"""The terms of the secondary capture: PS3.3 A.8.1, C.7.6.1, C.8.6.1."""

from radloop.domain.records import Code

MODALITY = "OT"
IMAGE_TYPE = ["DERIVED", "SECONDARY"]
CONVERSION_TYPE = "WSD"
"""C.8.6.1.1.1: made at a workstation."""
DERIVATION = "Key image with the heatmap of the model over it, scaled to 8 bits. AI result, not a diagnosis."

# CID 7202 "Source Image Purposes of Reference".
SOURCE_IMAGE = Code("121322", "DCM", "Source image for image processing operation")

BITS = 8
LOSSY = "01"
LOSSLESS = "00"
"""C.7.6.1.1.5: once lossy, always lossy."""
