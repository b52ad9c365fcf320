"""Files that hold a network alone, read for what they tell of it; no framework is needed."""
