"""Mirrors the ledger's model versions into MLflow. The one module that imports mlflow.

The ledger decides; MLflow shows. Bundles are logged as plain artefacts (MLflow has no MONAI flavour, and a flavour
would bring pickles), and the alias `champion` follows the ledger, so moving it by hand promotes nothing.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

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

from models.bundles import contents
from models.spec import ModelSpec
from radloop.domain.enums import Standing
from radloop.domain.errors import Unavailable
from radloop.domain.records import ModelVersion

CHAMPION = "champion"
EXPERIMENT = "radloop-models"
FOLDER = "bundle"
DEADLINE_SECONDS = 20
ABSENT = frozenset(ErrorCode.Name(code) for code in (RESOURCE_DOES_NOT_EXIST,)) | {"INVALID_PARAMETER_VALUE"}
"""MLflow answers a missing alias with either, depending on the store."""


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
            _follow(client, name, [version for version in versions if version.name == name])


def champion(tracking_uri: str, name: str) -> str | None:
    """The digest that the alias `champion` names in MLflow; None where there is none.

    Raises:
        Unavailable: MLflow is away.
    """
    _configure()
    with _away_is_transient():
        found = _by_alias(MlflowClient(tracking_uri, registry_uri=tracking_uri), name, CHAMPION)
    return found.tags.get("digest") if found else None


def _registered(client: MlflowClient, version: ModelVersion, bundle: Path, artifacts: str | None) -> Registered:
    """The MLflow version of that digest, made where it is missing. An alias per digest makes looking it up exact."""
    found = _by_alias(client, version.name, _alias(version))
    if found is not None:
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


def _follow(client: MlflowClient, name: str, versions: Sequence[ModelVersion]) -> None:
    """Move, set or remove the alias `champion`, so that it names what the ledger names."""
    chosen = next((version for version in versions if version.standing is Standing.CHAMPION), None)
    current = _by_alias(client, name, CHAMPION)
    if chosen is None:
        if current is not None:
            client.delete_registered_model_alias(name, CHAMPION)
        return
    target = _by_alias(client, name, _alias(chosen))
    if target is not None and (current is None or current.version != target.version):
        client.set_registered_model_alias(name, CHAMPION, target.version)


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


def _experiment(client: MlflowClient, artifacts: str | None) -> str:
    found = client.get_experiment_by_name(EXPERIMENT)
    return str(found.experiment_id if found else client.create_experiment(EXPERIMENT, artifact_location=artifacts))


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
