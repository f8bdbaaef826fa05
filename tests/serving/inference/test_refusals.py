"""What the model server refuses, and how it says so."""

import json

import pytest

from models.phantoms import chest
from models.runtime import WEIGHTS
from models.spec import CARD
from tests.serving.inference.bundle import NAME
from tests.serving.inference.house import ModelServer, install_tiny

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def radiograph(server: ModelServer) -> dict[str, str]:
    return server.keep(chest(1, opacity=False, rows=128))


@pytest.mark.parametrize(
    ("model", "digest"),
    [
        (NAME, "0" * 64),
        ("another_model", None),
        (NAME, "not a digest"),
        ("../models/cxr_tiny", None),
        (NAME, "../" * 21 + "a"),
    ],
)
def test_a_bundle_that_is_not_installed_is_refused(
    server: ModelServer, radiograph: dict[str, str], model: str, digest: str | None
) -> None:
    response = server.post(radiograph, model=model, digest=digest or server.digest)
    assert (response.status_code, response.json()["code"]) == (409, "unknown-digest")


def test_a_bundle_whose_weights_were_changed_is_refused(server: ModelServer, radiograph: dict[str, str]) -> None:
    folder = install_tiny(server.home, "6.6.6", seed=1)
    weights = bytearray((folder / WEIGHTS).read_bytes())
    weights[-1] ^= 1
    (folder / WEIGHTS).write_bytes(weights)
    response = server.post(radiograph, digest=folder.name)
    assert (response.status_code, response.json()["code"]) == (409, "integrity")


def test_a_bundle_without_this_site_s_signature_is_refused(server: ModelServer, radiograph: dict[str, str]) -> None:
    folder = install_tiny(server.home, "6.6.7", seed=1)
    (folder / "model.sig").write_bytes(bytes(64))
    response = server.post(radiograph, digest=folder.name)
    assert (response.status_code, response.json()["code"]) == (409, "integrity")


def test_a_bundle_under_another_one_s_digest_is_refused(server: ModelServer, radiograph: dict[str, str]) -> None:
    folder = install_tiny(server.home, "6.6.8", seed=1)
    moved = folder.rename(folder.with_name("f" * 64))
    response = server.post(radiograph, digest=moved.name)
    assert (response.status_code, response.json()["code"]) == (409, "integrity")


def test_a_bundle_with_a_pickle_beside_its_weights_is_refused(server: ModelServer, radiograph: dict[str, str]) -> None:
    folder = install_tiny(server.home, "6.6.9", seed=1)
    (folder / "models" / "extra.pt").write_bytes(b"\x80\x04.")
    response = server.post(radiograph, digest=folder.name)
    assert (response.status_code, response.json()["code"]) == (409, "integrity")


def test_a_bundle_that_is_installed_later_is_found_when_it_is_asked_for(
    server: ModelServer, radiograph: dict[str, str]
) -> None:
    later = install_tiny(server.home, "2.0.0", seed=8)
    answer = server.ask(radiograph, digest=later.name)
    assert answer.digest == later.name != server.digest
    assert json.loads((later / CARD).read_bytes())["version"] == "2.0.0"


def test_a_missing_key_is_not_found(server: ModelServer, radiograph: dict[str, str]) -> None:
    for key in ("0" * 32, "../../keys/site.key"):
        response = server.post(radiograph, {"id": "in_1", "key": key})
        assert (response.status_code, response.json()["code"]) == (404, "not-found")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b"null", b'{"model": "m"}', b'{"tickets": [1]}'])
def test_a_body_that_is_not_the_question_is_a_bad_request(server: ModelServer, body: bytes) -> None:
    assert server.http.post("/infer", content=body, headers=JSON).status_code == 400


@pytest.mark.parametrize(
    "changes", [{"instances": []}, {"instances": [{"id": "a"}]}, {"instances": "a"}, {"digest": 5}, {"model": None}]
)
def test_a_question_with_a_wrong_field_is_a_bad_request(server: ModelServer, changes: dict[str, object]) -> None:
    assert server.http.post("/infer", json=server.question(**changes)).status_code == 400


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "multipart/form-data; boundary=x", "application/vnd.bentoml+pickle", "application/octet-stream"],
)
def test_only_json_is_taken(server: ModelServer, kind: str) -> None:
    response = server.http.post("/infer", content=b"{}", headers={"Content-Type": kind})
    assert (response.status_code, response.json()["code"]) == (415, "unsupported-media-type")


def test_a_body_that_is_too_large_is_refused_before_it_is_read(server: ModelServer) -> None:
    response = server.http.post("/infer", content=b" " * (5 << 20), headers=JSON)
    assert response.status_code == 413


def test_a_body_without_a_length_is_refused(server: ModelServer) -> None:
    response = server.http.post("/infer", content=iter([b"{}"]), headers=JSON)
    assert response.status_code == 411


def test_a_stranger_s_ticket_reads_nothing(server: ModelServer) -> None:
    response = server.http.post("/read", json={"tickets": [1, 999_999]})
    assert response.json() == [False, False]


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz", "/metrics"])
def test_it_says_that_it_is_well(server: ModelServer, path: str) -> None:
    assert server.http.get(path).status_code == 200
