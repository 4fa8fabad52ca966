"""The device in Amaranth; every component computes what ``golden`` defines (docs/numerics.md)."""
