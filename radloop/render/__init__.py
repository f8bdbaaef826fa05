"""One way to make pictures: grey key images, heatmaps, and the two together with a legend."""

from radloop.render.overlay import Legend, overlay
from radloop.render.picture import heat, picture, to_png

__all__ = ["Legend", "heat", "overlay", "picture", "to_png"]
