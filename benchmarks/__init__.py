"""Measurements. Each module is a command: `python -m benchmarks.NAME`; figures are printed, never asserted."""
