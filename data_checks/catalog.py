"""Finds the checks: every module of `data_checks/checks` exports one `CHECK`."""

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType

from data_checks import checks
from data_checks.check import Check


@cache
def catalog() -> Mapping[str, Check]:
    """Every check by its name, in alphabetical order.

    Raises:
        ValueError: two checks have one name.
    """
    modules = sorted(module.name for module in pkgutil.iter_modules(checks.__path__, f"{checks.__name__}."))
    found: list[Check] = [import_module(name).CHECK for name in modules]
    by_name = {check.name: check for check in found}
    if len(by_name) != len(found):
        raise ValueError("two data checks have the same name")
    return MappingProxyType(by_name)
