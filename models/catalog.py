"""Finds the models: every folder of `models/zoo` that exports `SPEC`. Imports no torch."""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from models import zoo
from models.spec import ModelSpec


@cache
def catalog() -> Mapping[str, ModelSpec]:
    """Every model by its name, in alphabetical order.

    Raises:
        IntegrityError: a bundle in the zoo has no readable card or manifest.
    """
    names = sorted(found.name for found in pkgutil.iter_modules(zoo.__path__) if found.ispkg)
    specs = (importlib.import_module(f"{zoo.__name__}.{name}").SPEC for name in names)
    return MappingProxyType({spec.name: spec for spec in specs})
