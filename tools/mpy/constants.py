"""A module's private whole numbers as const(...), for mpy-cross: it puts the number where the name was, and neither
name nor value stays on the board's heap. `_TIMEOUT = 10 * 1000` becomes `_TIMEOUT = const(10 * 1000)`, on the same
line: the crash log tells line numbers.
"""

import ast
from collections import Counter
from collections.abc import Iterable, Iterator

_WHOLE = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod, ast.LShift, ast.RShift, ast.BitOr, ast.BitAnd, ast.BitXor)


def asked_for(sources: Iterable[str]) -> set[str]:
    """Private names that any of these sources takes from another module, or has in a string: none may become const."""
    found: set[str] = set()
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
                found.add(node.value)
    return {name for name in found if _is_private(name)}


def fold(source: str, taken: set[str]) -> str:
    """The source with const(). taken: names that others ask for, and that stay as they are."""
    tree = ast.parse(source)
    bound = Counter(_bindings(tree))
    known: set[str] = set()
    lines = source.encode("utf-8").splitlines(keepends=True)
    for statement in tree.body:
        pairs = _pairs(statement)
        names = [name for name, _ in pairs]
        if not pairs or any(not _is_private(name) or bound[name] != 1 or name in taken for name in names):
            continue
        if all(_is_whole(value, known) for _, value in pairs):
            known.update(names)
            _replace(lines, statement, pairs)
    return b"".join(lines).decode("utf-8")


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _pairs(statement: ast.stmt) -> list[tuple[str, ast.expr]]:
    """(name, value) of `A = 1` and of `A, B = 1, 2` on one line; [] of everything else."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1 or statement.lineno != statement.end_lineno:
        return []
    target, value = statement.targets[0], statement.value
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        targets, values = target.elts, value.elts
    else:
        targets, values = [target], [value]
    return [(one.id, given) for one, given in zip(targets, values, strict=True) if isinstance(one, ast.Name)]


def _is_whole(value: ast.expr, known: set[str]) -> bool:
    """Whether mpy-cross can work it out: whole numbers, and names that are const already."""
    if isinstance(value, ast.Constant):
        return type(value.value) is int
    if isinstance(value, ast.Name):
        return value.id in known
    if isinstance(value, ast.UnaryOp):
        return isinstance(value.op, (ast.USub, ast.Invert)) and _is_whole(value.operand, known)
    if isinstance(value, ast.BinOp):
        return isinstance(value.op, _WHOLE) and _is_whole(value.left, known) and _is_whole(value.right, known)
    return False


def _bindings(tree: ast.AST) -> Iterator[str]:
    """Every name that anything in the file binds, once for each time: a second one would be another thing."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.alias):
            yield node.asname or node.name
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            yield from node.names
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name


def _replace(lines: list[bytes], statement: ast.stmt, pairs: list[tuple[str, ast.expr]]) -> None:
    """Columns of ast count bytes. What follows on the line, a comment, stays."""
    at = statement.lineno - 1
    line = lines[at]
    values = [line[value.col_offset : value.end_col_offset] for _, value in pairs]
    folded = [name.encode() + b" = const(" + text + b")" for (name, _), text in zip(pairs, values, strict=True)]
    lines[at] = line[: statement.col_offset] + b"; ".join(folded) + line[statement.end_col_offset :]
