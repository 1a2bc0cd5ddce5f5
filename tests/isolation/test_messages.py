"""An answer of a process arrives as it was sent, or is refused."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from disrupt.core.hashes import PdqHash
from disrupt.core.media import Fingerprint, LowQuality, MediaKind, Profile
from disrupt.core.transforms import IDENTITY, Dihedral, Transform
from disrupt.hashing import (
    ImageFingerprints,
    ImageQuery,
)
from disrupt.hashing.lookup import MOST_HASHES
from disrupt.isolation.messages import (
    ANSWER_BYTES_MAX,
    Failed,
    OutOfMemory,
    Ready,
    Refused,
    pack_answer,
    unpack_answer,
)

HASHES = st.binary(min_size=32, max_size=32).map(PdqHash)
QUALITIES = st.integers(0, 100)
PERMILLE = st.integers(0, 1000)
TRANSFORMS = st.just(IDENTITY) | st.builds(
    Transform,
    st.sampled_from(Dihedral),
    PERMILLE,
    PERMILLE,
    PERMILLE,
    PERMILLE,
    st.integers(-180_000, 180_000),
    st.integers(0, 4096),
    plain_edges_cut=st.sampled_from([False]),  # pictures never have edges cut
    negative=st.booleans(),
    corners=st.just(()) | st.tuples(*[PERMILLE] * 8),
    anchored=st.booleans(),
    gamma_permille=st.integers(0, 4000),
)
TEXTS = st.text(st.characters(categories=["L", "N", "P"]), max_size=80)
ANSWERS = (
    st.builds(Ready, st.sampled_from([(), ("landlock",), ("seccomp",), ("landlock", "seccomp")]))
    | st.builds(
        ImageQuery,
        QUALITIES,
        st.lists(st.tuples(HASHES, TRANSFORMS), max_size=20).map(tuple),
        st.integers(0, 2**32 - 1),
    )
    | st.builds(
        ImageFingerprints,
        QUALITIES,
        st.lists(
            st.builds(
                Fingerprint,
                HASHES,
                QUALITIES,
                st.sampled_from(Profile),
                st.integers(0, 9),
                st.integers(0, 99),
                st.integers(0, 2**32 - 1),
                st.integers(0, 2**32 - 1),
            ),
            max_size=20,
        ).map(tuple),
        st.sampled_from(MediaKind),
    )
    | st.builds(LowQuality, QUALITIES, QUALITIES, TEXTS, st.integers(0, 2**32 - 1))
    | st.builds(Refused, TEXTS, st.booleans())
    | st.builds(Failed, TEXTS)
    | st.just(OutOfMemory())
)


@settings(max_examples=100)
@given(ANSWERS)
def test_an_answer_arrives_as_it_was_sent(answer: Any) -> None:
    assert unpack_answer(pack_answer(answer)) == answer


@settings(max_examples=200)
@given(
    st.binary(max_size=200)
    | st.builds(lambda a, b: bytes([a]) + b, st.integers(0, 7), st.binary(max_size=120))
)
def test_whatever_a_process_says_is_an_answer_or_a_value_error(message: bytes) -> None:
    try:
        answer = unpack_answer(message)
    except ValueError:
        return
    if isinstance(answer, (Refused, Failed)):
        assert (getattr(answer, "reason", "") + getattr(answer, "kind", "")).isprintable()


def test_the_largest_answer_is_within_what_a_process_may_say() -> None:
    most = max(MOST_HASHES.values())
    straightened = Transform(corners=(0, 0, 1000, 0, 1000, 1000, 0, 1000), negative=True)
    query = ImageQuery(100, ((PdqHash(bytes(32)), straightened),) * most)
    assert len(pack_answer(query)) <= ANSWER_BYTES_MAX
