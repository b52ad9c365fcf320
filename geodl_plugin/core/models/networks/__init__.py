"""The networks themselves; the only modules of this package that need torch."""
