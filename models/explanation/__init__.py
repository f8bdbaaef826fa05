"""Why a model said so: a map of where it looked, the box around the hottest area, and its side."""

from models.explanation.regions import hottest_box
from models.explanation.side import laterality

__all__ = ["hottest_box", "laterality"]
