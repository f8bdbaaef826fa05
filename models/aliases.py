"""What MLflow calls the versions of a model by their standing. There is at most one of each. Imports no mlflow."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from radloop.domain.enums import Standing

ALIASES: Final[Mapping[Standing, str]] = MappingProxyType(
    {Standing.CHAMPION: "champion", Standing.SHADOW: "shadow", Standing.PREVIOUS: "previous"}
)
