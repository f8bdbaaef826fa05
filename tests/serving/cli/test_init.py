import re
import stat
from pathlib import Path

import pytest
from sqlalchemy import select

from models.bundles import public_key, verify
from models.catalog import catalog
from radloop.ledger import models
from radloop.ledger.tables import audit_events
from radloop.settings import load_settings
from radloop.store import Keyring
from serving.cli import template
from serving.cli.desk import Desk, system_user
from serving.cli.setup import prepare
from tests.serving.cli.conftest import cli


def test_the_home_and_its_keys_are_the_owners_alone(desk: Desk) -> None:
    assert stat.S_IMODE(desk.home.stat().st_mode) == 0o700
    keys = list((desk.home / "keys").iterdir())
    assert len(keys) >= 3
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
    assert stat.S_IMODE((desk.home / "radloop.toml").stat().st_mode) == 0o600


def test_init_again_changes_no_file_that_is_there(desk: Desk) -> None:
    (desk.home / "radloop.toml").write_text("# mine\n[gateway]\nae_title = 'MINE'\n")
    before = {path: path.read_bytes() for path in desk.home.rglob("*") if path.suffix in (".key", ".toml")}
    result = cli(desk, "init")
    assert result.exit_code == 0, result.output
    assert "left as it is" in result.output
    assert {path: path.read_bytes() for path in before} == before


def test_the_user_who_ran_init_is_an_actor_and_the_audit_says_so(desk: Desk) -> None:
    with desk.reading() as conn:
        rows = conn.execute(select(audit_events.c.action, audit_events.c.actor)).all()
    assert ("actor.add", "radloop") in [tuple(row) for row in rows]
    assert system_user() in cli(desk, "actor", "list").output


def test_init_installs_signs_and_registers_every_model_of_the_zoo_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "home")
    for _ in range(2):
        prepare(desk)
    with desk.reading() as conn:
        known = models.known(conn)
    assert {m.name: m.digest for m in known} == {spec.name: spec.digest for spec in catalog().values()}
    assert {m.standing for m in known} == {"CHAMPION"}
    public = public_key(Keyring.load(desk.settings.keys_path).signing_key)
    for model in known:
        assert verify(desk.settings.models_path / model.name / model.digest, public) == model.digest
    desk.ledger.close()


def test_the_fresh_radloop_toml_loads_and_routes_both_models(tmp_path: Path) -> None:
    (tmp_path / "radloop.toml").write_text(template.render())
    settings = load_settings(tmp_path)
    assert [route.models for route in settings.routes] == [("cxr_pneumonia",), ("brain_mr_tumour",)]
    assert settings.routes[0].when.matches({"modality": "DX"})
    assert settings.gateway.dicom_port == 11112


def test_every_commented_key_of_the_fresh_radloop_toml_loads_when_the_comment_is_taken_away(tmp_path: Path) -> None:
    text = re.sub(r"(?m)^#(?=[a-z_]+ = |\[)", "", template.render())
    (tmp_path / "radloop.toml").write_text(text)
    settings = load_settings(tmp_path)
    assert settings.peers["ris"].priority_upgrade == "ORM"
    assert settings.schedules["night"].cron == "0 2 * * *"


@pytest.mark.parametrize(("name", "model"), list(template.sections_of(template.Settings)))
def test_every_key_of_every_section_is_explained(name: str, model: type) -> None:
    text = template.render().split(f"\n[{name}]\n")[1].split("\n[")[0]
    for key, field in template.keys_of(model):
        assert f"# {field.description}\n" in text
        assert re.search(rf"(?m)^#?{key} = ", text)
