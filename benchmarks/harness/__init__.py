"""What benchmarks stand on: servers, processes, registries, pictures and videos to measure with."""
