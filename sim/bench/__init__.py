"""Benches: drivers, monitors and checkers for cocotb, and the benches of the components."""
