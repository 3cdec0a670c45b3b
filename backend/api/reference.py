"""The API's description as GET /api/docs shows it: sections of operations, and the shapes that they speak of. Pure."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from .shapes import Json

METHODS = ("get", "post", "put", "patch", "delete")
EXAMPLES = {"name": "fridge-1", "stream": "9f3a1c02"}  # of path parameters; the others are numbers
REF = "#/components/schemas/"


@dataclass(frozen=True)
class Field:
    """kind: its type in words. shape: name of the shape that the type is, or a list of; "" for none."""

    name: str
    kind: str
    shape: str
    required: bool
    about: str


@dataclass(frozen=True)
class Answer:
    status: str
    about: str
    media: tuple[str, ...]
    shape: str


@dataclass(frozen=True)
class Operation:
    """example: a command for a shell. takes: media types of the body; body: its shape, or ""."""

    id: str
    method: str
    path: str
    summary: str
    about: str
    parameters: tuple[Field, ...]
    takes: tuple[str, ...]
    body: str
    answers: tuple[Answer, ...]
    refusals: tuple[Answer, ...]
    example: str


@dataclass(frozen=True)
class Section:
    name: str
    operations: tuple[Operation, ...]


@dataclass(frozen=True)
class Shape:
    name: str
    fields: tuple[Field, ...]


def sections(document: Json, server: str) -> list[Section]:
    """The operations by their tag, in the order of the tags. server: what an example's addresses begin with."""
    found: dict[str, list[Operation]] = {tag["name"]: [] for tag in document["tags"]}
    for path, operations in sorted(document["paths"].items()):
        for method in METHODS:
            if method in operations:
                operation = operations[method]
                found[operation["tags"][0]].append(_operation(method, path, operation, server))
    return [Section(name, tuple(operations)) for name, operations in found.items() if operations]


def shapes(document: Json) -> list[Shape]:
    return [Shape(name, tuple(_fields(schema))) for name, schema in sorted(document["components"]["schemas"].items())]


def _operation(method: str, path: str, operation: Json, server: str) -> Operation:
    content = operation.get("requestBody", {}).get("content", {})
    answers = [_answer(status, answer) for status, answer in sorted(operation["responses"].items())]
    return Operation(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation.get("summary", ""),
        about=operation.get("description", ""),
        parameters=tuple(map(_parameter, operation["parameters"])),
        takes=tuple(content),
        body=_shape_in(content),
        answers=tuple(answer for answer in answers if answer.status < "4"),
        refusals=tuple(answer for answer in answers if answer.status >= "4"),
        example=_example(method, path, operation, server),
    )


def _parameter(parameter: Json) -> Field:
    schema = parameter["schema"]
    about = parameter.get("description") or schema.get("description", "")
    return Field(parameter["name"], f"{parameter['in']}, {kind(schema)}", "", parameter.get("required", False), about)


def _answer(status: str, answer: Json) -> Answer:
    content = answer.get("content", {})
    return Answer(status, answer["description"], tuple(content), _shape_in(content))


def _fields(schema: Json) -> Iterator[Field]:
    required = schema.get("required", ())
    for name, one in schema.get("properties", {}).items():
        yield Field(name, kind(one), _shape(one), name in required, one.get("description", ""))


def _shape_in(content: Json) -> str:
    """content: media type → its schema; they are of one shape."""
    return next((_shape(media["schema"]) for media in content.values() if "schema" in media), "")


def _shape(schema: Json) -> str:
    """Name of the shape that this is, or a list of, or else nothing of."""
    choices = [schema, schema.get("items", {}), *schema.get("anyOf", ()), *schema.get("oneOf", ())]
    return next((choice["$ref"].removeprefix(REF) for choice in choices if "$ref" in choice), "")


def kind(schema: Json) -> str:
    """A schema's type in words: "integer from 1 to 500", "list of string", "high, low or silent"."""
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(REF)
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return " or ".join(map(kind, choices))
    if "enum" in schema:
        return _one_of(["null" if value is None else str(value) for value in schema["enum"]])
    names = schema.get("type", "anything")
    names = [names] if isinstance(names, str) else names
    return _one_of([_list_of(schema) if name == "array" else f"{name}{_bounds(schema)}" for name in names])


def _list_of(schema: Json) -> str:
    return f"list of {kind(schema.get('items', {}))}"


def _bounds(schema: Json) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    text = (f" from {low:g}" if low is not None else "") + (f" to {high:g}" if high is not None else "")
    # A bound that only keeps a number within a database's integers would tell nobody anything.
    return text if max(abs(low or 0), abs(high or 0)) < 1e12 else ""


def _one_of(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _example(method: str, path: str, operation: Json, server: str) -> str:
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", EXAMPLES.get(parameter["name"], "1"))
    words = ["curl"] if method == "get" else ["curl", "-X", method.upper()]
    if operation["security"]:
        words += ["-H", '"Authorization: Bearer $KEY"']
    if any(parameter["name"] == "If-Match" for parameter in operation["parameters"]):
        words += ["-H", "'If-Match: \"...\"'"]
    content = operation.get("requestBody", {}).get("content", {})
    if content:
        words += ["-H", f"'Content-Type: {next(iter(content))}'", "-d", "@body"]
    return " ".join([*words, shlex.quote(server + path)])
