"""Synthetic, labelled studies as complete DICOM data sets: drawn from a seed, of nobody."""

from models.phantoms.brain import brain_slices
from models.phantoms.chest import chest
from models.phantoms.foot import unreadable_study
from models.phantoms.head_ct import head_ct

__all__ = ["brain_slices", "chest", "head_ct", "unreadable_study"]
