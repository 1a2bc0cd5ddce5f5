"""Write the pages of docs/reference/ from where each thing is defined.

A page opens with what it is. What follows its line ``<!-- generated -->`` is replaced, by a link
where the text names a page as ``docs/PAGE.md``. With --check compare only; the exit code is 1 if a
page is stale. The site alone has the reference of the API: proto/ is as readable.

    ./scripts/reference --check
"""

from __future__ import annotations

import inspect
import re
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from enum import EnumType
from pathlib import Path

import annotated_types
import click
import yaml
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

import disrupt.errors
import indexer.commands
from disrupt import cli, client
from disrupt.client.retries import RETRYABLE
from disrupt.errors import DisruptError
from disrupt.server.config import Config
from disrupt.server.metrics.families import FAMILIES, Counter, Gauge

ROOT = Path(__file__).parents[2]
_REFERENCE = ROOT / "docs/reference"
_MARKER = "<!-- generated -->"
_PAGE = re.compile(r"(?<!/)docs/(reference/)?([\w-]+(?:\.fr)?)\.md(#[\w-]+)?")
_HELP_COLUMNS = 90
_PROTO = ROOT / "proto"
_MESSAGES, _ENUMS, _SERVICES, _MEMBERS = 4, 5, 6, 2
"""Numbers of fields of descriptors, of which the paths in SourceCodeInfo are made."""


def sdk() -> str:
    """Return signatures and docstrings of the public names of disrupt.client."""
    names = (_described(name, getattr(client, name)) for name in client.__all__)
    return "\n\n".join([_markdown(client), *names])


def _described(name: str, value: object) -> str:
    """Return the section of a class, with its public methods, or of a function."""
    parts = [f"## {name}"]
    if not callable(value):
        return "\n\n".join([*parts, _markdown(value)])
    if isinstance(value, EnumType):
        members = ", ".join(f"`{member}`" for member in value.__members__)
        return "\n\n".join([*parts, _markdown(value), f"One of {members}."])
    parts += [f"```python\n{_declared(name, value)}\n```", _markdown(value)]
    for member, defined in vars(value).items() if isinstance(value, type) else ():
        function = inspect.unwrap(getattr(defined, "fget", defined))
        if inspect.isfunction(function) and not member.startswith("_") and function.__doc__:
            parts += [f"### {name}.{member}", _markdown(function)]
            if not isinstance(defined, property):
                parts.insert(-1, f"```python\n{_declared(member, function)}\n```")
    return "\n\n".join(parts)


def _declared(name: str, value: Callable[..., object]) -> str:
    """Return name and signature, a line for each argument."""
    signature = inspect.signature(value)
    arguments = str(signature.replace(return_annotation=signature.empty))[1:-1]
    separated = re.split(r", (?=\*|/|\w+:|\w+,|\w+$|self)", arguments)
    lines = "".join(f"    {argument},\n" for argument in separated if argument != "self")
    returned = f" -> {signature.return_annotation}" if "->" in str(signature) else ""
    opening = "\n" if lines else ""
    declared = f"{name}({opening}{lines}){returned}".replace("'", "").replace(" -> None", "")
    return re.sub(r"<(\w+\.\w+): \d+>", r"\1", re.sub(r"<function .*? at .*?>", "...", declared))


def _markdown(documented: object) -> str:
    """Return a docstring as Markdown."""
    return (inspect.getdoc(documented) or "").replace("``", "`").replace("::\n", ":\n")


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
    return "none" if field.default in {None, ()} else f"`{field.default}`"


def _bounds(field: FieldInfo) -> str:
    signs = {
        annotated_types.Ge: "≥ {0.ge}",
        annotated_types.Gt: "> {0.gt}",
        annotated_types.Le: "≤ {0.le}",
        annotated_types.Lt: "< {0.lt}",
    }
    return ", ".join(
        signs[type(bound)].format(bound) for bound in field.metadata if type(bound) in signs
    )


def errors() -> str:
    """Return a table of the reasons for errors, from the classes of disrupt.errors."""
    rows = [
        "| reason | status | class | tried again | meaning |",
        "| --- | --- | --- | --- | --- |",
    ]
    classes = [
        value
        for value in vars(disrupt.errors).values()
        if isinstance(value, type) and issubclass(value, DisruptError)
    ]
    for class_ in sorted(classes, key=lambda class_: class_.reason):
        cells = (
            f"`{class_.reason}`",
            f"`{class_.status}`",
            f"`{class_.__name__}`",
            "yes" if issubclass(class_, RETRYABLE) else "no",
            _cell(" ".join(_markdown(class_).split())),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def metrics() -> str:
    """Return a table of the metrics, from their definitions."""
    rows = ["| metric | kind | labels | what it is |", "| --- | --- | --- | --- |"]
    for name, family in FAMILIES.items():
        labels = list(family.labels)
        if isinstance(family, Gauge) and family.of_each_process:
            labels.insert(0, "process")
        cells = (
            f"`{name}{'_total' if isinstance(family, Counter) else ''}`",
            type(family).__name__.lower(),
            ", ".join(f"`{label}`" for label in labels),
            _cell(family.description),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def alerts() -> str:
    """Return a table of the alerts of each severity, from the rules of Prometheus."""
    (group,) = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text("utf-8"))["groups"]
    tables = []
    for severity, heading in (("page", "Look now"), ("ticket", "Look today")):
        rows = [
            f"## {heading}\n",
            "| alert | meaning | where the cause shows | what to do |",
            "| --- | --- | --- | --- |",
        ]
        for rule in group["rules"]:
            if rule["labels"]["severity"] == severity:
                said = (_cell(rule["annotations"][key]) for key in ("meaning", "cause", "remedy"))
                rows.append(f"| {rule['alert']} | {' | '.join(said)} |")
        tables.append("\n".join(rows))
    return "\n\n".join(tables)


def log_events() -> str:
    """Return a table of the events that are logged as warnings or errors."""
    rows = ["| event | meaning | what to do |", "| --- | --- | --- |"]
    events = tomllib.loads((ROOT / "disrupt/log_events.toml").read_text("utf-8"))["event"]
    for event in sorted(events, key=lambda event: event["names"]):
        names = ", ".join(f"`{name}`" for name in event["names"])
        rows.append(f"| {names} | {_cell(event['meaning'])} | {_cell(event['remedy'])} |")
    return "\n".join(rows)


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
    return " ".join(text.replace("|", "\\|").replace("``", "`").split())


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


PAGES: dict[str, Callable[[], str]] = {
    "alerts": alerts,
    "commands": commands,
    "errors": errors,
    "log-events": log_events,
    "metrics": metrics,
    "sdk": sdk,
    "settings": settings,
}


def filled(opening: str, generated: str) -> str:
    """Return a page: its opening up to the marker, and what is generated, with links to pages."""
    parts = re.split(r"(^```.*?^```$)", generated, flags=re.MULTILINE | re.DOTALL)
    parts[::2] = [_PAGE.sub(_link_to_page, part) for part in parts[::2]]
    return f"{opening.partition(_MARKER)[0]}{_MARKER}\n\n{''.join(parts)}\n"


def _link_to_page(named: re.Match[str]) -> str:
    folder, page, anchor = named.groups("")
    return f"[{page}]({'' if folder else '../'}{page}.md{anchor})"


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail where a page is stale.")
def main(*, check: bool) -> None:
    """Write the generated pages of docs/reference/."""
    stale = []
    for name, generate in PAGES.items():
        path = _REFERENCE / f"{name}.md"
        before = path.read_text("utf-8")
        after = filled(before, generate())
        if after != before:
            stale.append(path.name)
            if not check:
                path.write_text(after, "utf-8")
    if check and stale:
        sys.exit(f"Stale, run scripts/reference: {', '.join(stale)}")


def _write(_app: Sphinx, page: str, source: list[str]) -> None:
    if page == "reference/api":
        source[0] = source[0].partition(_MARKER)[0] + api() + "\n"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("source-read", _write)
    return {"parallel_read_safe": True}


if __name__ == "__main__":
    main()
