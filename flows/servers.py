"""The servers that we keep on loopback: where each listens, and whether it answers."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import httpx

from radloop.process import announced
from radloop.settings import Settings

HEALTH: Final[Mapping[str, str]] = MappingProxyType(
    {"inference": "/readyz", "prefect": "/api/health", "mlflow": "/health"}
)
SECONDS: Final = 3.0


def wanted(settings: Settings) -> tuple[str, ...]:
    """Those that these settings ask for."""
    optional = {"prefect": settings.prefect.enabled, "mlflow": settings.mlflow.enabled}
    return tuple(name for name in HEALTH if optional.get(name, True))


def url_of(settings: Settings, name: str) -> str | None:
    """Base URL; None where it takes a free port and has not announced it: it does not run."""
    configured = {
        "inference": settings.inference.port,
        "prefect": settings.prefect.port,
        "mlflow": settings.mlflow.port,
    }
    said = announced(settings.home, name)
    port = configured[name] or (said.port if said else None)
    return f"http://127.0.0.1:{port}" if port else None


def answers(settings: Settings, name: str, seconds: float = SECONDS) -> bool:
    """Whether it is there and says that it is well."""
    base = url_of(settings, name)
    if base is None:
        return False
    try:
        answer = httpx.get(base + HEALTH[name], timeout=seconds, trust_env=False)
    except httpx.HTTPError:
        return False
    return answer.status_code == httpx.codes.OK
