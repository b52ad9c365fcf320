"""Training-data folders: export, reading, statistics, one file a format."""
