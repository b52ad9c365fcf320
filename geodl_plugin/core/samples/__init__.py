"""Classes and training samples."""
