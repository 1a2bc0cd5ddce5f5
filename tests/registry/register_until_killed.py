"""Register, withdraw, renew or hide part of it, and print what was acknowledged, until killed.

Arguments: the data directory, a seed. Each line has a word and the seed of the registration.
"""

import random
import sys
from pathlib import Path

from disrupt.core.acts import OPERATOR, Act, Action
from disrupt.core.policy import ADULTS
from disrupt.core.review import ItemFilter
from disrupt.core.states import ItemState
from disrupt.data_directory import DataDirectory
from disrupt.registry import opening
from disrupt.registry.records import NewCase, Registration
from rig.media.registrations import DAY, OWN, item_of, new_case, new_item, registration


def request_of(seed: int) -> Registration:
    chance = random.Random(seed)
    # Some blobs are larger than a page, some than several.
    items = [new_item(chance, chance.choice((1, 20, 400))) for _ in range(chance.randint(1, 3))]
    return registration(chance, new_case(chance), *items, item_of(chance, seed))


def renewal_of(seed: int) -> Registration:
    """Return a registration of the last item of another, with more hashes."""
    chance = random.Random(f"renewal of {seed}")
    first = request_of(seed).case
    assert isinstance(first, NewCase)
    rows = [(1, ordinal, 0) for ordinal in range(chance.choice((1, 20, 400)))]
    return registration(chance, first.number, item_of(chance, seed, OWN, *rows))


def act_of(seed: int) -> Act:
    """Return the act that hides the items of a registration; its time is the seed."""
    return Act(OPERATOR, "", Action.DISABLE, seed)


def hides_all(seed: int) -> bool:
    """Tell whether one act hides the items of a registration, instead of one for each."""
    return seed % 2 == 0


def acknowledge(word: str, seed: int) -> None:
    sys.stdout.write(f"{word} {seed}\n")
    sys.stdout.flush()


def main() -> None:
    chance = random.Random(int(sys.argv[2]))
    with opening.writing(DataDirectory(Path(sys.argv[1])), wait=True) as writer:
        while True:
            seed = chance.getrandbits(31)  # which is a time as well
            result = writer.register(request_of(seed), day=DAY)
            acknowledge("registered", seed)
            if seed % 5 == 0:
                acknowledge("withdrawing", seed)
                writer.withdraw(result.case_number, None, day=DAY)
                acknowledge("withdrawn", seed)
            elif seed % 5 < 3:
                acknowledge("renewing", seed)
                writer.register(renewal_of(seed), day=DAY)
                acknowledge("renewed", seed)
            elif seed % 5 == 3:
                acknowledge("hiding", seed)
                item_ids = [item.item_id for item in result.items]
                if hides_all(seed):
                    of_case = ItemFilter(frozenset({ADULTS.number}), item_ids=frozenset(item_ids))
                    state, act = ItemState.DISABLED, act_of(seed)
                    writer.set_all_states(of_case, state, act, expected=len(item_ids))
                else:
                    writer.set_states(item_ids, ItemState.DISABLED, act_of(seed))
                acknowledge("hidden", seed)


if __name__ == "__main__":
    main()
