"""Register two items with a seed, withdraw them, and print what was acknowledged.

Arguments: the registry's path, the seed.
"""

import random
import sys
from pathlib import Path

from disrupt.registry.contract import Registration
from disrupt.registry.sql import SqlRegistry
from tests.registry.examples import DAY, new_item, registration


def request_of(seed: int) -> Registration:
    chance = random.Random(seed)
    return registration(chance, None, new_item(chance), new_item(chance))


def main() -> None:
    with SqlRegistry.open_writer(Path(sys.argv[1])) as writer:
        number = writer.register(request_of(int(sys.argv[2])), day=DAY).case_number
        sys.stdout.write("registered\n")
        sys.stdout.flush()
        writer.withdraw(number, None, day=DAY)
        sys.stdout.write("withdrawn\n")


if __name__ == "__main__":
    main()
