"""Training: chips in, a model package and a report out."""
