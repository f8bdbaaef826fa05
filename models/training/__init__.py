"""Trains the models of the zoo from labelled DICOM files: `python -m models.training NAME --data DIR --out DIR`."""
