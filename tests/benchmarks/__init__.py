"""Benchmarks: each of our figures beside a bare baseline that is measured in the same run."""
