"""Comparison of results with a reference."""
