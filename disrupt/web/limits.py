"""Bounds of what one request, one network and all callers together may hold."""

from __future__ import annotations

ITEMS_MAX = 64
HASHES_MAX = 64_000
"""Most items and hashes of one registration: the defaults of the server's settings."""

REGISTRATION_BYTES_MAX = 64 * (HASHES_MAX + ITEMS_MAX) + 1024
"""Largest registration: at most 64 bytes for a hash or an item, and 1 KiB for the rest."""
REQUEST_BYTES_MAX = 32 * 1024
"""Largest other request: a withdrawal names up to 1000 items of 18 bytes."""
HEADER_BYTES_MAX = 16 * 1024
"""Most bytes of the headers of one request."""

CONNECTIONS_MAX = 2048
"""Open connections, or half of the files that the process may open if that is less."""
NETWORK_CONNECTIONS_MAX = 256
"""Open connections of one network, that is of some forty people behind one IPv4 address."""

HANDSHAKE_S = 10.0
"""Longest time for the handshake of TLS."""
SHUTDOWN_S = 5.0
"""Longest time for the end of TLS, which a caller may leave open."""
HEADERS_S = 20.0
"""Longest time until the headers of a connection's next request are complete."""
KEEP_ALIVE_S = 15
"""Time after which a connection without a request is closed."""
BODY_S = 20.0
"""Time for a body, and a second more for each ``BODY_BYTES_PER_S`` that have come."""
BODY_BYTES_PER_S = 64 * 1024
"""Slowest rate of a body: half a megabit a second, as over a bad mobile network."""

REGISTRATION_PLACES = 16
OTHER_PLACES = 48
"""Calls at the server at once. Together they are half of those that the writer holds, which is what
the server leaves to one organisation."""
WAITING_MAX = 512
"""Most requests that wait for a place, of either kind."""
WAIT_S = 8.0
"""Longest wait for a place; after it the caller gets the time to ask again."""
RETRY_AFTER_S = 5.0
"""Time after which a caller who found no place should ask again."""
BODIES_BYTES_MAX = 64 * 2**20
"""Most bytes of registrations that have come and are in memory."""

CALL_S = 20.0
"""Deadline of a call to the server. With ``WAIT_S`` and the time for the body it is less than the
time after which the page sends a request again, see ``page/messages/calls.js``."""
REQUEST_S = BODY_S + REGISTRATION_BYTES_MAX / BODY_BYTES_PER_S + WAIT_S + CALL_S + 30.0
"""Longest time from the headers of a request to the end of its answer: after it the connection is
aborted. The last 30 s are for a caller who reads slowly."""

TICKET_S = 600.0
"""Time for which a waiting ticket keeps its place."""
DRAIN_S = 30
"""Longest time for requests under way when the gateway stops."""
HEALTH_S = 2.0
"""Time for the server to say that it serves, and again for it to take the key."""
