from pathlib import Path

import pytest

from radloop.settings import Settings, load_settings
from serving.console.pages.guests import PREFECT
from serving.supervisor.table import Ports, choose_ports, rows, shared_environment

PORTS = Ports(dicom=1, hl7=2, inference=3, prefect=4, mlflow=5, console=6)
OFF = "[prefect]\nenabled = false\n[mlflow]\nenabled = false\n[console]\nenabled = false\n"


def settings_of(home: Path, text: str = "") -> Settings:
    (home / "radloop.toml").write_text(text)
    return load_settings(home)


def test_without_a_gateway_runner_or_inference_nothing_is_answered_and_the_rest_may_be_away(tmp_path: Path) -> None:
    table = rows(settings_of(tmp_path), PORTS)
    assert {row.name for row in table if row.essential} == {"gateway", "runner", "inference"}
    assert {row.name for row in table if not row.essential} == {"prefect", "mlflow", "worker", "console"}


def test_gateways_share_a_port_and_only_the_first_takes_hl7(tmp_path: Path) -> None:
    table = rows(settings_of(tmp_path, "[gateway]\nprocesses = 3\n" + OFF), PORTS)
    gateways = [row for row in table if row.name.startswith("gateway")]
    assert [row.name for row in gateways] == ["gateway", "gateway-2", "gateway-3"]
    assert {row.port for row in gateways} == {1}
    assert [row.argv[row.argv.index("--index") + 1] for row in gateways] == ["0", "1", "2"]


def test_what_the_settings_switch_off_is_not_started(tmp_path: Path) -> None:
    names = {row.name for row in rows(settings_of(tmp_path, OFF), PORTS)}
    assert names == {"gateway", "runner", "inference"}


def test_ports_are_those_of_the_settings_and_zero_takes_a_free_one(tmp_path: Path) -> None:
    ports = choose_ports(settings_of(tmp_path, "[gateway]\ndicom_port = 104\nhl7_port = 0\n"))
    assert ports.dicom == 104
    assert len({ports.hl7, ports.prefect, ports.mlflow, 0}) == 4


def test_every_process_learns_the_ports_that_were_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(tmp_path, "[gateway]\ndicom_port = 0\n")
    for name, value in shared_environment(settings, PORTS).items():
        monkeypatch.setenv(name, value)
    seen = load_settings(tmp_path)
    assert (seen.gateway.dicom_port, seen.gateway.hl7_port, seen.inference.port) == (1, 2, 3)
    assert (seen.prefect.port, seen.mlflow.port, seen.console.port) == (4, 5, 6)


def test_servers_of_others_listen_on_loopback_and_tell_nobody(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    for row in rows(settings, PORTS):
        if row.health:
            assert row.argv[row.argv.index("--host") + 1] == "127.0.0.1"
    shared = shared_environment(settings, PORTS)
    assert shared["DO_NOT_TRACK"] == "1"
    assert shared["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert shared["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_prefect_forgets_old_flow_runs(tmp_path: Path) -> None:
    prefect = next(row for row in rows(settings_of(tmp_path), PORTS) if row.name == "prefect")
    assert "flow_runs" in prefect.environment["PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED"]


def test_prefects_pages_stand_below_the_console_and_are_those_that_call_nobody(tmp_path: Path) -> None:
    prefect = next(row for row in rows(settings_of(tmp_path), PORTS) if row.name == "prefect")
    assert prefect.environment["PREFECT_SERVER_UI_SERVE_BASE"] == PREFECT.prefix
    assert prefect.environment["PREFECT_SERVER_UI_API_URL"] == f"{PREFECT.prefix}/api"
    assert prefect.environment["PREFECT_SERVER_UI_V2_ENABLED"] == "false"
    assert tmp_path in Path(prefect.environment["PREFECT_SERVER_UI_STATIC_DIRECTORY"]).parents
