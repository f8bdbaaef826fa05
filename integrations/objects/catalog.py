"""Finds the encoders: every folder beside this file exports one `ENCODER`."""

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType

from integrations import objects
from integrations.objects.context import Encoder
from radloop.domain.enums import ObjectKind


@cache
def encoders() -> Mapping[ObjectKind, Encoder]:
    """Every encoder by the kind it makes."""
    folders = (m.name for m in pkgutil.iter_modules(objects.__path__, f"{objects.__name__}.") if m.ispkg)
    found: list[Encoder] = [import_module(name).ENCODER for name in sorted(folders)]
    return MappingProxyType({encoder.kind: encoder for encoder in found})
