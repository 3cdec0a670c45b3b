"""Shorter names for a board: each name that a module brings takes a place in MicroPython's pool of names and its text,
for ever, also when the module was let go. Lines stay lines: the crash log tells their numbers.

- Private names (`_window`) become `_a`, `_b`, ... The same few serve all modules; only a family, modules whose classes
  inherit from each other, shares what they mean.
- Parameters that no call names become `a`, `b`, ... in each function.
- Strings stay. Who looks a private name up by its text, asks a stranger for one, or writes an f-string is refused.
"""

import ast
import io
import itertools
import string
import tokenize
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

import click

Place = tuple[int, int]  # line, column in characters


def shorten(sources: Mapping[str, str], others: Mapping[str, str]) -> dict[str, str]:
    """The sources {"thermograph/node.py": text} with shorter names. others: what stays as it is, and may call them."""
    trees = {name: ast.parse(text) for name, text in sources.items()}
    for name, tree in trees.items():
        _refuse_lookups(name, tree)
    named = {word.arg for tree in [*trees.values(), *map(ast.parse, others.values())] for word in _keywords(tree)}
    private = _private_names(sources, trees)
    return {name: _rewrite(text, private[name], _parameters(trees[name], named)) for name, text in sources.items()}


def _keywords(tree: ast.AST) -> Iterator[ast.keyword]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.keyword))


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != "_"


def _refuse_lookups(name: str, tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("_"):
            text = node.value
            if text.isidentifier() and not text.startswith("__"):
                raise click.ClickException(f"{name}:{node.lineno}: {text!r} looks up a private name by its text.")
        elif isinstance(node, ast.JoinedStr):
            raise click.ClickException(f"{name}:{node.lineno}: an f-string; Python 3.11 shows no names in it: use %.")


# -- private names


def _private_names(sources: Mapping[str, str], trees: Mapping[str, ast.Module]) -> dict[str, dict[str, str]]:
    """{file: {private name: short one}}, the same in all files of one family."""
    families = _families(trees)
    _refuse_strangers(trees, families)
    counts: dict[str, Counter[str]] = {}
    modules = {alias.name for tree in trees.values() for alias in _imported_modules(tree)}
    for name, text in sources.items():
        count = counts.setdefault(families[name], Counter())
        count.update(token for token, _ in _names(text) if _is_private(token) and token not in modules)
    short: dict[str, dict[str, str]] = {}
    for family, count in counts.items():
        ordered = sorted(count, key=lambda one, count=count: (-count[one], one))  # type: ignore[misc]
        short[family] = dict(zip(ordered, _short_names(), strict=False))
    return {name: short[families[name]] for name in sources}


def _refuse_strangers(trees: Mapping[str, ast.Module], families: Mapping[str, str]) -> None:
    bound = {(families[name], one) for name, tree in trees.items() for one in _bound_attributes(tree)}
    for name, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and _is_private(node.attr) and (families[name], node.attr) not in bound:
                raise click.ClickException(f"{name}:{node.lineno}: {node.attr} is private to another module.")


def _asked_attributes(tree: ast.Module) -> Iterator[str]:
    """Private ones, of what is handed to a function: not of self, nor of a class."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _is_private(node.attr) and isinstance(node.value, ast.Name):
            yield from [] if node.value.id == "self" or node.value.id[0].isupper() else [node.attr]


def _bound_attributes(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.ClassDef):
            yield from (one.id for one in ast.walk(node) if isinstance(one, ast.Name))


def _imported_modules(tree: ast.Module) -> Iterator[ast.alias]:
    return (alias for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names)


def _families(trees: Mapping[str, ast.Module]) -> dict[str, str]:
    """{file: one of its family}: a family are files that inherit from each other, or take private names; and a file
    that knows the private names of what it is handed belongs to who imports it."""
    head = {name: name for name in trees}
    halves = {name for name, tree in trees.items() if set(_asked_attributes(tree)) - set(_bound_attributes(tree))}

    def find(name: str) -> str:
        while head[name] != name:
            name = head[name]
        return name

    for name, tree in trees.items():
        bases = {base.id for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
                 for base in node.bases if isinstance(base, ast.Name)}  # fmt: skip
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom):
                continue
            source = _file_of(name, node)
            related = any((alias.asname or alias.name) in bases or _is_private(alias.name) for alias in node.names)
            if source in head and (related or source in halves):
                head[find(name)] = find(source)
    return {name: find(name) for name in trees}


def _file_of(name: str, node: ast.ImportFrom) -> str:
    """thermograph/boards/radio.py, `from ..sntp import Sntp` -> thermograph/sntp.py"""
    steps = list(PurePosixPath(name).parts[: -node.level]) if node.level else []
    return "/".join(steps + (node.module or "").split(".")) + ".py"


def _short_names() -> Iterator[str]:
    """_a ... _z, _A ... _Z, _aa, ..."""
    for size in itertools.count(1):
        for letters in itertools.product(string.ascii_letters, repeat=size):
            yield "_" + "".join(letters)


# -- parameters


def _parameters(tree: ast.Module, named: set[str | None]) -> dict[Place, str]:
    """{place: new name} of each use of a parameter that may be renamed. In one outermost function, with all that lies
    in it, a name becomes one other name: so what hides what stays as it is."""
    places: dict[Place, str] = {}
    for function in _outermost(tree):
        nodes = list(ast.walk(function))
        args = {node.arg for node in nodes if isinstance(node, ast.arg)} - named - {"self"}
        used = {node.id for node in nodes if isinstance(node, ast.Name)} | {"self"}
        args -= {word for node in nodes for word in _bound_by_text(node)}
        free = (letter for letter in string.ascii_letters if letter not in used | _all_args(nodes))
        new = {arg: next(free) for arg in sorted(args) if len(arg) > 1}
        for node in nodes:
            if isinstance(node, ast.arg) and node.arg in new:
                places[node.lineno, node.col_offset] = new[node.arg]
            elif isinstance(node, ast.Name) and node.id in new:
                places[node.lineno, node.col_offset] = new[node.id]
    return places


def _all_args(nodes: list[ast.AST]) -> set[str]:
    return {node.arg for node in nodes if isinstance(node, ast.arg)}


def _outermost(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.Lambda):
            yield child
        else:
            yield from _outermost(child)


def _bound_by_text(node: ast.AST) -> Iterator[str]:
    """Names that a node binds without an ast.Name of their own."""
    if isinstance(node, ast.ExceptHandler) and node.name:
        yield node.name
    elif isinstance(node, ast.Global | ast.Nonlocal):
        yield from node.names
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name for alias in node.names)
    elif isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name


# -- text


def _names(text: str) -> Iterator[tuple[str, Place]]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME:
            yield token.string, token.start


def _rewrite(text: str, private: Mapping[str, str], parameters: Mapping[Place, str]) -> str:
    lines = text.splitlines(keepends=True)
    for word, (line, column) in reversed(list(_names(text))):
        old = lines[line - 1]
        in_bytes = len(old[:column].encode("utf-8"))  # as ast counts
        new = parameters.get((line, in_bytes)) or private.get(word)
        if new is not None:
            lines[line - 1] = old[:column] + new + old[column + len(word) :]
    return "".join(lines)
