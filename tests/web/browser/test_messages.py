"""Messages, case numbers and PINs made in the browser are those that Python makes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from hypothesis import example, given
from hypothesis import strategies as st
from playwright.sync_api import Browser, Error, Page

from disrupt.core.cases import AgeBand, new_case_number, parse_case_number, parse_pin
from disrupt.core.media import FINGERPRINT, MediaKind
from disrupt.core.registrations import MediaItem
from disrupt.errors import InvalidRequestError
from disrupt.submission import requests
from disrupt.v1 import registration_pb2, types_pb2
from tests.web.browser.site import Site

_MESSAGES: dict[str, Any] = {
    **{name: getattr(registration_pb2, name) for name in ("CaseAccess", "RegistrationContext")},
    **{name: getattr(registration_pb2, name) for name in ("MediaItem", "RegisterHashesRequest")},
    **{name: getattr(registration_pb2, name) for name in ("RegisteredItem", "RejectedItem")},
    **{name: getattr(registration_pb2, name) for name in ("Receipt", "RegisterHashesResponse")},
    **{name: getattr(registration_pb2, name) for name in ("CaseItem", "CaseErasure", "Case")},
    "WithdrawItemsRequest": registration_pb2.WithdrawItemsRequest,
    "Fingerprints": types_pb2.Fingerprints,
    "LowQuality": types_pb2.LowQuality,
    "Any": any_pb2.Any,
    "Duration": duration_pb2.Duration,
    "Status": status_pb2.Status,
    "ErrorInfo": error_details_pb2.ErrorInfo,
    "RetryInfo": error_details_pb2.RetryInfo,
}
_ALIKE = {
    "CaseRequest": ("GetCaseRequest", "WithdrawCaseRequest", "KeepCaseRequest"),
    "CaseResponse": (
        *("GetCaseResponse", "WithdrawItemsResponse"),
        *("WithdrawCaseResponse", "KeepCaseResponse"),
    ),
}
"""Tables of the page that stand for several messages."""

_TABLES = """async () => {
    const messages = await import('/messages/messages.js');
    const names = new Map(Object.entries(messages).map(([name, table]) => [table, name]));
    const described = (type) => typeof type === 'string' ? type : names.get(type);
    return Object.fromEntries(Object.entries(messages)
        .filter(([, table]) => typeof table === 'object' && !Object.isFrozen(table))
        .map(([name, table]) => [name, Object.fromEntries(Object.entries(table).map(
            ([field, { number, type, repeated }]) =>
                [field, [number, described(type), !!repeated]]))]));
}"""

_SCALARS = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_UINT32: "varint",
    FieldDescriptor.TYPE_ENUM: "varint",
    FieldDescriptor.TYPE_INT32: "varint",
    FieldDescriptor.TYPE_INT64: "varint",
}


@pytest.fixture(scope="module")
def modules(browser: Browser, site: Site) -> Iterator[Page]:
    """Return a page in which the page's modules can be imported."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(site.url)
    yield page
    context.close()


def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda found: found[1].upper(), name)


def test_the_tables_are_those_of_proto(modules: Page) -> None:
    tables = modules.evaluate(_TABLES)
    expected = {name: (kind,) for name, kind in _MESSAGES.items()} | {
        table: tuple(getattr(registration_pb2, name) for name in names)
        for table, names in _ALIKE.items()
    }
    assert set(tables) == set(expected)
    for name, kinds in expected.items():
        for kind in kinds:
            fields = {_camel(field.name): field for field in kind.DESCRIPTOR.fields}
            for field, (number, kind_name, repeated) in tables[name].items():
                described = fields[field]
                known = _SCALARS.get(described.type) or described.message_type.name
                assert (described.number, known) == (number, kind_name)
                assert described.is_repeated == repeated


_ROUND = """async ([name, hex]) => {
    const [{ decode, encode }, messages] =
        await Promise.all([import('/messages/protobuf.js'), import('/messages/messages.js')]);
    const bytes = Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
    const again = encode(messages[name], decode(messages[name], bytes));
    return Array.from(again, (byte) => byte.toString(16).padStart(2, '0')).join('');
}"""

_uint32 = st.integers(0, 2**32 - 1)
_ids = st.binary(min_size=16, max_size=16)
_items = st.builds(
    registration_pb2.CaseItem,
    item_id=_ids,
    kind=st.integers(0, 2),
    hashes=_uint32,
    age_band=st.integers(0, 2),
    outcomes=st.lists(st.integers(1, 2)),
    state=st.integers(0, 3),
)
_cases = st.builds(
    registration_pb2.Case,
    case_number=st.text(),
    status=st.integers(0, 4),
    opened_on=st.text(),
    closed_on=st.text(),
    items=st.lists(_items, max_size=3),
    erasure=st.none() | st.builds(registration_pb2.CaseErasure, requested_on=st.text()),
)
_receipts = st.builds(
    registration_pb2.Receipt,
    case_number=st.text(),
    status=st.integers(0, 4),
    items=st.lists(
        st.builds(registration_pb2.RegisteredItem, index=_uint32, item_id=_ids, hashes=_uint32)
    ),
    rejected=st.lists(
        st.builds(
            registration_pb2.RejectedItem,
            index=_uint32,
            low_quality=st.builds(types_pb2.LowQuality, quality=_uint32),
        )
    ),
)


@given(message=_cases)
def test_a_case_is_read_and_written_again_as_it_was(modules: Page, message: Message) -> None:
    body = message.SerializeToString(deterministic=True)
    assert modules.evaluate(_ROUND, ["Case", body.hex()]) == body.hex()


@given(message=_receipts)
def test_a_receipt_is_read_and_written_again_as_it_was(modules: Page, message: Message) -> None:
    body = message.SerializeToString(deterministic=True)
    assert modules.evaluate(_ROUND, ["Receipt", body.hex()]) == body.hex()


def test_fields_of_a_later_version_are_skipped(modules: Page) -> None:
    case = registration_pb2.Case(case_number="AVMJ-9P6W-WQA", closed_on="2026-11-28")
    body = case.SerializeToString()
    later = bytes.fromhex("f807ffffffffffffffffff01") + b"\xfa\x07\x03abc\xf9\x07" + bytes(8)
    later += b"\xfd\x07" + bytes(4)
    assert modules.evaluate(_ROUND, ["Case", (later + body).hex()]) == body.hex()


@pytest.mark.parametrize(
    "body",
    [b"\x0a\x05abc", b"\x0a\xff\xff\xff\xff\x0f", b"\x10" + b"\xff" * 12, b"\x0a\x01\xff", b"\x0b"],
    ids=["cut short", "too long", "endless number", "no UTF-8", "group"],
)
def test_bytes_that_are_no_message_are_refused(modules: Page, body: bytes) -> None:
    with pytest.raises(Error, match="RangeError"):
        modules.evaluate(_ROUND, ["Case", body.hex()])


_REGISTRATION = """async ([requestId, caseNumber, pin, ageBand, kind, rows]) => {
    const { encode } = await import('/messages/protobuf.js');
    const messages = await import('/messages/messages.js');
    const { newCaseNumber } = await import('/messages/cases.js');
    const id = Uint8Array.from(requestId);
    const fingerprints = rows.map(([hash, quality, profile, plan, ordinal, startMs, endMs]) =>
        ({ hash: Uint8Array.from(hash), quality, profile, plan, ordinal, startMs, endMs }));
    const body = encode(messages.RegisterHashesRequest, {
        context: {
            requestId: id,
            access: { caseNumber, pin },
            ageBand,
            newCaseNumber: caseNumber ? '' : await newCaseNumber(id),
        },
        items: [messages.mediaItem(kind, fingerprints)],
    });
    return Array.from(body);
}"""

_rows = st.lists(
    st.tuples(
        st.binary(min_size=32, max_size=32),
        st.integers(0, 100),
        st.integers(0, 2),
        st.integers(0, 65535),
        st.integers(0, 65535),
        _uint32,
        _uint32,
    ),
    min_size=1,
    max_size=6,
)


@given(
    request_id=_ids,
    number=st.sampled_from(["", "AVMJ-9P6W-WQA"]),
    age=st.sampled_from(AgeBand),
    kind=st.sampled_from(MediaKind),
    rows=_rows,
)
def test_a_registration_has_the_bytes_that_the_command_line_sends(
    modules: Page,
    request_id: bytes,
    number: str,
    age: AgeBand,
    kind: MediaKind,
    rows: list[tuple[Any, ...]],
) -> None:
    fingerprints = np.zeros(len(rows), FINGERPRINT)
    for row, (hash_bytes, *values) in zip(fingerprints, rows, strict=True):
        row["hash"] = np.frombuffer(hash_bytes, np.uint8)
        names = ("quality", "profile", "plan", "ordinal", "start_ms", "end_ms")
        for name, value in zip(names, values, strict=True):
            row[name] = value
    expected = requests.register(
        [MediaItem(kind, fingerprints)],
        request_id=request_id,
        opens=requests.access(number, "123456789012"),
        age=age,
    )
    listed = [[list(hash_bytes), *values] for hash_bytes, *values in rows]
    given_values = [list(request_id), number, "123456789012", age.value, kind.name, listed]
    body = bytes(modules.evaluate(_REGISTRATION, given_values))
    assert body == expected.SerializeToString(deterministic=True)


@given(request_id=_ids)
def test_a_case_number_follows_from_the_request_id_as_in_python(
    modules: Page, request_id: bytes
) -> None:
    derive = """async (id) =>
        (await import('/messages/cases.js')).newCaseNumber(Uint8Array.from(id))"""
    assert modules.evaluate(derive, list(request_id)) == new_case_number(request_id)


def _or_none(parse: Callable[[str], str], text: str) -> str | None:
    try:
        return parse(text)
    except InvalidRequestError:
        return None


@given(
    text=st.text()
    | st.builds(
        lambda spoiled, at, more: spoiled[:at] + more + spoiled[at:],
        st.sampled_from(["AVMJ-9P6W-WQA", "avmj 9p6w wqa", "1234 5678 9012"]),
        st.integers(0, 13),
        st.text(max_size=2),
    )
)
@example(text="AVMJ\u20119P6W\u2011WQA")
@example(text="\ufeffavmj9p6wwqa\u200b")
@example(text="\u013123456789012")
def test_what_is_typed_is_understood_as_in_python(modules: Page, text: str) -> None:
    parse = """async (text) => {
        const { parseCaseNumber, parsePin } = await import('/messages/cases.js');
        return [parseCaseNumber(text) ?? null, parsePin(text) ?? null];
    }"""
    expected = [_or_none(parse_case_number, text), _or_none(parse_pin, text)]
    assert modules.evaluate(parse, text) == expected


def test_pins_have_12_digits_each_as_likely_as_the_others(modules: Page) -> None:
    pins = modules.evaluate(
        """async () => {
            const { newPin } = await import('/messages/cases.js');
            return Array.from({ length: 2000 }, newPin);
        }"""
    )
    assert all(re.fullmatch("[0-9]{12}", pin) for pin in pins)
    assert len(set(pins)) == len(pins)
    counts = Counter("".join(pins))
    # 24 000 digits: the count of each is within 7 standard deviations of 2400.
    assert all(abs(counts[digit] - 2400) < 7 * 46.5 for digit in "0123456789")
