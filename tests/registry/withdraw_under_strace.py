"""Register two items with a seed, withdraw or renew them, and print what was acknowledged.

Arguments: the registry's path, the seed, "withdraw" or "renew".
"""

import random
import sys
from pathlib import Path

from disrupt.registry import sqlite
from disrupt.registry.records import Registration
from rig.media.registrations import DAY, OWN, item_of, registration


def request_of(seed: int) -> Registration:
    chance = random.Random(seed)
    return registration(chance, None, *(item_of(chance, picture) for picture in (1, 2)))


def renewal_of(seed: int, number: str) -> Registration:
    chance = random.Random(seed + 1)
    items = (item_of(chance, picture, OWN, (1, 0, 0)) for picture in (1, 2))
    return registration(chance, number, *items)


def main() -> None:
    path, seed, removal = sys.argv[1:]
    with sqlite.open_writer(Path(path)) as writer:
        number = writer.register(request_of(int(seed)), day=DAY).case_number
        sys.stdout.write("registered\n")
        sys.stdout.flush()
        if removal == "withdraw":
            writer.withdraw(number, None, day=DAY)
        else:
            writer.register(renewal_of(int(seed), number), day=DAY)
        sys.stdout.write("removed\n")


if __name__ == "__main__":
    main()
