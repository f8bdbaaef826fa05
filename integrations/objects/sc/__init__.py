"""The picture: a secondary capture of the key image with the heatmap over it."""

from integrations.objects.sc.encode import ENCODER

__all__ = ["ENCODER"]
