"""Benchmarks: each module is a program (`python -m core bench NAME`) whose last line on stdout is one JSON document."""
