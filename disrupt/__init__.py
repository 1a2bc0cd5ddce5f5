"""Hash database for stopping the sharing of intimate images without consent."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("disrupt-hashes")
