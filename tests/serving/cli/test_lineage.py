import json
from pathlib import Path
from xml.etree import ElementTree as ET

from serving.cli.desk import Desk
from serving.cli.exits import Exit
from tests.serving.cli.conftest import STUDY_UID, cli


def result_of(desk: Desk) -> str:
    return json.loads(cli(desk, "show", STUDY_UID, "--json").stdout)["results"][0]["id"]


def test_explain_tells_the_chain_as_a_tree_and_as_json(desk: Desk, delivery: str) -> None:
    tree = cli(desk, "explain", STUDY_UID)
    assert tree.exit_code == 0
    assert result_of(desk) in tree.stdout
    assert delivery in tree.stdout
    (node,) = json.loads(cli(desk, "explain", "2.25.1", "--json").stdout)
    assert (node["kind"], node["id"], node["on_record"]) == ("result", result_of(desk), True)
    kinds = [child["kind"] for child in node["children"]]
    assert kinds == ["study version", "model version", "object", "verdict", "sign-off"]
    assert node["children"][3] == {
        "kind": "verdict", "id": None, "title": "no reader has given a verdict", "digest": None, "at": None,
        "by": None, "on_record": False, "facts": {}, "children": [],
    }  # fmt: skip


def test_explain_draws_the_chain_into_a_file(desk: Desk, delivery: str, tmp_path: Path) -> None:
    assert cli(desk, "explain", result_of(desk), "--svg", str(tmp_path / "chain.svg")).exit_code == 0
    root = ET.parse(tmp_path / "chain.svg").getroot()
    assert delivery in "".join(root.itertext())


def test_explain_of_nothing_is_not_found_and_repeats_no_identifier(desk: Desk) -> None:
    done = cli(desk, "explain", "1.2.3.4")
    assert done.exit_code == Exit.NOT_FOUND
    assert "1.2.3.4" not in done.stderr


def test_replay_wants_one_thing_to_do(desk: Desk) -> None:
    assert cli(desk, "replay").exit_code == Exit.FAILED
    assert cli(desk, "replay", STUDY_UID, "--model", "cxr@1").exit_code == Exit.FAILED
    assert cli(desk, "replay", "1.2.3.4").exit_code == Exit.NOT_FOUND


def test_a_pdf_is_not_printed_and_an_unknown_version_has_no_card(desk: Desk) -> None:
    assert cli(desk, "card", "cxr@1", "--format", "pdf").exit_code == Exit.FAILED
    assert cli(desk, "card", "cxr@1").exit_code == Exit.NOT_FOUND
    assert cli(desk, "touched", "cxr@1").exit_code == Exit.NOT_FOUND
    assert cli(desk, "touched", "cxr").exit_code == Exit.FAILED
