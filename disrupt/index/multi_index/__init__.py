"""Exact search by multi-index hashing.

``engine`` plans a search and runs it; ``tables`` makes the tables that it searches. The kernels of
both are compiled by numba, which is imported when something is first sorted or searched.
"""
