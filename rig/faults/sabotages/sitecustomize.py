"""Break the server, as ``fault`` does, which is in the path too, and none of its other processes.

Decoders and commands, which have the same path, would take long to import it for nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module

if "disrupt.server" in sys.orig_argv:
    import_module("fault")
