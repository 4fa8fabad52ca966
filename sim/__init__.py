"""Simulation: compiled models of the components and the benches that compare them with ``golden``."""
