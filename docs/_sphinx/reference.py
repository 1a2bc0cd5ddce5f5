"""Write the pages of docs/reference/ from docstrings, options, settings and proto comments.

A page opens with what it is. What follows its line ``<!-- generated -->`` is replaced.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import annotated_types
import click
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
)
from grpc_tools import protoc
from pydantic.fields import FieldInfo
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer

import indexer.commands
from disrupt import cli, client
from disrupt.server.config import Config

_MARKER = "<!-- generated -->"
_HELP_COLUMNS = 90
_PROTO = Path(__file__).parents[2] / "proto"
_MESSAGES, _ENUMS, _SERVICES, _MEMBERS = 4, 5, 6, 2
"""Numbers of fields of descriptors, of which the paths in SourceCodeInfo are made."""


def sdk() -> str:
    """Return the reference of the public names of disrupt.client, and of the errors."""
    names = [f".. autoclass:: disrupt.client.{name}\n   :members:\n" for name in client.__all__]
    return "\n".join(
        [
            "```{eval-rst}",
            ".. automodule:: disrupt.client",
            "   :no-members:",
            "",
            *names,
            "```",
            "\n## Errors\n",
            "```{eval-rst}",
            ".. automodule:: disrupt.errors",
            "   :members:",
            "```",
        ]
    )


def commands() -> str:
    """Return what ``--help`` of each command prints."""
    programs = {"disrupt": cli.main, "disrupt-index": indexer.commands.main}
    return "\n\n".join(
        f"##{'#' * path.count(' ')} {path}\n\n```text\n{shown}\n```"
        for name, command in programs.items()
        for path, shown in _help(command, name, None)
    )


def _help(
    command: click.Command, name: str, parent: click.Context | None
) -> Iterator[tuple[str, str]]:
    """Yield the full name of a command and its help, then those of the commands below it."""
    context = click.Context(command, parent=parent, info_name=name, terminal_width=_HELP_COLUMNS)
    yield context.command_path, context.get_help()
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            if subcommand := command.get_command(context, below):
                yield from _help(subcommand, below, context)


def settings() -> str:
    """Return a table of the server's settings, from its configuration class."""
    described = ModuleAnalyzer.for_module(Config.__module__).find_attr_docs()
    rows = ["| setting | default | bounds | meaning |", "| --- | --- | --- | --- |"]
    for name, field in Config.model_fields.items():
        meaning = " ".join(described.get((Config.__name__, name), []))
        rows.append(f"| `{name}` | {_default(field)} | {_bounds(field)} | {_cell(meaning)} |")
    return "\n".join(rows)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    if field.default_factory:
        return "cores ÷ workers" if field.default_factory_takes_validated_data else "cores"
    return "none" if field.default is None else f"`{field.default}`"


def _bounds(field: FieldInfo) -> str:
    signs = {
        annotated_types.Ge: "≥ {0.ge}",
        annotated_types.Gt: "> {0.gt}",
        annotated_types.Le: "≤ {0.le}",
        annotated_types.Lt: "< {0.lt}",
    }
    return ", ".join(signs[type(bound)].format(bound) for bound in _metadata(field))


def _metadata(field: FieldInfo) -> Iterator[Any]:
    """Yield the bounds of a setting, those of ``Annotated[...] | None``, too."""
    yield from field.metadata
    for member in get_args(field.annotation):
        for inner in getattr(member, "__metadata__", ()):
            yield from inner.metadata


def api() -> str:
    """Return the reference of services, messages and enums, from the comments in proto/."""
    return "\n\n".join(_File(file).markdown() for file in _parsed())


def _parsed() -> list[FileDescriptorProto]:
    """Parse the files of proto/ with their comments."""
    paths = sorted(str(path.relative_to(_PROTO)) for path in _PROTO.rglob("*.proto"))
    with tempfile.NamedTemporaryFile() as file:
        options = ["--include_source_info", f"--descriptor_set_out={file.name}"]
        if protoc.main(["protoc", f"-I{_PROTO}", *options, *paths]) != 0:
            raise RuntimeError("protoc refused the files of proto/")
        return list(FileDescriptorSet.FromString(Path(file.name).read_bytes()).file)


class _File:
    """The Markdown of one proto file."""

    def __init__(self, file: FileDescriptorProto) -> None:
        self._file = file
        self._comments = {
            tuple(place.path): " ".join(place.leading_comments.split())
            for place in file.source_code_info.location
        }

    def markdown(self) -> str:
        parts = [f"## {self._file.name}"]
        for index, service in enumerate(self._file.service):
            parts += self._heading(service.name, _SERVICES, index)
            for number, method in enumerate(service.method):
                comment = self._comments.get((_SERVICES, index, _MEMBERS, number), "")
                parts += [f"#### {service.name}.{method.name}", comment, _signature(method)]
        for index, message in enumerate(self._file.message_type):
            parts += [*self._heading(message.name, _MESSAGES, index)]
            parts += self._fields(message, index)
        for index, enum in enumerate(self._file.enum_type):
            parts += [*self._heading(enum.name, _ENUMS, index), self._values(enum, index)]
        return "\n\n".join(part for part in parts if part)

    def _heading(self, name: str, kind: int, index: int) -> list[str]:
        target = f"({self._file.package}.{name})="
        return [f"{target}\n### {name}", self._comments.get((kind, index), "")]

    def _fields(self, message: DescriptorProto, index: int) -> list[str]:
        if not message.field:
            return ["No fields."]
        rows = ["| field | type | meaning |", "| --- | --- | --- |"]
        for number, field in enumerate(message.field):
            meaning = self._comments.get((_MESSAGES, index, _MEMBERS, number), "")
            if field.HasField("oneof_index") and not field.proto3_optional:
                meaning += f" One of `{message.oneof_decl[field.oneof_index].name}`."
            rows.append(f"| `{field.name}` = {field.number} | {_type(field)} | {_cell(meaning)} |")
        return ["\n".join(rows)]

    def _values(self, enum: EnumDescriptorProto, index: int) -> str:
        rows = ["| value | meaning |", "| --- | --- |"]
        for number, value in enumerate(enum.value):
            meaning = self._comments.get((_ENUMS, index, _MEMBERS, number), "")
            rows.append(f"| `{value.name}` = {value.number} | {_cell(meaning)} |")
        return "\n".join(rows)


def _cell(text: str) -> str:
    """Return a text as it can stand in a cell of a table."""
    return text.replace("|", "\\|").replace("``", "`").strip()


def _link(name: str) -> str:
    """Return a link to a message or enum of this project; other names as code."""
    full_name = name.removeprefix(".")
    short_name = full_name.rpartition(".")[2]
    return f"[{short_name}](#{full_name})" if full_name.startswith("disrupt.") else f"`{full_name}`"


def _signature(method: MethodDescriptorProto) -> str:
    sent = ("stream of " if method.client_streaming else "") + _link(method.input_type)
    answered = ("stream of " if method.server_streaming else "") + _link(method.output_type)
    return f"Takes {sent}; answers {answered}."


def _type(field: FieldDescriptorProto) -> str:
    name = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    shown = _link(field.type_name) if field.type_name else f"`{name}`"
    if field.label == FieldDescriptorProto.LABEL_REPEATED:
        return f"repeated {shown}"
    return f"optional {shown}" if field.proto3_optional else shown


_PAGES = {
    "reference/sdk": sdk,
    "reference/commands": commands,
    "reference/settings": settings,
    "reference/api": api,
}


def _write(_app: Sphinx, page: str, source: list[str]) -> None:
    if page in _PAGES:
        opening, _, _ = source[0].partition(_MARKER)
        source[0] = opening + _PAGES[page]() + "\n"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("source-read", _write)
    return {"parallel_read_safe": True}
