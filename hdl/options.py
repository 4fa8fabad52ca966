"""What a build chooses freely: speed against area. No option changes an output bit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CoreOptions:
    """Options of a build; ``DeviceConfig.lanes``, the synapses per row word, belongs to the contract instead.

    Parameters
    ----------
    softmax_lanes: neurons per cycle of scan, softmax, mover and sampler; at most the lanes of a row word.
    rounds_per_cycle: of the random generator; 1, 2, 4 or 20.
    """

    softmax_lanes: int = 4
    rounds_per_cycle: int = 1
