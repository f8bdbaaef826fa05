"""The ground floor: what every part of radloop shares. Imports none of the rooms above."""

__version__ = "0.1.0"
