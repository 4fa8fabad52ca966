"""What a decision costs: cycles and stalls of the core, from what golden knows (docs/architecture.md, "Cost")."""

from __future__ import annotations

import math
from dataclasses import dataclass

from golden.config import DeviceConfig
from hdl.engine import EventEngine
from hdl.layouts import all_beats
from hdl.mover import Mover
from hdl.options import CoreOptions
from hdl.sampler import Sampler
from hdl.softmax import softmax_latency


@dataclass(frozen=True)
class Latencies:
    """The cycles of a decision in which no row word can be read, nothing in the way.

    Attributes
    ----------
    start: from the start of a decision to the first row word of the biases, that cycle left out.
    turn: between the last row word before a pass and the first that the pass can cause.
    end: from the last row word before the last pass to the end of the decision.
    jump: from the last row word before the action group alone is scanned to the end of the decision.
    """

    start: int
    turn: int
    end: int
    jump: int


def latencies(config: DeviceConfig, options: CoreOptions) -> Latencies:
    """The latencies of a build.

    A group of b beats spends b - 1 cycles more in each of the first two stages of the softmax.
    """
    lanes = options.softmax_lanes
    hidden, action = math.ceil(config.group_size / lanes), math.ceil(config.actions / lanes)
    # From the last row word to the first potentials in the softmax; the event was taken a cycle before the word.
    first_beat = EventEngine.latency - 1
    softmax = softmax_latency(lanes)
    winner = Sampler.latency + 1
    return Latencies(
        start=1,
        turn=first_beat + softmax + 2 * (hidden - 1) + Mover.latency,
        end=first_beat + softmax + all_beats(config, lanes) - 1 + 2 * (max(hidden, action) - 1) + winner,
        jump=first_beat + softmax + 3 * (action - 1) + winner,
    )


def bound(
    config: DeviceConfig, options: CoreOptions, row_words: int, passes: int, *, conditional: bool = False
) -> int:
    """The fewest cycles in which a decision can be made: its row words and the latencies that nothing hides.

    Parameters
    ----------
    config, options: the build.
    row_words, passes: of the decision, as golden counts them (``row_words`` and ``iterations``).
    conditional: the decision's policy is the conditional one.
    """
    known = latencies(config, options)
    if conditional:
        return known.start + config.row_words + row_words + passes * known.turn + known.jump
    return known.start + config.row_words + row_words + (passes - 1) * known.turn + known.end
