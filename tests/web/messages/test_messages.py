"""The page's messages against Python's protobuf, and its case numbers against ours; in Node."""

from __future__ import annotations

import json
import random
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from disrupt.audit.entries import LeafId
from disrupt.core.cases import AgeBand, new_case_number, parse_case_number, parse_pin
from disrupt.core.media import FINGERPRINT, MediaKind
from disrupt.core.registrations import MediaItem
from disrupt.core.renewals import identity_of
from disrupt.errors import InvalidRequestError
from disrupt.submission import requests
from disrupt.v1 import registration_pb2, types_pb2
from tests.needs import needs

pytestmark = needs("node")

Ask = Callable[[str, Any], Any]

OTHERS = {"WithdrawResponse": registration_pb2.WithdrawItemsResponse, "Duration": Duration}
NUMBERS = (1, 127, 128, 300, 2**21, 2**32 - 1)
TEXTS = ("x", "dossier n° 1", "\N{ZERO WIDTH NO-BREAK SPACE}é€\N{GRINNING FACE}", "y" * 200)


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """Ask the page's modules in one process of Node."""
    script = Path(__file__).with_name("answering.js")
    with subprocess.Popen(
        ["node", "--no-warnings", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as node:

        def put(about: str, asked: Any) -> Any:
            assert node.stdin
            assert node.stdout
            node.stdin.write(json.dumps({"about": about, "asked": asked}) + "\n")
            node.stdin.flush()
            return json.loads(node.stdout.readline())

        yield put
        assert node.stdin
        node.stdin.close()
        assert node.wait() == 0


@pytest.fixture(scope="module")
def tables(ask: Ask) -> dict[str, Any]:
    answer: dict[str, Any] = ask("tables", None)
    return answer


def hexed(value: bytes) -> dict[str, str]:
    return {"hex": value.hex()}


def message_class(name: str) -> Any:
    for module in (registration_pb2, types_pb2, error_details_pb2):
        if hasattr(module, name):
            return getattr(module, name)
    return OTHERS[name]


def is_enumeration(table: Any) -> bool:
    return isinstance(table, list)


def test_tables_have_numbers_and_types_of_proto(tables: dict[str, Any]) -> None:
    scalars = {"string": {9}, "bytes": {12}, "number": {3, 5, 13, 14}}  # of FieldDescriptor.type
    for name, table in tables.items():
        if is_enumeration(table):
            words = name.title().replace("_", "")
            values = getattr(registration_pb2, words, None) or getattr(types_pb2, words)
            assert [f"{name}_{value}" for value in table] == values.keys(), name
            continue
        descriptor: Descriptor = message_class(name).DESCRIPTOR
        fields = {field.camelcase_name: field for field in descriptor.fields}
        assert [number for number, *_ in table.values()] == sorted(n for n, *_ in table.values())
        for field_name, (number, kind, repeated) in table.items():
            field = fields[field_name]
            assert (field.number, field.is_repeated) == (number, repeated), f"{name}.{field_name}"
            if kind in scalars:
                assert field.type in scalars[kind]
            elif is_enumeration(tables.get(kind)) or isinstance(kind, list):
                assert field.enum_type is not None
            else:
                assert field.message_type
                assert field.message_type.name == message_class(kind).DESCRIPTOR.name


def drawn(name: str, tables: dict[str, Any], draw: random.Random) -> tuple[Message, dict[str, Any]]:
    """Draw a message of a table, as protobuf's and as JavaScript's, with absent fields too."""
    message, mirrored = message_class(name)(), {}
    descriptors = {field.camelcase_name: field for field in message.DESCRIPTOR.fields}
    for field_name, (_, kind, repeated) in tables[name].items():
        descriptor: FieldDescriptor = descriptors[field_name]
        values = []
        for _ in range(draw.choice((0, 1, 3)) if repeated else draw.choice((0, 1))):
            value: Any
            mirror: Any
            if kind in {"string", "bytes"}:
                value = (
                    draw.choice(TEXTS)
                    if kind == "string"
                    else draw.randbytes(draw.choice((1, 200)))
                )
                mirror = value if isinstance(value, str) else hexed(value)
            elif kind == "number":
                value = mirror = draw.choice(NUMBERS) % (
                    2**31 if descriptor.type in {5, 14} else 2**33
                )
            elif is_enumeration(tables[kind]):
                value = draw.randrange(1, len(tables[kind]))
                mirror = tables[kind][value]
            else:
                value, mirror = drawn(kind, tables, draw)
            if isinstance(value, Message):
                target = getattr(message, descriptor.name)
                (target.add() if repeated else target).CopyFrom(value)
                if not repeated:
                    target.SetInParent()
            elif repeated:
                getattr(message, descriptor.name).append(value)
            else:
                setattr(message, descriptor.name, value)
            values.append(mirror)
        if repeated or values:
            mirrored[field_name] = values if repeated else values[0]
    return message, mirrored


def test_random_messages_are_those_of_pythons_protobuf(ask: Ask, tables: dict[str, Any]) -> None:
    draw = random.Random(1)
    names = [name for name, table in tables.items() if not is_enumeration(table)]
    for name in names * 20:
        message, mirrored = drawn(name, tables, draw)
        body = message.SerializeToString(deterministic=True)
        assert ask("encode", [name, mirrored]) == hexed(body), (name, message)
        decoded = ask("decode", [name, hexed(body)])
        assert ask("encode", [name, decoded]) == hexed(body)
        present = {field: value for field, value in decoded.items() if field in mirrored}
        assert without_defaults(present) == without_defaults(mirrored)


def without_defaults(value: Any) -> Any:
    """Drop defaults, which a decoded message has and a drawn one may lack."""
    if isinstance(value, list):
        return [without_defaults(each) for each in value]
    if not isinstance(value, dict) or "hex" in value:
        return value
    kept = {name: without_defaults(each) for name, each in value.items()}
    return {
        name: each
        for name, each in kept.items()
        if each not in (0, "", [], {"hex": ""}, "UNSPECIFIED")
    }


def test_unknown_fields_and_values_are_skipped_and_damage_is_refused(ask: Ask) -> None:
    case = registration_pb2.Case(
        case_number="N", status=registration_pb2.CASE_STATUS_REJECTED, withdrawn_numbers=[1, 300]
    )
    body = case.SerializeToString()
    # Varint of ten bytes, fixed64, bytes and fixed32 of fields that no table has; a later status.
    later = (
        b"\xf8\x07" + b"\xff" * 9 + b"\x01\xf1\x07" + bytes(8) + b"\xfa\x07\x01a\xf5\x07" + bytes(4)
    )
    decoded = ask("decode", ["Case", hexed(body + later + b"\x10\x63")])
    assert decoded == ask("decode", ["Case", hexed(body)]) | {"status": "UNSPECIFIED"}
    unpacked = b"\x30\x01\x30\xac\x02"
    assert ask("decode", ["Case", hexed(unpacked)])["withdrawnNumbers"] == [1, 300]
    for damaged in (body[:-1], b"\x0a\xff\x01", b"\x0b", b"\x0a\x01\xff", b"\x30" + b"\xff" * 11):
        assert ask("decode", ["Case", hexed(damaged)]) == "RangeError"


def drawn_media(draw: random.Random, kind: MediaKind) -> tuple[MediaItem, dict[str, Any]]:
    """Draw a picture or video, as the server's and as the worker's."""
    count = draw.choice((1, 3, 40))
    array = np.zeros(count, FINGERPRINT)
    array["hash"] = np.frombuffer(draw.randbytes(32 * count), np.uint8).reshape(count, 32)
    array["quality"] = [draw.choice((20, 49, 50, 100)) for _ in range(count)]
    array["profile"] = draw.choice(([1] * count, [1 + at % 2 for at in range(count)]))
    if draw.random() < 0.7:
        array["plan"] = [draw.choice((0, 0, 2)) for _ in range(count)]
        array["ordinal"] = [draw.randrange(0, 400) for _ in range(count)]
    if kind == MediaKind.VIDEO:
        array["start_ms"] = np.arange(count) * 1000
        array["end_ms"] = np.arange(count) * 1000 + 999
    array[draw.randrange(count)] = array[0]  # the same row twice
    media: dict[str, Any] = {
        "kind": "video" if kind == MediaKind.VIDEO else "picture",
        "hashes": hexed(array["hash"].tobytes()),
        "qualities": hexed(array["quality"].tobytes()),
        "profiles": array["profile"].tolist(),
        "plans": array["plan"].tolist(),
        "ordinals": array["ordinal"].tolist(),
    }
    if kind == MediaKind.VIDEO:
        media |= {"startMs": array["start_ms"].tolist(), "endMs": array["end_ms"].tolist()}
    return MediaItem(kind, array), media


def test_media_are_sent_as_the_command_line_sends_them(ask: Ask) -> None:
    draw = random.Random(2)
    access = requests.access("", "0" * 12)
    for kind in [MediaKind.IMAGE, MediaKind.VIDEO] * 10:
        item, media = drawn_media(draw, kind)
        request = requests.register([item], request_id=bytes(16), opens=access, age=AgeBand.UNSURE)
        assert ask("mediaItem", media) == hexed(request.items[0].SerializeToString())
        stored = item.fingerprints[item.fingerprints["quality"] >= 50]
        assert ask("identity", media) == hexed(identity_of(kind, stored))


def test_case_numbers_and_pins_are_those_of_the_command_line(ask: Ask) -> None:
    draw = random.Random(3)
    for _ in range(50):
        request_id = draw.randbytes(16)
        number = new_case_number(request_id)
        assert ask("newCaseNumber", hexed(request_id)) == number
        typed = list(
            number.lower().replace("-", draw.choice(["-", "", " ", "\N{EN DASH}", "\u200b"]))
        )
        if draw.random() < 0.5:
            typed[draw.randrange(len(typed))] = draw.choice("0A2 -é")
        check(ask, "parseCaseNumber", parse_case_number, "".join(typed))
    for pin in (
        "0123 4567-8901",
        "\N{LEFT-TO-RIGHT MARK}012345678901\x1f\x85",
        "1" * 11,
        "1" * 13,
        "\N{ARABIC-INDIC DIGIT ZERO}" * 12,
        "",
    ):
        check(ask, "parsePin", parse_pin, pin)
    pins = ask("newPins", 300)
    assert all(re.fullmatch(r"[0-9]{12}", pin) for pin in pins)
    assert len(set(pins)) == len(pins)
    assert {pin[0] for pin in pins} == {pin[-1] for pin in pins} == set("0123456789")


def test_the_code_of_a_receipt_is_that_of_the_server_however_it_is_typed(ask: Ask) -> None:
    draw = random.Random(4)
    for number in (0, 9, 10, 10**8, 10**18 - 1, *(draw.randrange(10**7) for _ in range(20))):
        code = str(LeafId(number, draw.randbytes(32)))
        shown: str = ask("groupedReceiptCode", code)
        assert max(map(len, shown.split(" "))) <= len(f"{number}-") + 8
        assert str(LeafId.parse(shown)) == code
        dash = draw.choice(["-", " - ", "\N{NON-BREAKING HYPHEN}"])
        assert ask("parseReceiptCode", f"\u200b{shown.upper().replace('-', dash)}\n") == code
        for damaged in (code[:-1], f"0{code}", code[:-1] + "g", f"-{code[-64:]}", ""):
            assert ask("parseReceiptCode", damaged) is None, damaged


def check(ask: Ask, name: str, parse: Callable[[str], str], text: str) -> None:
    expected: str | None
    try:
        expected = parse(text)
    except InvalidRequestError:
        expected = None
    assert ask(name, text) == expected, repr(text)
