"""Names of the inference modes; apart, so that a command line is understood without NumPy."""

MODES = ("rate", "spike")
"""What a neuron sends: its activity, or spikes that are drawn from it."""
