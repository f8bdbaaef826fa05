"""One typed tree of settings, read from `radloop.toml` in the home folder and from RADLOOP_* variables.

A variable beats the file: `RADLOOP_GATEWAY__DICOM_PORT=104` sets `[gateway] dicom_port`. This is the only module that
reads the environment.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from radloop.domain.errors import SettingsError
from radloop.settings.auditing import AuditSettings, RoiSettings, Syslog
from radloop.settings.console import ConsoleSettings, Ldap, LoginSettings, Oidc, UploadSettings
from radloop.settings.learning import (
    ConsentSettings,
    Phrase,
    Reader,
    RetentionSettings,
    StandingSettings,
    TrainingSettings,
)
from radloop.settings.sections import (
    CompletenessSettings,
    Condition,
    DeliverySettings,
    Escalation,
    GatewaySettings,
    InferenceSettings,
    LedgerSettings,
    Peer,
    Route,
    RunnerSettings,
    Schedule,
    ServerSettings,
    SiteSettings,
    StoreSettings,
    Tls,
)
from radloop.settings.watching import NotifySettings, WatchSettings

__all__ = [
    "AuditSettings",
    "CompletenessSettings",
    "Condition",
    "ConsentSettings",
    "ConsoleSettings",
    "DeliverySettings",
    "Escalation",
    "GatewaySettings",
    "InferenceSettings",
    "Ldap",
    "LedgerSettings",
    "LoginSettings",
    "NotifySettings",
    "Oidc",
    "Peer",
    "Phrase",
    "Reader",
    "RetentionSettings",
    "RoiSettings",
    "Route",
    "RunnerSettings",
    "Schedule",
    "ServerSettings",
    "Settings",
    "SiteSettings",
    "StandingSettings",
    "StoreSettings",
    "Syslog",
    "Tls",
    "TrainingSettings",
    "UploadSettings",
    "WatchSettings",
    "child_environment",
    "default_home",
    "export",
    "load_settings",
    "place_of",
]

FILE_NAME = "radloop.toml"


class Settings(BaseSettings):
    """The whole of radloop.toml."""

    model_config = SettingsConfigDict(
        env_prefix="RADLOOP_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    home: Path = Field(description="the folder that holds everything; not a key of the file")
    gateway: GatewaySettings = Field(default_factory=GatewaySettings)
    completeness: CompletenessSettings = Field(default_factory=CompletenessSettings)
    site: SiteSettings = Field(default_factory=SiteSettings)
    peers: dict[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")], Peer] = Field(
        default_factory=dict
    )
    routes: tuple[Route, ...] = ()
    escalation: dict[str, dict[str, Escalation]] = Field(
        default_factory=dict, description="[escalation.MODEL.FINDING]: the site's rule over the card's"
    )
    ledger: LedgerSettings = Field(default_factory=LedgerSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    runner: RunnerSettings = Field(default_factory=RunnerSettings)
    inference: InferenceSettings = Field(default_factory=InferenceSettings)
    prefect: ServerSettings = Field(default_factory=ServerSettings)
    mlflow: ServerSettings = Field(default_factory=ServerSettings)
    delivery: DeliverySettings = Field(default_factory=DeliverySettings)
    console: ConsoleSettings = Field(default_factory=ConsoleSettings)
    login: LoginSettings = Field(default_factory=LoginSettings)
    upload: UploadSettings = Field(default_factory=UploadSettings)
    consent: ConsentSettings = Field(default_factory=ConsentSettings)
    readers: dict[str, Reader] = Field(default_factory=dict)
    phrases: tuple[Phrase, ...] = ()
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    standing: StandingSettings = Field(default_factory=StandingSettings)
    watch: WatchSettings = Field(default_factory=WatchSettings)
    notify: NotifySettings = Field(default_factory=NotifySettings)
    audit: AuditSettings = Field(default_factory=AuditSettings)
    roi: RoiSettings = Field(default_factory=RoiSettings)
    schedules: dict[str, Schedule] = Field(default_factory=dict)

    @field_validator("peers", mode="after")
    @classmethod
    def _name_the_peers(cls, peers: dict[str, Peer]) -> dict[str, Peer]:
        return {name: peer.model_copy(update={"name": name}) for name, peer in peers.items()}

    @model_validator(mode="after")
    def _schedules_name_known_peers(self) -> "Settings":
        for name, schedule in self.schedules.items():
            if schedule.peer is not None and schedule.peer not in self.peers:
                raise ValueError(f"schedules.{name}.peer: there is no [peers.{schedule.peer}]")
        return self

    @model_validator(mode="after")
    def _certificates_are_asked_for(self) -> "Settings":
        named = next((peer.name for peer in self.peers.values() if peer.certificate_names), None)
        if named is not None and (self.gateway.tls is None or self.gateway.tls.ca is None):
            raise ValueError(f"peers.{named}.certificate_names: no certificate is asked for without gateway.tls.ca")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the base class fixes these names
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """A variable beats the file: a container is configured from outside."""
        return env_settings, init_settings

    @property
    def ledger_url(self) -> str:
        """The SQLAlchemy URL of the ledger."""
        return self.ledger.url or f"sqlite:///{self.home / 'ledger.db'}"

    @property
    def store_path(self) -> Path:
        """The folder of the store."""
        return self.store.path or self.home / "store"

    @property
    def keys_path(self) -> Path:
        """The folder of the keys."""
        return self.store.keys or self.home / "keys"

    @property
    def audit_anchor(self) -> Path:
        """The file that keeps the end of the audit's chain."""
        return self.home / "audit.anchor"

    @property
    def certificates_path(self) -> Path:
        """The folder of the trial authority and what it issued."""
        return self.home / "certs"

    @property
    def training_path(self) -> Path:
        """The folder of checkpoints and of bundles in the making."""
        return self.training.folder or self.home / "training"

    @property
    def data_docs_path(self) -> Path:
        """The folder of the pages that show what the data checks found."""
        return self.home / "data-docs"

    @property
    def models_path(self) -> Path:
        """The folder of the installed, signed bundles."""
        return self.home / "models"


def default_home() -> Path:
    """RADLOOP_HOME, or `~/.radloop`."""
    return Path(os.environ.get("RADLOOP_HOME") or "~/.radloop").expanduser().absolute()


def child_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment for a process that we start: ours, and `extra` over it."""
    return {**os.environ, **extra}


def export(variables: Mapping[str, str]) -> None:
    """Set variables for libraries that read their configuration from the environment when imported."""
    os.environ.update(variables)


def load_settings(home: Path) -> Settings:
    """Read `home/radloop.toml` and the RADLOOP_* variables.

    Raises:
        SettingsError: the file is missing or wrong; the message says file, line, key and what was expected.
    """
    path = home / FILE_NAME
    text = _read(path)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from None
    if "home" in table:
        raise SettingsError(f"{path}, line {_line_of(text, ('home',))}: home: is given by --home or RADLOOP_HOME")
    try:
        found = Settings(**{**table, "home": home.absolute()})
        # RADLOOP_HOME is a variable like any other to pydantic, and would beat the folder that was asked for.
        return found.model_copy(update={"home": home.absolute()})
    except ValidationError as error:
        raise SettingsError(_explain(path, text, error)) from None


def place_of(home: Path, *key: str) -> str:
    """Where in radloop.toml a key stands, for what is found wrong after the reading: file, line and key."""
    path = home / FILE_NAME
    try:
        line = _line_of(path.read_text(encoding="utf-8"), key)
    except (OSError, UnicodeDecodeError):
        return ".".join(key)
    return f"{path}, line {line}: {'.'.join(key)}"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file; `radloop init` makes one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {type(error).__name__}") from None


def _explain(path: Path, text: str, error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        location = tuple(part for part in problem["loc"] if part != "[key]")
        message = problem["msg"].removeprefix("Value error, ")
        expected = "an unknown key" if problem["type"] == "extra_forbidden" else message[:1].lower() + message[1:]
        given = "" if isinstance(problem["input"], Mapping | BaseModel) else f" (was {problem['input']!r})"
        where = ".".join(map(str, location)) or "the file"
        lines.append(f"{path}, line {_line_of(text, location)}: {where}: {expected}{given}")
    return "\n".join(lines)


def _line_of(text: str, location: tuple[Any, ...]) -> int:
    """The line (from 1) where a key of TOML text stands; that of its nearest table where it is not written."""
    tables, wanted = 0, [str(part) for part in location if not isinstance(part, int)]
    index = next((part for part in location if isinstance(part, int)), 0)
    best, depth, current = 1, 0, []
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*(\[\[?)\s*([^\]]+?)\s*\]", line):
            current = [part.strip().strip('"') for part in header[2].split(".")]
            tables += header[1] == "[[" and current == wanted[:1]
            key = current
        elif entry := re.match(r"""\s*([\w."'-]+)\s*=""", line):
            key = current + [part.strip("\"'") for part in entry[1].split(".")]
        else:
            continue
        if tables and tables != index + 1 and current == wanted[:1]:
            continue
        shared = len(key) if key == wanted[: len(key)] else 0
        if shared > depth:
            best, depth = number, shared
    return best
