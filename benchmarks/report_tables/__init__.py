"""Tables of benchmarks' reports: each function yields headings, then rows."""
