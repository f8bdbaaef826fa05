"""docs/compliance.md claims nothing that no test holds, and points a reviewer to nothing that is not there."""

import re
from pathlib import Path

import pytest

from serving.cli.compliance import PARTS, Control
from serving.cli.reference import documents

TESTS = Path(__file__).parents[2]
CONTROLS = [one for part in PARTS for one in part.controls]


@pytest.mark.parametrize("control", CONTROLS, ids=lambda one: one.rule)
def test_the_test_of_a_control_exists(control: Control) -> None:
    file, _, name = control.test.partition("::")
    text = (TESTS / file).read_text(encoding="utf-8")
    assert f"def {name}(" in text if name else "def test_" in text


@pytest.mark.parametrize("control", CONTROLS, ids=lambda one: one.rule)
def test_the_commands_and_documents_that_are_evidence_exist(control: Control) -> None:
    commands = documents()["cli.md"]
    for command in re.findall(r"`(radloop [a-z]+)", control.evidence):
        assert f"## `{command}" in commands, command
    for path in re.findall(r"docs/[a-z-]+\.md", control.evidence):
        assert (TESTS.parent / path).is_file(), path
