"""Commands and responses of the device, as frames of 16-bit words (docs/protocol.md).

A frame is a run of words of which the last carries a mark; on a stream each word travels as {``data``: 16, ``last``:
1}, in arrays as an integer with :data:`LAST` added. Its first word is a header: the command in bits 7 to 0, and in bits
15 to 8 the flags (command) or the status (response). Every command frame is answered by one response frame, in order.

Values wider than a word take several, lowest word first; signed values are sign-extended to whole words.
"""

from __future__ import annotations

import enum
import math

from golden.config import CONTRACT_VERSION, REMOVABLE, STARTS, DeviceConfig

PROTOCOL_VERSION = 1
"""Changes when a frame changes its form."""

WORD_BITS = 16
"""Data bits of a word."""

LAST = 1 << WORD_BITS
"""Mark of a frame's last word in arrays."""


class Command(enum.IntEnum):
    """What a command frame asks for."""

    INFO = 1
    LOAD = 2
    READ = 3
    INFER = 4


class Status(enum.IntEnum):
    """How a command ended. Anything but ``OK`` changes nothing, and the response is the header alone.

    The first error in the order of the words decides; the rest of the frame is dropped.
    """

    OK = 0
    COMMAND = 1
    """Unknown command."""
    FLAGS = 2
    """Flags the command does not have, or that exclude each other."""
    LENGTH = 3
    """The frame ends before or goes on after the words the command takes."""
    ADDRESS = 4
    """A row or word that does not exist."""
    VALUE = 5
    """A value outside its format, a winner outside its group, a weight other than 0 where no synapse is."""


class Section(enum.IntEnum):
    """Memories that ``LOAD`` and ``READ`` reach; their flags."""

    WEIGHT = 0
    """Weights in rows 0 to P - 1, biases in row P."""


POLICY_FLAGS = 3
"""Flags of ``INFER`` that hold the policy: 0 sample, 1 greedy, 2 conditional."""

FLAG_GIVEN = 4
"""Flag of ``INFER``: hidden winners are given; with the conditional policy only."""

FLAG_ACTIVITY = 8
"""Flag of ``INFER``: the response goes on with the activity of all neurons."""

INFER_FLAGS = POLICY_FLAGS | FLAG_GIVEN | FLAG_ACTIVITY

NONCE_WORDS = 4
ROW_WORDS = 2
"""Words of a row number in ``LOAD`` and ``READ``; the word number behind it takes one."""

COUNTER_WORDS = 2
"""Words of each counter but the iterations, which take one."""

COUNTERS = ("events", "row_words", "cycles", "stalls")
"""Counters in the response of ``INFER``, behind the iterations."""

HARDWARE_COUNTERS = ("cycles", "stalls")
"""Those of them that only hardware has; the model answers 0."""

COMMANDS_MASK = sum(1 << command for command in Command)
"""Commands the device knows, a bit each."""


def words_of(bits: int) -> int:
    """Words a value of some bits takes."""
    return math.ceil(bits / WORD_BITS)


def split(value: int, words: int) -> list[int]:
    """A value as words, lowest first."""
    return [(value >> (WORD_BITS * i)) & (LAST - 1) for i in range(words)]


INFO_HEAD = ("protocol", "contract", "digest", "commands", "softmax_lanes")
"""What ``INFO`` answers before the fields of the configuration, two words each like these."""

INFO_ENUMS = {"removed": tuple(REMOVABLE), "start": STARTS}
"""Fields that are names; ``INFO`` gives their place in these."""


def info_values(config: DeviceConfig, softmax_lanes: int) -> dict[str, int]:
    """Every value of ``INFO`` in order, each 32 bits unsigned; ``softmax_lanes`` is 0 for the model."""
    head = (PROTOCOL_VERSION, CONTRACT_VERSION, config.digest, COMMANDS_MASK, softmax_lanes)
    fields = {
        name: INFO_ENUMS[name].index(str(value)) if name in INFO_ENUMS else int(value)
        for name, value in config.to_dict().items()
    }
    return {**dict(zip(INFO_HEAD, head, strict=True)), **fields}


def load_words(config: DeviceConfig) -> int:
    """Words of a ``LOAD`` frame: header, row, word number, one row word of weights."""
    return 1 + ROW_WORDS + 1 + config.lanes * words_of(config.weight_bits)


def infer_words(config: DeviceConfig, given: bool) -> int:
    """Words of an ``INFER`` frame: header, nonce, observations, and the hidden winners if they are given."""
    return 1 + NONCE_WORDS + config.inputs * words_of(config.obs_bits) + (config.groups if given else 0)


def infer_response_words(config: DeviceConfig, activity: bool) -> int:
    """Words of the response to ``INFER``: header, iterations, counters, winners, action probabilities, activity."""
    counters = 1 + COUNTER_WORDS * len(COUNTERS)
    winners = config.groups + 1
    probabilities = config.actions * words_of(config.probability.bits)
    return 1 + counters + winners + probabilities + (config.neurons if activity else 0)
