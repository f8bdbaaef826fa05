"""Mirrors the ledger's model versions into MLflow. The one module that imports mlflow.

The ledger decides; MLflow shows. Bundles are logged as plain artefacts (MLflow has no MONAI flavour, and a flavour
would bring pickles), and the aliases `champion`, `shadow` and `previous` follow the ledger, so moving one by hand
promotes nothing.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import cast

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunStatus
from mlflow.entities.model_registry import ModelVersion as Registered
from mlflow.environment_variables import (
    MLFLOW_DISABLE_TELEMETRY,
    MLFLOW_HTTP_REQUEST_MAX_RETRIES,
    MLFLOW_HTTP_REQUEST_TIMEOUT,
)
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.telemetry import set_telemetry_client
from mlflow.tracking import MlflowClient

from models.aliases import ALIASES
from models.bundles import contents
from models.spec import ModelSpec
from radloop.domain.enums import RunState, Standing
from radloop.domain.errors import Unavailable
from radloop.domain.learning import TrainingRun
from radloop.domain.records import ModelVersion

CHAMPION = ALIASES[Standing.CHAMPION]
EXPERIMENT = "radloop-models"
RUNS = "radloop-training"
RUN_TAG = "radloop.run"
BATCH = 500
DIGEST_LENGTH = 36
FOLDER = "bundle"
DEADLINE_SECONDS = 20
ABSENT = frozenset(ErrorCode.Name(code) for code in (RESOURCE_DOES_NOT_EXIST,)) | {"INVALID_PARAMETER_VALUE"}
"""MLflow answers a missing alias with either, depending on the store."""


def server_app() -> object:
    """MLflow's own server (ASGI), with its tables made: at the first question it would make them itself.

    Two first questions at once each begin to, and leave tables behind that neither can finish.
    """
    # Only the server's own process pays for these.
    from mlflow.server.fastapi_app import app  # noqa: PLC0415
    from mlflow.server.handlers import initialize_backend_stores  # noqa: PLC0415

    initialize_backend_stores()
    return app


def mirror(
    tracking_uri: str, specs: Sequence[ModelSpec], versions: Sequence[ModelVersion], artifacts: str | None = None
) -> None:
    """Make MLflow show what the ledger says. Doing it again changes nothing.

    Args:
        tracking_uri: `http://...` of the server, or `sqlite:///...`.
        specs: the bundles at hand; versions whose bundle is not among them are left as they are.
        versions: the ledger's model versions.
        artifacts: where a new experiment keeps its files; None leaves that to the server.

    Raises:
        Unavailable: MLflow is away or answers with an error; nothing of ours depends on it, so try later.
        IntegrityError: a bundle does not match its manifest.
    """
    _configure()
    client = MlflowClient(tracking_uri, registry_uri=tracking_uri)
    bundles = {spec.digest: spec.bundle for spec in specs}
    with _away_is_transient():
        for version in versions:
            if version.digest in bundles:
                _registered(client, version, bundles[version.digest], artifacts)
        for name in sorted({version.name for version in versions}):
            of_name = [version for version in versions if version.name == name]
            for standing, alias in ALIASES.items():
                _follow(client, name, alias, next((one for one in of_name if one.standing is standing), None))


def champion(tracking_uri: str, name: str) -> str | None:
    """The digest that the alias `champion` names in MLflow; None where there is none.

    Raises:
        Unavailable: MLflow is away.
    """
    _configure()
    with _away_is_transient():
        found = _by_alias(MlflowClient(tracking_uri, registry_uri=tracking_uri), name, CHAMPION)
    return found.tags.get("digest") if found else None


@dataclass(frozen=True, slots=True)
class Training:
    """A training run as the ledger has it, its cohort's digest, and what it wrote about itself (`outcome.History`)."""

    run: TrainingRun
    cohort: str
    record: Mapping[str, object]


def log_training(tracking_uri: str, training: Training, artifacts: str | None = None) -> str:
    """Show a training run that has ended; MLflow's name of it. Doing it again, or going on after a cut, adds nothing.

    Of the cohort MLflow sees name, digest and counts, never a row.

    Raises:
        Unavailable: MLflow is away or answers with an error.
    """
    _configure()
    client = MlflowClient(tracking_uri, registry_uri=tracking_uri)
    with _away_is_transient():
        experiment = _experiment(client, artifacts, RUNS)
        found = client.search_runs([experiment], f"tags.`{RUN_TAG}` = '{training.run.id}'", max_results=1)
        name = found[0].info.run_id if found else _opened(client, experiment, training)
        if not found or found[0].info.status == RunStatus.to_string(RunStatus.RUNNING):
            _told(client, name, training)
    return name


def _opened(client: MlflowClient, experiment: str, training: Training) -> str:
    run = training.run
    tags = {
        RUN_TAG: run.id,
        "model": run.model,
        "digest": run.digest or "",
        "state": run.state.value,
        # MLflow's own names, so that its pages show them.
        "mlflow.source.git.commit": run.commit.split("+", maxsplit=1)[0],
        "mlflow.source.name": "radloop retrain",
        "mlflow.source.type": "JOB",
        "build": run.commit,
    }
    started = client.create_run(experiment, _milliseconds(run.at), tags, f"{run.model} {run.id}")
    return str(started.info.run_id)


def _told(client: MlflowClient, name: str, training: Training) -> None:
    """Parameters, metrics, cohort, end. Metrics carry the time of the run: telling them again changes nothing."""
    run, at = training.run, _milliseconds(training.run.at)
    client.log_batch(name, params=_parameters(training))
    metrics = _metrics(training.record, at)
    for first in range(0, len(metrics), BATCH):
        client.log_batch(name, metrics=metrics[first : first + BATCH])
    client.log_inputs(name, [_dataset(training)])
    ended = _milliseconds(run.ended_at) if run.ended_at else None
    client.set_terminated(name, "FINISHED" if run.state is RunState.DONE else "FAILED", ended)


def _parameters(training: Training) -> list[Param]:
    run = training.run
    said: dict[str, object] = {
        "cohort": training.cohort,
        "parent": run.parent or "none",
        "seed": run.seed,
        "device": run.device,
        "threads": run.threads,
        "processes": run.processes,
        "version": training.record.get("version", ""),
    }
    for part in ("run", "operating", "data"):
        inside = _mapping(training.record.get(part))
        said |= {f"{part}.{key}": value for key, value in inside.items()}
    return [Param(key, str(value)) for key, value in said.items()]


def _metrics(record: Mapping[str, object], at: int) -> list[Metric]:
    found = []
    for name, interval in _mapping(record.get("validation")).items():
        found += [Metric(f"validation.{name}.{key}", _number(one), at, 0) for key, one in _mapping(interval).items()]
    epochs = record.get("epochs")
    for epoch in map(_mapping, epochs if isinstance(epochs, list) else []):
        step, member = int(_number(epoch["epoch"])), epoch["member"]
        found += [Metric(f"{what}.member_{member}", _number(epoch[what]), at, step) for what in ("loss", "auc")]
    return found


def _dataset(training: Training) -> DatasetInput:
    """The cohort as a data set: its digest (MLflow keeps 36 characters of one; the whole is a tag) and no rows."""
    tags = [InputTag("sha256", training.cohort), InputTag("mlflow.data.context", "training")]
    profile = json.dumps({"data": training.record.get("data", {}), "origin": training.record.get("origin", {})})
    source = json.dumps({"cohort": training.run.cohort_id})
    name = f"{training.run.model} cohort"
    return DatasetInput(Dataset(name, training.cohort[:DIGEST_LENGTH], "radloop", source, profile=profile), tags)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _number(value: object) -> float:
    return float(cast("float", value))


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _registered(client: MlflowClient, version: ModelVersion, bundle: Path, artifacts: str | None) -> Registered:
    """The MLflow version of that digest, made where it is missing. An alias per digest makes looking it up exact."""
    found = _by_alias(client, version.name, _alias(version))
    if found is not None:
        if found.tags.get("qualification") != version.qualification:
            client.set_model_version_tag(version.name, found.version, "qualification", version.qualification.value)
        return found
    contents(bundle)
    _ensure_model(client, version.name)
    tags = {"digest": version.digest, "qualification": version.qualification.value, "version": version.version}
    run = client.create_run(_experiment(client, artifacts), run_name=f"{version.name} {version.version}", tags=tags)
    client.log_artifacts(run.info.run_id, str(bundle), FOLDER)
    client.set_terminated(run.info.run_id)
    source = f"{run.info.artifact_uri}/{FOLDER}"
    made = client.create_model_version(version.name, source, run.info.run_id, tags=tags)
    client.set_registered_model_alias(version.name, _alias(version), made.version)
    return made


def _follow(client: MlflowClient, name: str, alias: str, chosen: ModelVersion | None) -> None:
    """Move, set or remove an alias, so that it names what the ledger names."""
    current = _by_alias(client, name, alias)
    if chosen is None:
        if current is not None:
            client.delete_registered_model_alias(name, alias)
        return
    target = _by_alias(client, name, _alias(chosen))
    if target is not None and (current is None or current.version != target.version):
        client.set_registered_model_alias(name, alias, target.version)


def _by_alias(client: MlflowClient, name: str, alias: str) -> Registered | None:
    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code in ABSENT:
            return None
        raise


def _alias(version: ModelVersion) -> str:
    return f"sha256-{version.digest[:32]}"


def _ensure_model(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise


def _experiment(client: MlflowClient, artifacts: str | None, name: str = EXPERIMENT) -> str:
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found else client.create_experiment(name, artifact_location=artifacts))


def _configure() -> None:
    """No telemetry in this process, whatever its environment says; and no retries in here: the caller has its own."""
    MLFLOW_DISABLE_TELEMETRY.set("true")
    set_telemetry_client()
    MLFLOW_HTTP_REQUEST_MAX_RETRIES.set("0")
    MLFLOW_HTTP_REQUEST_TIMEOUT.set(str(DEADLINE_SECONDS))


@contextlib.contextmanager
def _away_is_transient() -> Iterator[None]:
    """MLflow wraps a dead server, a locked database and its own refusals in one exception; OSError covers sockets."""
    try:
        yield
    except (MlflowException, OSError) as error:
        raise Unavailable("MLflow did not do what it was asked") from error
