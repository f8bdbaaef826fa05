from pathlib import Path

import pytest

from radloop.domain.errors import SettingsError
from radloop.settings import Condition, load_settings

GOOD = """
[gateway]
ae_title = "RADLOOP"
dicom_port = 0

[peers.pacs]
ae_title = "ORTHANC"
host = "127.0.0.1"
port = 4242
roles = ["source", "results"]

[peers.ris]
mllp = "127.0.0.1:2576"
roles = ["reports", "orders"]

[[routes]]
models = ["cxr_pneumonia"]
when = { modality = ["CR", "DX"], body_part = ["CHEST", ""] }

[[routes]]
models = ["brain_mr_tumour"]
when = { modality = ["MR"] }
"""


def write(home: Path, text: str) -> Path:
    (home / "radloop.toml").write_text(text)
    return home


def test_the_file_of_the_readme_is_read(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, GOOD))
    assert settings.peers["pacs"].name == "pacs"
    assert settings.routes[1].models == ("brain_mr_tumour",)
    assert settings.ledger_url == f"sqlite:///{tmp_path}/ledger.db"


def test_a_variable_beats_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADLOOP_GATEWAY__DICOM_PORT", "104")
    settings = load_settings(write(tmp_path, GOOD))
    assert (settings.gateway.dicom_port, settings.gateway.ae_title) == (104, "RADLOOP")


def test_the_home_that_is_asked_for_beats_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADLOOP_HOME", str(tmp_path / "other"))
    assert load_settings(write(tmp_path, GOOD)).home == tmp_path


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("dicom_port = 0", 'dicom_port = "x"', 4, "gateway.dicom_port"),
        ("dicom_port = 0", "dicom_prt = 0", 4, "gateway.dicom_prt: an unknown key"),
        ("dicom_port = 0", 'dicom_port = 0\n[site]\ntimezone = "Zurich"', 6, "site.timezone"),
        ('ae_title = "RADLOOP"', 'ae_title = "MUCH TOO LONG A TITLE"', 3, "gateway.ae_title"),
        ("port = 4242", "port = 70000", 9, "peers.pacs.port"),
        ('host = "127.0.0.1"\n', "", 6, "needs ae_title, host and port"),
        ('roles = ["source", "results"]', 'roles = ["sauce"]', 10, "'source', 'results', 'reports' or 'orders'"),
        ("port = 4242", "port = 4242\nqualifications = []", 6, "qualifications: "),
        ('models = ["brain_mr_tumour"]', "models = []", 21, "routes.1.models"),
        ("[[routes]]", "[[routes", 16, "not valid TOML"),
        ('when = { modality = ["MR"] }', 'when = { modalty = ["MR"] }', 22, "routes.1.when.modalty"),
        ("[gateway]", 'home = "/x"\n[gateway]', 2, "is given by --home"),
    ],
)
def test_a_wrong_file_is_answered_with_line_key_and_expectation(
    tmp_path: Path, old: str, new: str, line: int, said: str
) -> None:
    with pytest.raises(SettingsError) as error:
        load_settings(write(tmp_path, GOOD.replace(old, new, 1)))
    assert f"{tmp_path}/radloop.toml" in str(error.value)
    assert f"line {line}" in str(error.value)
    assert said in str(error.value)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="radloop init"):
        load_settings(tmp_path)


@pytest.mark.parametrize(
    ("condition", "facts", "wanted"),
    [
        ({"body_part": ["CHEST", ""]}, {"body_part": ""}, True),
        ({"body_part": ["CHEST", ""]}, {}, True),
        ({"body_part": ["CHEST"]}, {}, False),
        ({"body_part": ["CHEST"]}, {"body_part": "chest "}, True),
        ({"description": ["*brain*"]}, {"description": "AX Brain T1"}, True),
        ({"modality": ["CR"], "view": ["PA", "AP"]}, {"modality": "CR", "view": "LL"}, False),
        ({}, {"modality": "US"}, True),
    ],
)
def test_a_condition_matches_patterns_and_absence(condition: dict, facts: dict, wanted: bool) -> None:
    assert Condition(**condition).matches(facts) is wanted
