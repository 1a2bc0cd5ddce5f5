"""Python SDK for platforms."""
