"""The processes of one machine: a row each."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from flows.environment import server_environment
from radloop.process import free_port
from radloop.settings import Settings

LOOPBACK: Final = "127.0.0.1"

# The telemetry of what we start is off (DESIGN.md, Processes and files), by each product's own switch.
NO_TELEMETRY: Final = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "BENTOML_DO_NOT_TRACK": "True",
    "GX_ANALYTICS_ENABLED": "false",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One process.

    `health` is the path that answers 200 once it is ready; None where the process announces itself. Without an
    `essential` process no study is answered; the others may be away for a while.
    """

    name: str
    argv: tuple[str, ...]
    port: int | None
    essential: bool
    health: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of this run: those of radloop.toml, each 0 replaced by a free one."""

    dicom: int
    hl7: int
    inference: int
    prefect: int
    mlflow: int
    console: int


def choose_ports(settings: Settings) -> Ports:
    """The ports as set, or free ones where 0 is set; a restarted process finds its old port again."""
    wanted = (
        settings.gateway.dicom_port,
        settings.gateway.hl7_port,
        settings.inference.port,
        settings.prefect.port,
        settings.mlflow.port,
        settings.console.port,
    )
    return Ports(*(port or free_port() for port in wanted))


def rows(settings: Settings, ports: Ports) -> tuple[Row, ...]:
    """Every process that these settings ask for; what answers studies comes first, so that it starts first."""
    return (
        *_gateways(settings, ports),
        _ours("inference", "serving.inference", settings, port=ports.inference),
        _ours("runner", "flows.runner", settings),
        *([_console(settings, ports)] if settings.console.enabled else []),
        *([_prefect(settings, ports)] if settings.prefect.enabled else []),
        *([_ours("worker", "flows.worker", settings, essential=False)] if settings.prefect.enabled else []),
        *([_mlflow(settings, ports)] if settings.mlflow.enabled else []),
    )


def shared_environment(settings: Settings, ports: Ports) -> dict[str, str]:
    """What every process is told: where the others listen, and to keep quiet towards the internet."""
    return {
        **NO_TELEMETRY,
        "RADLOOP_HOME": str(settings.home),
        "RADLOOP_GATEWAY__DICOM_PORT": str(ports.dicom),
        "RADLOOP_GATEWAY__HL7_PORT": str(ports.hl7),
        "RADLOOP_INFERENCE__PORT": str(ports.inference),
        "RADLOOP_PREFECT__PORT": str(ports.prefect),
        "RADLOOP_MLFLOW__PORT": str(ports.mlflow),
        "RADLOOP_CONSOLE__PORT": str(ports.console),
        "PYTHONUNBUFFERED": "1",
    }


def _ours(name: str, module: str, settings: Settings, *, port: int | None = None, essential: bool = True) -> Row:
    argv = (sys.executable, "-m", module, "--home", str(settings.home))
    return Row(name=name, argv=argv, port=port, essential=essential)


def _console(settings: Settings, ports: Ports) -> Row:
    return _ours("console", "serving.console", settings, port=ports.console, essential=False)


def _gateways(settings: Settings, ports: Ports) -> list[Row]:
    names = ["gateway", *(f"gateway-{number}" for number in range(2, settings.gateway.processes + 1))]
    base = (sys.executable, "-m", "serving.gateway", "--home", str(settings.home))
    return [
        Row(name=name, argv=(*base, "--name", name, "--index", str(index)), port=ports.dicom, essential=True)
        for index, name in enumerate(names)
    ]


def _prefect(settings: Settings, ports: Ports) -> Row:
    argv = (
        *(sys.executable, "-m", "flows.prefect_server", "server", "start", "--ui", "--analytics-off", "--workers", "1"),
        *("--host", LOOPBACK, "--port", str(ports.prefect), "--log-level", "WARNING"),
    )
    database = _folder(settings.home / "prefect") / "prefect.db"
    environment = {
        **server_environment(settings),
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{database}",
        # Only events are cleared by default: flow runs would fill the disk (MLOPS.md, Prefect).
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(7 * 86400),
        "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "P2D",
        **_prefect_pages(settings),
    }
    return _third_party("prefect", argv, ports.prefect, "/api/health", environment)


def _prefect_pages(settings: Settings) -> dict[str, str]:
    """Its pages stand under the console's /prefect. The newer ones (v2) call a service in the internet: not those."""
    return {
        "PREFECT_SERVER_UI_SERVE_BASE": "/prefect",
        "PREFECT_SERVER_UI_API_URL": "/prefect/api",
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(settings.home / "prefect" / "ui"),
        "PREFECT_SERVER_UI_V2_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    }


def _mlflow(settings: Settings, ports: Ports) -> Row:
    # The server as `mlflow server --workers 1` starts it, without that command's own process in front: it holds
    # 240 MB for as long as the server runs, and a kill -9 of it leaves the server on the port.
    argv = (
        *(sys.executable, "-m", "uvicorn", "--factory", "models.registry:server_app", "--log-level", "warning"),
        *("--host", LOOPBACK, "--port", str(ports.mlflow)),
    )
    home = _folder(settings.home / "mlflow")
    environment = {
        "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{home / 'mlflow.db'}",
        "_MLFLOW_SERVER_REGISTRY_STORE": f"sqlite:///{home / 'mlflow.db'}",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(home / "artifacts"),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SGI_NAME": "uvicorn",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    return _third_party("mlflow", argv, ports.mlflow, "/health", environment)


def _third_party(name: str, argv: tuple[str, ...], port: int, health: str, environment: dict[str, str]) -> Row:
    return Row(name=name, argv=argv, port=port, essential=False, health=health, environment=environment)


def _folder(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path
