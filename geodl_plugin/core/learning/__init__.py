"""From a folder of chips to a trained model."""
