"""Keys of staff, and acts of them, to test erasures without a PIN with."""

from disrupt.core.acts import SERVER, Act, Action
from disrupt.core.case_erasures import day_of
from disrupt.core.policy import ADULTS, MINORS, ApiKey, Right
from tests.registry.examples import DAY

AT_S = 1_795_700_000
"""A time on NOW_DAY, which is later than the days of ``examples``."""

NOW_DAY = day_of(AT_S)
HOUR_S = 3600
DAY_S = 24 * HOUR_S


def reviewer(key_id: str, name: str, organisation: str = "hotline") -> ApiKey:
    """Return a key that may review every bank."""
    return ApiKey(
        *(key_id, name, key_id.encode().ljust(32)),
        rights=frozenset({Right.REVIEW}),
        banks=frozenset({ADULTS.number, MINORS.number}),
        created_on=DAY,
        organisation=organisation,
    )


REVIEWERS = (reviewer("00000001", "Anne"), reviewer("00000002", "Bruno"))


def by(key: ApiKey | str, at_s: int, action: Action = Action.ERASURE_REQUESTED) -> Act:
    """Return an act of a key, or of another actor, on some case."""
    actor = key if isinstance(key, str) else key.key_id
    return Act(actor, action, at_s, {"case": "0123456789abcdef"})


def by_server(at_s: int, action: Action = Action.CASE_ERASED) -> Act:
    return by(SERVER, at_s, action)
