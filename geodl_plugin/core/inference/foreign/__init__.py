"""Networks that GeoDL did not train: described, loaded and understood by what they answer."""
