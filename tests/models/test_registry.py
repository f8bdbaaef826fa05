import socket

import pytest

from models.catalog import catalog
from radloop.domain.enums import Standing
from radloop.domain.errors import Unavailable
from radloop.domain.records import ModelVersion

registry = pytest.importorskip("models.registry")


# MLflow leaves SQLite connections to the interpreter's end and warns of its own imports.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    home = tmp_path_factory.mktemp("mlflow")
    return f"sqlite:///{home / 'mlflow.db'}", (home / "artifacts").as_uri()


def ledger_says(standing: Standing) -> list[ModelVersion]:
    return [
        ModelVersion(
            name=spec.name,
            version=spec.version,
            digest=spec.digest,
            standing=standing,
            qualification=spec.qualification,
        )
        for spec in catalog().values()
    ]


def test_the_alias_champion_follows_the_ledger_and_mirroring_twice_changes_nothing(store: tuple[str, str]) -> None:
    uri, artifacts = store
    specs = list(catalog().values())
    registry.mirror(uri, specs, ledger_says(Standing.CHAMPION), artifacts)
    registry.mirror(uri, specs, ledger_says(Standing.CHAMPION), artifacts)
    client = registry.MlflowClient(uri, registry_uri=uri)
    for spec in specs:
        assert registry.champion(uri, spec.name) == spec.digest
        made = client.search_model_versions(f"name = '{spec.name}'")
        assert len(made) == 1
        assert made[0].tags == {"digest": spec.digest, "qualification": "RESEARCH", "version": spec.version}
        logged = {item.path for item in client.list_artifacts(made[0].run_id, "bundle")}
        assert "bundle/manifest.json" in logged
    client.set_registered_model_alias(specs[0].name, "champion", "1")
    registry.mirror(uri, specs, ledger_says(Standing.PREVIOUS), artifacts)
    assert registry.champion(uri, specs[0].name) is None, "an alias set by hand promotes nothing"


def test_an_mlflow_that_cannot_be_reached_is_transient() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(Unavailable):
            registry.mirror(gone, list(catalog().values()), ledger_says(Standing.CHAMPION))
