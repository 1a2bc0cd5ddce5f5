"""What starts, calls, breaks and judges a running system: for tests, proofs and benchmarks.

Each room may import those below it: ``stages``, ``callers``, ``model``, ``servers``, then
``faults``, ``media`` and ``processes``. None imports tests or benchmarks, and nothing that is
installed imports any of them.
"""
