"""Which actions the code writes into the audit: found in the syntax tree, as a linter would, without running anything.

From each place that makes an `AuditEvent`, the expression of its action is followed: through constants and tables of
the module, both sides of an `if`, f-strings, enums, and through the parameters of functions into all their callers.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

ROOMS = ("radloop", "integrations", "models", "data_checks", "flows", "serving")
ROOT = Path(__file__).parents[3]
SINK = "AuditEvent"
POSITION = 2  # of `action` in the fields of AuditEvent
FROM_THE_LEDGER = {("radloop/ledger/lineage.py", "row.action")}
"""Records that are read again, not written."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    path: str
    tree: ast.Module

    @cached_property
    def constants(self) -> dict[str, ast.expr]:
        found: dict[str, ast.expr] = {}
        for node in self.tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                found[node.targets[0].id] = node.value
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
                found[node.target.id] = node.value
        return found

    @cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        return {node.name: node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef)}

    def class_of(self, function: Function) -> str | None:
        """The name of the class whose method this is."""
        return next((name for name, node in self.classes.items() if function in node.body), None)

    @cached_property
    def imported(self) -> set[str]:
        """Dotted names that are imported here."""
        found: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                found |= {f"{node.module}.{one.name}" for one in node.names} | {node.module}
        return found

    @cached_property
    def calls(self) -> dict[str, list[tuple[ast.Call, Function | None]]]:
        """Every call by the last name of what is called, with the innermost function that it stands in."""
        found: dict[str, list[tuple[ast.Call, Function | None]]] = {}
        for call, inside in _calls(self.tree, None):
            found.setdefault(_name(call.func), []).append((call, inside))
        return found


def _calls(node: ast.AST, inside: Function | None) -> Iterator[tuple[ast.Call, Function | None]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield child, inside
        yield from _calls(child, child if isinstance(child, Function) else inside)


Given = tuple[Module, Function | None, ast.expr]


@dataclass
class Search:
    modules: list[Module]
    unresolved: list[str] = field(default_factory=list)
    _seen: set[tuple[str, str, str]] = field(default_factory=set)

    def actions(self) -> dict[str, str]:
        """Each action, and a place that writes it."""
        found: dict[str, str] = {}
        for module in self.modules:
            for call, inside in module.calls.get(SINK, ()):
                if (given := _argument(call, "action", POSITION)) is not None:
                    for action in self._values(module, inside, given):
                        found.setdefault(action, f"{module.path}:{call.lineno}")
        return found

    def _values(self, module: Module, inside: Function | None, node: ast.expr) -> Iterator[str]:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.IfExp):
            yield from self._values(module, inside, node.body)
            yield from self._values(module, inside, node.orelse)
        elif isinstance(node, ast.JoinedStr):
            yield from self._joined(module, inside, node)
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            yield from self._table(module, node.value.id)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "lower":
            yield from self._members(module, inside, node.func.value)
        elif isinstance(node, ast.Name) and node.id in module.constants:
            yield from self._values(module, inside, module.constants[node.id])
        elif isinstance(node, ast.Name) and inside is not None:
            yield from self._name_in(module, inside, node)
        else:
            yield from self._give_up(module, node)

    def _joined(self, module: Module, inside: Function | None, node: ast.JoinedStr) -> Iterator[str]:
        texts = [""]
        for part in node.values:
            inner = part.value if isinstance(part, ast.FormattedValue) else part
            texts = [text + more for text in texts for more in self._values(module, inside, inner)]
        yield from texts

    def _table(self, module: Module, name: str) -> Iterator[str]:
        value = module.constants.get(name)
        inner = value.args[0] if isinstance(value, ast.Call) else value
        if not isinstance(inner, ast.Dict):
            self.unresolved.append(f"{module.path}: {name}")
            return
        for one in inner.values:
            yield from self._values(module, None, one)

    def _name_in(self, module: Module, inside: Function, node: ast.Name) -> Iterator[str]:
        """A local name: what is assigned to it in its function, or what the function's callers give."""
        assigned = [
            (target, one.value)
            for one in ast.walk(inside)
            if isinstance(one, ast.Assign)
            for target in one.targets
            if _binds(target, node.id)
        ]
        looped = [one for one in ast.walk(inside) if isinstance(one, ast.For) and _binds(one.target, node.id)]
        names = _parameters(inside)
        if assigned or looped:
            for target, value in [*assigned, *((one.target, one.iter) for one in looped)]:
                yield from self._bound(module, inside, node, target, value)
        elif node.id in names:
            yield from self._parameter(module, inside, node.id, names)
        else:
            yield from self._give_up(module, node)

    def _members(self, module: Module, inside: Function | None, node: ast.expr) -> Iterator[str]:
        """`choice.lower()`, where `choice` is a parameter of an enum's type: each of its members."""
        arguments = [*inside.args.args, *inside.args.kwonlyargs] if inside is not None else []
        types = [_name(one.annotation) for one in arguments if one.annotation and one.arg == _name(node)]
        enums = [one.classes[kind] for kind in types for one in self.modules if kind in one.classes]
        if not enums:
            yield from self._give_up(module, node)
        for member in (one for enum in enums for one in enum.body):
            if isinstance(member, ast.Assign) and isinstance(member.value, ast.Constant):
                yield str(member.value.value).lower()

    def _bound(
        self, module: Module, inside: Function, node: ast.Name, target: ast.expr, value: ast.expr
    ) -> Iterator[str]:
        if isinstance(target, ast.Name) and not isinstance(value, ast.Tuple | ast.List):
            yield from self._values(module, inside, value)
        elif isinstance(target, ast.Tuple):
            at = next(i for i, one in enumerate(target.elts) if isinstance(one, ast.Name) and one.id == node.id)
            for where, within, side in self._sides(module, inside, value):
                if isinstance(side, ast.Tuple):
                    yield from self._values(where, within, side.elts[at])
                else:
                    yield from self._give_up(where, side)
        else:
            yield from self._give_up(module, node)

    def _sides(self, module: Module, inside: Function, value: ast.expr) -> Iterator[Given]:
        """What a tuple may be: both sides of an `if`, or what callers give."""
        names = _parameters(inside)
        if isinstance(value, ast.IfExp):
            yield from ((module, inside, side) for side in (value.body, value.orelse))
        elif isinstance(value, ast.Name) and value.id in names:
            yield from self._given(module, inside, value.id, names)
        else:
            yield module, inside, value

    def _parameter(self, home: Module, function: Function, parameter: str, names: list[str]) -> Iterator[str]:
        if (home.path, function.name, parameter) in self._seen:
            return
        self._seen.add((home.path, function.name, parameter))
        annotation = {one.arg: one.annotation for one in (*function.args.args, *function.args.kwonlyargs)}[parameter]
        if isinstance(annotation, ast.Subscript) and _name(annotation.value) == "Literal":
            yield from (one.value for one in ast.walk(annotation) if isinstance(one, ast.Constant))  # type: ignore[misc]
            return
        for module, inside, value in self._given(home, function, parameter, names):
            yield from self._values(module, inside, value)
        default = _default(function, parameter)
        if default is not None:
            yield from self._values(home, None, default)

    def _given(self, home: Module, function: Function, parameter: str, names: list[str]) -> Iterator[Given]:
        """What callers give for a parameter."""
        owner = home.class_of(function)
        at = names.index(parameter) - (owner is not None)
        for module in [home] if function.name.startswith("_") else self.modules:
            for call, inside in module.calls.get(function.name, ()):
                given = _argument(call, parameter, at)
                if given is not None and _fits(call, function) and _means(module, call, home, owner):
                    yield module, inside, given

    def _give_up(self, module: Module, node: ast.expr) -> Iterator[str]:
        said = ast.unparse(node)
        if (module.path, said) not in FROM_THE_LEDGER:
            self.unresolved.append(f"{module.path}:{node.lineno}: {said}")
        return
        yield


def _means(module: Module, call: ast.Call, home: Module, owner: str | None) -> bool:
    """Whether a call of this name is one of the function of `home`, or of the method of its class `owner`."""
    dotted = home.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    known = module is home or any(one == dotted or one.startswith(dotted + ".") for one in module.imported)
    if owner is None:
        return known
    if not isinstance(call.func, ast.Attribute):
        return False
    receiver = _name(call.func.value)
    stranger = any(one.endswith(f".{receiver}") for one in module.imported)
    return not stranger and (known or receiver.lower() == owner.lower())


def _fits(call: ast.Call, function: Function) -> bool:
    """Whether the call gives all that the function asks for."""
    arguments = function.args
    asked = (
        len(arguments.args) - len(arguments.defaults) - (arguments.args[:1] != [] and arguments.args[0].arg == "self")
    )
    return len(call.args) + len(call.keywords) >= asked


def _parameters(function: Function) -> list[str]:
    arguments = function.args
    return [one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _binds(target: ast.expr, name: str) -> bool:
    if isinstance(target, ast.Tuple):
        return any(_binds(one, name) for one in target.elts)
    return isinstance(target, ast.Name) and target.id == name


def _argument(call: ast.Call, name: str, at: int) -> ast.expr | None:
    for one in call.keywords:
        if one.arg == name:
            return one.value
    return call.args[at] if len(call.args) > at else None


def _default(function: Function, parameter: str) -> ast.expr | None:
    ordered = [*function.args.posonlyargs, *function.args.args]
    defaults = dict(zip([one.arg for one in ordered][::-1], function.args.defaults[::-1], strict=False))
    keyword = zip((one.arg for one in function.args.kwonlyargs), function.args.kw_defaults, strict=True)
    return {**dict(keyword), **defaults}.get(parameter)


def search() -> Search:
    modules = [
        Module(path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8")))
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
    ]
    return Search(modules)
