"""What fits the OpenAPI, and what nearly does, breaks nothing (schemathesis); answers are as it says they are."""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from tests.serving.console.everything import Everything, everything

LEFT_OUT: Final = (
    ("/events", "never ends: the page's own stream"),
    ("/export", "a stream of a file; tests/serving/console/test_audit_pages.py and test_lineage_pages.py take each"),
    ("/api/v1/uploads/{upload_id}/files", "a body of bytes, of which the schema says nothing: test_uploads.py"),
    ("/api/v1/uploads/{upload_id}/reading", "loads models: test_uploads.py"),
)
PEERS: Final = ("/api/v1/schedules", "/api/v1/operations/peers/", "/api/v1/golive")
"""Paths that ask Prefect or a peer, which are away here: 503 is their honest answer."""
POISON: Final = ("a\0b", "a\ud800b")
EXAMPLES: Final = {GenerationMode.POSITIVE: 6, GenerationMode.NEGATIVE: 5}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everything]:
    with everything(tmp_path_factory.mktemp("there") / "home") as running:
        yield running


def operations(there: Everything) -> list[APIOperation[Any, Any, Any, Any]]:
    schema = schemathesis.openapi.from_dict(there.http.get("/api/v1/openapi.json").json())
    found = [one.ok() for one in schema.get_all_operations()]
    return [one for one in found if not any(one.path.endswith(ending) for ending, _ in LEFT_OUT)]


def check(there: Everything, case: Case) -> None:
    request = case.as_transport_kwargs(base_url=str(there.http.base_url).rstrip("/"))
    answer = case.call(base_url=str(there.http.base_url).rstrip("/"), headers=there.mine)
    away = answer.status_code == 503 and case.operation.path.startswith(PEERS)
    assert answer.status_code < 500 or away, (case.operation.label, answer.status_code, request)
    case.validate_response(answer, checks=[response_schema_conformance, content_type_conformance])


def check_poisoned(there: Everything, case: Case) -> None:
    """The same with what no database keeps in the place of each text: NUL, half a surrogate pair."""
    for bad in POISON:
        for body in poisoned(case.body, bad):
            sent = json.dumps(body).encode()
            headers = {**there.mine, "Content-Type": "application/json"}
            answer = there.http.request(case.method, case.formatted_path, content=sent, headers=headers)
            away = answer.status_code == 503 and case.operation.path.startswith(PEERS)
            assert answer.status_code < 500 or away, (case.operation.label, sent, answer.status_code)


def poisoned(said: Any, bad: str) -> Iterator[Any]:
    """Copies with one text each replaced."""
    if isinstance(said, str):
        yield bad
    elif isinstance(said, dict):
        for key, value in said.items():
            yield from ({**said, key: one} for one in poisoned(value, bad))
    elif isinstance(said, list):
        for place, value in enumerate(said):
            yield from ([*said[:place], one, *said[place + 1 :]] for one in poisoned(value, bad))


def drive(there: Everything, operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode, **fixed: str) -> None:
    @seed(1)
    @settings(
        max_examples=EXAMPLES[mode],
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode, path_parameters=fixed or None))
    def once(case: Case) -> None:
        check(there, case)
        if mode is GenerationMode.POSITIVE:
            check_poisoned(there, case)

    once()


@pytest.mark.timeout(240)
def test_nothing_that_the_openapi_describes_ends_in_an_error_of_ours(there: Everything) -> None:
    failures: list[str] = []
    driven = operations(there)
    assert len(driven) > 60
    for operation in driven:
        known = {one.name: there.ids[one.name] for one in operation.path_parameters if one.name in there.ids}
        whole = known if len(known) == len(operation.path_parameters.items) else {}
        rounds: list[tuple[GenerationMode, dict[str, str]]] = [(mode, {}) for mode in GenerationMode]
        rounds += [(GenerationMode.POSITIVE, whole)] if whole else []
        for mode, fixed in rounds:
            try:
                drive(there, operation, mode, **fixed)
            except Unsatisfiable:  # there is nothing to get wrong
                assert mode is GenerationMode.NEGATIVE
            except (FailureGroup, AssertionError) as error:
                failures.append(f"{operation.label} {mode} {fixed}: {type(error).__name__} {error!s:.600}")
    assert failures == []
