"""The coded concepts of the structured report, each with where PS3.16 has it."""

from pydicom import uid

from radloop.domain.records import Code

# TID 1500 row 4, CID 100 "Quantitative Diagnostic Imaging Procedures", by modality of the images read. Radiographs have
# no code there that older readers of the context group know, so they take its most general one.
PROCEDURE_REPORTED = {
    "CT": Code("25045-6", "LN", "CT unspecified body region"),
    "MR": Code("25056-3", "LN", "MRI unspecified body region"),
    "NM": Code("49118-3", "LN", "NM unspecified body region"),
    "PT": Code("44136-0", "LN", "PET unspecified body region"),
}
IMAGING_PROCEDURE = Code("363679005", "SCT", "Imaging procedure")

# TID 1602 row 1, CID 29 "Acquisition Modality".
MODALITY = Code("121139", "DCM", "Modality")
MODALITIES = {
    "CR": Code("CR", "DCM", "Computed Radiography"),
    "DX": Code("DX", "DCM", "Digital Radiography"),
    "RG": Code("RG", "DCM", "Radiographic imaging"),
    "MG": Code("MG", "DCM", "Mammography"),
    "CT": Code("CT", "DCM", "Computed Tomography"),
    "MR": Code("MR", "DCM", "Magnetic Resonance"),
    "NM": Code("NM", "DCM", "Nuclear Medicine"),
    "PT": Code("PT", "DCM", "Positron emission tomography"),
    "US": Code("US", "DCM", "Ultrasound"),
    "XA": Code("XA", "DCM", "X-Ray Angiography"),
    "RF": Code("RF", "DCM", "Radiofluoroscopy"),
}
OTHER_MODALITY = Code("OT", "DCM", "Other Modality")

# TID 1600 and 1602: image library.
IMAGE_LIBRARY = Code("111028", "DCM", "Image Library")
IMAGE_LIBRARY_GROUP = Code("126200", "DCM", "Image Library Group")
ROWS = Code("110910", "DCM", "Pixel Data Rows")
COLUMNS = Code("110911", "DCM", "Pixel Data Columns")
PIXELS = Code("{pixels}", "UCUM", "Pixels")

# TID 1501: why a result has no findings.
COMMENT = Code("121106", "DCM", "Comment")

# TID 1500 rows 12 and 14: what is odd about the images.
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
IMAGE_QUALITY = Code("111101", "DCM", "Image Quality")

# TID 4019 row 5, CID 7162 "Surface Processing/Algorithm Families".
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")

# PS3.3 C.18.4: frames are numbered in references to multi-frame SOP classes only. A single-frame class with several
# frames breaks its own IOD, but it exists.
MULTI_FRAME = frozenset(
    {
        uid.BreastTomosynthesisImageStorage,
        uid.EnhancedCTImageStorage,
        uid.EnhancedMRColorImageStorage,
        uid.EnhancedMRImageStorage,
        uid.EnhancedPETImageStorage,
        uid.EnhancedUSVolumeStorage,
        uid.EnhancedXAImageStorage,
        uid.EnhancedXRFImageStorage,
        uid.LegacyConvertedEnhancedCTImageStorage,
        uid.LegacyConvertedEnhancedMRImageStorage,
        uid.MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        uid.MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
        uid.MultiFrameSingleBitSecondaryCaptureImageStorage,
        uid.MultiFrameTrueColorSecondaryCaptureImageStorage,
        uid.NuclearMedicineImageStorage,
        uid.UltrasoundMultiFrameImageStorage,
        uid.XRay3DAngiographicImageStorage,
        uid.XRay3DCraniofacialImageStorage,
        uid.XRayAngiographicImageStorage,
        uid.XRayRadiofluoroscopicImageStorage,
    }
)
