"""What a build chooses freely: speed against area. No option changes an output bit."""

from __future__ import annotations

from dataclasses import dataclass

from golden.config import DeviceConfig
from golden.errors import SvpgError

MULTIPLICATIONS_PER_GROUP = 2
"""The reciprocal's and the draw's."""


MOST_SOFTMAX_LANES = 8
"""More than this many neurons per cycle only help where moves are rare."""


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

    @classmethod
    def within(cls, config: DeviceConfig, multipliers: int) -> CoreOptions:
        """The build of fewest cycles with a number of multipliers.

        Raises
        ------
        SvpgError: the lanes of a row word leave none for the softmax.
        """
        left = multipliers - config.lanes
        if left < 1:
            raise SvpgError(
                f"{config.lanes} lanes do not fit {multipliers} multipliers; set lanes to {multipliers - 1} at most"
            )
        return cls(softmax_lanes=min(left, config.lanes, MOST_SOFTMAX_LANES), in_logic=True)

    def multipliers(self, config: DeviceConfig) -> int:
        """Multipliers of a build: one per lane of the engine and of the softmax, and those per group."""
        return config.lanes + self.softmax_lanes + (0 if self.in_logic else MULTIPLICATIONS_PER_GROUP)
