"""``disrupt match --self-test``: look generated pictures up in the bank ``test``."""

from __future__ import annotations

from collections.abc import Iterator

from disrupt.client.examples_command import edited, png
from disrupt.client.sync import MatchClient
from disrupt.core.examples import EXAMPLES, Example
from disrupt.core.policy import TEST_BANK
from disrupt.errors import DisruptError, InvalidRequestError

_COMPLETE = f"ask its operator to run `disrupt banks create {TEST_BANK}`"


def self_test(client: MatchClient, *, send_pictures: bool) -> Iterator[str]:
    """Look a generated picture and an edited copy up, and yield what to print.

    Nothing is registered. Raises DisruptError, which says what to do, where either does not match.
    """
    example = EXAMPLES[0]
    picture = example.picture()
    for what, file in (
        ("A generated picture", png(picture)),
        ("A copy, smaller and as JPEG", edited(picture)),
    ):
        yield f"{what}: {_distance_bits(client, example, file, what, send=send_pictures)} bits"
    yield (
        "Both matched: server, key and lookups work. Nothing was registered. Now look these"
        f" pictures up through what you built, in the bank `{TEST_BANK}`: `disrupt examples"
        " DIRECTORY` writes them."
    )


def _distance_bits(
    client: MatchClient, example: Example, file: bytes, what: str, *, send: bool
) -> int:
    try:
        answer = client.match_image(file, hash_locally=not send, banks=[TEST_BANK])
    except InvalidRequestError as error:
        if any(violation.field == "options.banks" for violation in error.violations):
            raise DisruptError(
                f"This server has no bank `{TEST_BANK}`, so nothing was tried: {_COMPLETE}."
            ) from None
        raise
    for match in answer.matches:
        if match.item_id == example.item_id.hex():
            return match.distance_bits
    raise DisruptError(
        f"{what} was looked up, and did not match. Try again in a few seconds; if it stays so,"
        f" {_COMPLETE}, which completes the bank, and to look at `disrupt doctor`."
    )
