"""Docs that cannot lie: every command, option, setting and folder is named where a reader would look for it."""

import dataclasses
import json
import re
from pathlib import Path

import click
import pytest

from backend.__main__ import main as backend
from backend.settings import Settings, variable
from tools.commands import tools

ROOT = Path(__file__).parents[1]


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def commands(group):
    context = click.Context(group)
    return [(name, group.get_command(context, name)) for name in group.list_commands(context)]


@pytest.mark.parametrize(("group", "readme"), [(backend, "backend/README.md"), (tools, "tools/README.md")])
def test_every_command_is_documented_and_says_what_it_does(group, readme):
    module = readme.split("/")[0]
    for name, command in commands(group):
        assert f"python -m {module} {name}" in read(readme), name
        assert command.help, name
        for parameter in command.params:
            assert isinstance(parameter, click.Argument) or getattr(parameter, "help", None), (name, parameter.name)


def test_no_readme_names_a_command_that_is_not_there():
    known = {("backend", name) for name, _ in commands(backend)} | {("tools", name) for name, _ in commands(tools)}
    for path in ROOT.rglob("README.md"):
        if not {"var", ".venv", "node_modules"} & set(path.relative_to(ROOT).parts):
            named = set(re.findall(r"python -m (backend|tools) ([a-z][a-z-]*)", path.read_text(encoding="utf-8")))
            assert named <= known, path


def test_every_setting_of_the_backend_is_documented_with_its_default():
    text = read("backend/README.md")
    for field in dataclasses.fields(Settings):
        default = f"`{field.default}`" if str(field.default) else "none"
        assert f"| `{variable(field.name)}` | {default} | {field.metadata['about']} |" in text


def test_every_folder_with_code_has_a_readme():
    for folder in ("firmware", "backend", "backend/api", "backend/web", "backend/run", "tools", "tests"):
        assert read(f"{folder}/README.md").strip(), folder


def test_every_link_of_a_readme_leads_somewhere():
    for path in ROOT.rglob("README.md"):
        if {"var", ".venv", "node_modules"} & set(path.relative_to(ROOT).parts):
            continue
        for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (path.parent / target).exists(), f"{path.relative_to(ROOT)}: {target}"


def test_the_golden_examples_are_named_in_their_readme():
    text = read("tests/wire/v1/README.md")
    for path in (ROOT / "tests/wire/v1").glob("*.json"):
        assert json.loads(path.read_text(encoding="utf-8"))["about"]
        assert f"`{path.name}`" in text
