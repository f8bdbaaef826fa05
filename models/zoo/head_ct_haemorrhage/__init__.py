"""Haemorrhage on axial head CT slices, of phantoms. The bundle lies beside this file, free of code."""

from pathlib import Path

from models.spec import read_spec

SPEC = read_spec(Path(__file__).parent / "bundle")
