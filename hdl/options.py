"""What a build chooses freely: speed against area. No option changes an output bit."""

from __future__ import annotations

from dataclasses import dataclass

from golden.config import DeviceConfig

MULTIPLICATIONS_PER_GROUP = 2
"""The reciprocal's and the draw's."""


@dataclass(frozen=True)
class CoreOptions:
    """Options of a build; ``DeviceConfig.lanes``, the synapses per row word, belongs to the contract instead.

    Parameters
    ----------
    softmax_lanes: neurons per cycle of scan, softmax, mover and sampler; at most the lanes of a row word.
    rounds_per_cycle: of the random generator; 1, 2, 4 or 20.
    in_logic: make the two multiplications per group, reciprocal and draw, of adders, which saves two multipliers.
    """

    softmax_lanes: int = 4
    rounds_per_cycle: int = 1
    in_logic: bool = False

    def multipliers(self, config: DeviceConfig) -> int:
        """Multipliers of a build: one per lane of the engine and of the softmax, and those per group."""
        return config.lanes + self.softmax_lanes + (0 if self.in_logic else MULTIPLICATIONS_PER_GROUP)
