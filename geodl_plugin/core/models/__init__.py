"""Model types: what can be trained, and the networks behind it."""
