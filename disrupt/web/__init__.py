"""The gateway: gives people affected the page, and passes on what the page sends to a server."""
