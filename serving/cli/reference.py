"""docs/cli.md, docs/settings.md and docs/access.md, made from the commands, the settings and the table of roles.

python -m serving.cli.reference        writes them
"""

import ast
import inspect
from collections.abc import Iterator
from enum import Enum
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, cast

from pydantic import BaseModel
from typer.main import get_command

from radloop.domain.access import Permission, Role
from radloop.settings import Settings
from serving.cli import compliance
from serving.cli.access import permission_table
from serving.cli.exits import EXPLAINED
from serving.cli.main import app
from serving.cli.output import say
from serving.cli.template import default_of, keys_of, kind_of, named_sections, sections_of

DOCS: Final = Path(__file__).parents[2] / "docs"
MADE: Final = "<!-- Made by `python -m serving.cli.reference`: change the code, then run it. -->"


def documents() -> dict[str, str]:
    """The text of each document, by its file name."""
    return {
        "cli.md": "\n".join(_commands()) + "\n",
        "settings.md": "\n".join(_settings()) + "\n",
        "access.md": "\n".join(_access()) + "\n",
        "compliance.md": "\n".join((*_marked(compliance.document()),)) + "\n",
    }


def _marked(lines: Iterator[str]) -> Iterator[str]:
    """The title, then the word that the page is made, then the rest."""
    yield from (next(lines), "", MADE)
    yield from lines


def _commands() -> Iterator[str]:
    yield from ("# The command `radloop`", "", MADE, "", f"{EXPLAINED}.", "")
    yield "A command that changes something does so in the name of an actor: the operating-system user that"
    yield "`radloop init` knew, or the owner of `--token` (RADLOOP_TOKEN)."
    for path, command in _walk("radloop", get_command(app)):
        yield from ("", f"## `{path}`", "", _first(command.help), "")
        yield from _parameters(command)


def _walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    commands = getattr(command, "commands", {})
    if not commands or getattr(command, "invoke_without_command", False):
        yield path, command
    for name, child in commands.items():
        yield from _walk(f"{path} {name}", child)


def _first(text: str | None) -> str:
    return " ".join((text or "").split())


def _parameters(command: Any) -> Iterator[str]:
    rows = [row for row in (_parameter(one) for one in command.params) if row]
    if rows:
        yield from ("| | |", "|---|---|", *rows)


def _parameter(parameter: Any) -> str:
    if parameter.name == "help":
        return ""
    if parameter.param_type_name == "argument":
        name = str(parameter.metavar or parameter.name).upper()
    else:
        name = ", ".join(parameter.opts) + (
            "" if parameter.is_flag else f" {str(parameter.metavar or 'VALUE').upper()}"
        )
    needed = " Required." if parameter.required and parameter.param_type_name == "option" else ""
    default = parameter.default
    shown = f" Default {default}." if isinstance(default, int | float) and not isinstance(default, bool) else ""
    return f"| `{name}` | {_first(parameter.help)}{needed}{shown} |"


def _settings() -> Iterator[str]:
    yield from ("# radloop.toml", "", MADE, "")
    yield "`radloop init` writes one with every key explained. A variable beats the file:"
    yield "`RADLOOP_GATEWAY__DICOM_PORT=104` sets `dicom_port` of `[gateway]`. A key that is wrong is named with its"
    yield "file and line, and what was expected."
    for name, model in (*sections_of(Settings), *named_sections()):
        yield from ("", f"## `[{name}]`", "", _first((model.__doc__ or "").split("\n\n")[0]), "")
        yield from _keys(model)


def _keys(model: type[BaseModel]) -> Iterator[str]:
    yield from ("| key | takes | default | |", "|---|---|---|---|")
    for key, field in keys_of(model):
        known = default_of(field)
        default = "required" if field.is_required() else f"`{known}`" if known else "none"
        description = str(field.description).replace("|", "\\|")
        yield f"| `{key}` | {kind_of(field.annotation)} | {default} | {description} |"


def _access() -> Iterator[str]:
    yield from ("# Who may do what", "", MADE, "")
    yield "What no role grants is refused. A person has the roles of their groups (`[login.groups]` of radloop.toml),"
    yield "or those of `radloop actor roles` where the site has no directory. A machine has none: its token has scopes,"
    yield "which are permissions. [Sign-on](sign-on.md) says how people come in."
    yield from ("", "| | " + " | ".join(f"`{role}`" for role in Role) + " |", "|---|" + ":-:|" * len(Role))
    for name, row in permission_table().items():
        yield f"| `{name}` | " + " | ".join("x" if may else "" for may in row.values()) + " |"
    for title, kind in (("Roles", Role), ("Permissions", Permission)):
        yield from ("", f"## {title}", "", "| | |", "|---|---|")
        yield from (f"| `{name}` | {text} |" for name, text in _members(kind))


def _members(kind: type[Enum]) -> Iterator[tuple[str, str]]:
    """The members of an enum with what stands below each."""
    body = cast("ast.ClassDef", ast.parse(inspect.getsource(kind)).body[0]).body
    for member, said in pairwise(body):
        if isinstance(member, ast.Assign) and isinstance(said, ast.Expr) and isinstance(said.value, ast.Constant):
            yield cast("ast.Name", member.targets[0]).id, _first(str(said.value.value))


def main() -> None:
    """Write the documents."""
    for name, text in documents().items():
        (DOCS / name).write_text(text, encoding="utf-8")
        say(f"docs/{name}")


if __name__ == "__main__":
    main()
