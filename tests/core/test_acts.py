"""A chain of acts shows every change in it, but not that its newest acts are missing."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from disrupt.core.acts import FIRST_DIGEST, Act, Action, ActRecord, Verification, digest, recorded

SUBJECTS = st.dictionaries(
    st.text(max_size=4),
    st.integers() | st.text(max_size=4) | st.lists(st.text(max_size=4), max_size=2),
    max_size=2,
)
ACTS = st.builds(Act, st.text(max_size=4), st.sampled_from(Action), st.integers(0), SUBJECTS)


def chain(acts: list[Act]) -> list[ActRecord]:
    records = list[ActRecord]()
    for act in acts:
        records.append(recorded(act, records[-1] if records else None))
    return records


def verified(records: list[ActRecord], page: int = 100) -> Verification:
    verification = Verification()
    for at in range(0, len(records), page):
        verification.read(records[at : at + page])
    return verification


@given(acts=st.lists(ACTS, max_size=6), page=st.integers(1, 7))
def test_a_chain_verifies_in_pages_of_any_size(acts: list[Act], page: int) -> None:
    records = chain(acts)
    verification = verified(records, page)
    assert verification.broken is None
    assert verification.acts == len(records)
    assert verification.digest == (records[-1].digest if records else FIRST_DIGEST)
    assert [record.number for record in records] == list(range(1, len(records) + 1))


@given(acts=st.lists(ACTS, min_size=2, max_size=6), data=st.data())
def test_what_is_changed_removed_inserted_or_moved_is_reported(
    acts: list[Act], data: st.DataObject
) -> None:
    records = chain(acts)
    at = data.draw(st.integers(0, len(records) - 1))
    row = records[at]
    kind = data.draw(st.sampled_from(["change", "remove", "insert", "move"]))
    broken = at + 1
    if kind == "change":
        change: dict[str, Any] = data.draw(
            st.sampled_from(
                [
                    {"number": row.number + 1},
                    {"at_s": row.at_s + 1},
                    {"actor": f"{row.actor}0"},
                    {"action": row.action + 1},
                    {"subject": row.subject.replace("{", "{ ")},
                    {"digest": bytes([row.digest[0] ^ 1]) + row.digest[1:]},
                ]
            )
        )
        records[at] = replace(row, **change)
        if "number" in change:
            broken += 1
    elif kind == "remove":
        del records[at]
        broken += 1
        if at == len(records):
            assert verified(records).broken is None  # nothing shows a missing end
            return
    elif kind == "insert":
        # An inserted act may follow what is before it; what was there does not follow it.
        forged = recorded(Act("x", Action.KEY_CREATED, 0), records[at - 1] if at else None)
        records.insert(at, forged)
    else:
        to = data.draw(st.integers(0, len(records) - 1).filter(lambda to: to != at))
        records[at], records[to] = records[to], records[at]
        broken = records[min(at, to)].number
    assert verified(records).broken == broken


def test_the_digest_of_an_act_never_changes() -> None:
    act = Act(
        "0a1b2c3d", Action.ITEMS_DISABLED, 1_795_000_000, {"reason": "staff", "items": ["00"]}
    )
    assert act.subject_text() == '{"items":["00"],"reason":"staff"}'
    first = recorded(act, None)
    assert first.digest == digest(
        bytes(32), 1, 1_795_000_000, "0a1b2c3d", 11, '{"items":["00"],"reason":"staff"}'
    )
    assert first.digest.hex() == "3631d44edd01178e07a0506411900e69c6e64e89f52f76dce318f4388f34ea77"


@pytest.mark.parametrize("change", [{"actor": b"x"}, {"subject": b"{}"}, {"action": "x"}], ids=str)
def test_a_row_that_has_another_type_is_reported(change: dict[str, Any]) -> None:
    first, second = chain([Act("x", Action.KEY_CREATED, 0)] * 2)
    assert verified([first, replace(second, **change)]).broken == 2
