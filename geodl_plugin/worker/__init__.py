"""The process that has torch, and the client that follows it."""
