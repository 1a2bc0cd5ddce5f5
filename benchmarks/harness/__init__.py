"""Servers, processes, registries, pictures and videos for benchmarks."""
