"""One file per claim of speed or memory, always beside a peer in one run: ``python -m benchmarks.NAME``."""
