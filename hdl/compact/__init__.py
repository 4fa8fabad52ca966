"""A core that takes one step after the other: the same device in a small part of the logic (docs/compact.md)."""
