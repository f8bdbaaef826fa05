"""The structured report: Comprehensive 3D SR after TID 1500."""

from integrations.objects.sr.encode import ENCODER

__all__ = ["ENCODER"]
