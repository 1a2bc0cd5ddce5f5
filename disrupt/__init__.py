"""Hash database for stopping the sharing of intimate images without consent."""


def __getattr__(name: str) -> str:
    """Look ``__version__`` up, which would take each process longer than some need to start."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version  # noqa: PLC0415

    return version("disrupt-hashes")
