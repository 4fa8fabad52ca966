"""Commands and responses of the device, as frames of 16-bit words (docs/protocol.md).

A frame is a run of words of which the last carries a mark; on a stream each word travels as {``data``: 16, ``last``:
1}, in arrays as an integer with :data:`LAST` added. Its first word is a header: the command in bits 7 to 0, and in bits
15 to 8 the flags (command) or the status (response). Every command frame is answered by one response frame, in order.

Values wider than a word take several, lowest word first; signed values are sign-extended to whole words.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.arguments import OPTIMISERS, POLICIES, RULES, SECTIONS, policies, rules, section_format
from golden.config import CONTRACT_VERSION, OBS_SPIKES, REMOVABLE, STARTS, DeviceConfig
from golden.modes import MODES

Ints = NDArray[np.int64]
Words = NDArray[np.uint32]

PROTOCOL_VERSION = 3
"""Changes when a frame changes its form."""

WORD_BITS = 16
"""Data bits of a word."""

LAST = 1 << WORD_BITS
"""Mark of a frame's last word in arrays."""

HEADER_BITS = 8
"""Bits of the command in a header, and of the flags or the status above it."""


class Command(enum.IntEnum):
    """What a command frame asks for."""

    INFO = 1
    LOAD = 2
    READ = 3
    INFER = 4
    LEARN = 5
    APPLY = 6
    CLEAR = 7


class Status(enum.IntEnum):
    """How a command ended; :data:`MEANINGS` tells what each says.

    Anything but ``OK`` changes nothing, and the response is the header alone. The first error in the order of the words
    decides; the rest of the frame is dropped.
    """

    OK = 0
    COMMAND = 1
    FLAGS = 2
    LENGTH = 3
    ADDRESS = 4
    VALUE = 5


MEANINGS = {
    Status.OK: "done",
    Status.COMMAND: "unknown command",
    Status.FLAGS: "flags the command does not have, or that exclude each other",
    Status.LENGTH: "the frame ends before or goes on after the words the command takes",
    Status.ADDRESS: "a row or word that does not exist",
    Status.VALUE: "a value outside its format, a winner outside its group, or a weight where no synapse is",
}
"""What each status says, for people."""


class Section(enum.IntEnum):
    """Memories that ``LOAD`` and ``READ`` reach; their flags. Synapses lie in rows 0 to P - 1, biases in row P."""

    WEIGHT = 0
    """Weights."""
    ACC = 1
    """Eligibility accumulators."""
    MOMENT = 2
    """Second moments."""


SECTION_NAMES = dict(zip(Section, SECTIONS[::2], strict=True))
"""Names of the sections as :data:`golden.arguments.SECTIONS` has them, synapses."""

BIAS_NAMES = dict(zip(Section, SECTIONS[1::2], strict=True))
"""The same for biases."""


def section_names(sections: Iterable[Section]) -> tuple[str, ...]:
    """Names of some memories, synapses and biases each."""
    return tuple(name for section in sections for name in (SECTION_NAMES[section], BIAS_NAMES[section]))


POLICY_FLAGS = 3
"""Flags of ``INFER`` that hold the policy, a value of :data:`golden.arguments.POLICIES`."""

FLAG_GIVEN = 4
"""Flag of ``INFER``: hidden winners are given; with the conditional policy only."""

FLAG_ACTIVITY = 8
"""Flag of ``INFER``: the response goes on with the activity of all neurons."""

FLAG_SPIKES = 16
"""Flag of ``INFER``: the response goes on with every spike of the decision; in spike mode only."""

INFER_FLAGS = POLICY_FLAGS | FLAG_GIVEN | FLAG_ACTIVITY | FLAG_SPIKES

RULE_FLAGS = 3
"""Flags of ``LEARN`` that hold the rule, a value of :data:`golden.arguments.RULES`."""

FLAG_COUNTERS = 4
"""Flag of ``LEARN``: the response goes on with iterations and counters."""

LEARN_FLAGS = RULE_FLAGS | FLAG_COUNTERS

NONCE_WORDS = 4
ROW_WORDS = 2
"""Words of a row number in ``LOAD`` and ``READ``; the word number behind it takes one."""

COUNTER_WORDS = 2
"""Words of each counter but the iterations, which take one."""

COUNTERS = ("events", "row_words", "cycles", "stalls")
"""Counters in the response of ``INFER``, behind the iterations."""

LEARN_COUNTERS = ("events", "row_words", "learn_words", "cycles", "stalls")
"""Counters in the response of ``LEARN``, behind the iterations."""

HARDWARE_COUNTERS = ("cycles", "stalls")
"""Those of them that only hardware has; the model answers 0."""

UPDATE_ARGUMENTS = ("mean_shift", "rate", "obs_rate", "decay", "floor", "grid")
"""Arguments of ``APPLY``, a word each, signed; as in :class:`golden.arguments.Apply`."""


def words_of(bits: int) -> int:
    """Words a value of some bits takes."""
    return math.ceil(bits / WORD_BITS)


def split(value: int, words: int) -> list[int]:
    """A value as words, lowest first."""
    return [(value >> (WORD_BITS * i)) & (LAST - 1) for i in range(words)]


INFO_HEAD = ("protocol", "contract", "digest", "rules", "optimisers", "softmax_lanes")
"""What ``INFO`` answers before the fields of the configuration, two words each like these."""

INFO_VALUE_WORDS = 2
"""Words of each value of ``INFO``."""

INFO_ENUMS = {"removed": tuple(REMOVABLE), "start": STARTS, "mode": MODES, "obs_spikes": OBS_SPIKES}
"""Fields that are names; ``INFO`` gives their place in these."""


@dataclass(frozen=True)
class Abilities:
    """What a build learns with; nothing if either is empty.

    Parameters
    ----------
    rules: keys of :data:`golden.arguments.RULES`.
    optimisers: keys of :data:`golden.arguments.OPTIMISERS`; second moments exist with ``rmsprop`` only.
    """

    rules: frozenset[str] = frozenset(RULES)
    optimisers: frozenset[str] = frozenset(OPTIMISERS)

    @property
    def learns(self) -> bool:
        """Whether the build has ``LEARN``, ``APPLY``, ``CLEAR`` and the accumulators."""
        return bool(self.rules and self.optimisers)

    @property
    def has_moments(self) -> bool:
        """Whether the build has second moments."""
        return self.learns and "rmsprop" in self.optimisers

    @property
    def has_descent(self) -> bool:
        """Whether the build has an optimiser that needs the mean gradient, not its sign alone."""
        return self.learns and bool(self.optimisers - {"sign"})

    @property
    def commands(self) -> tuple[Command, ...]:
        """The commands it takes."""
        return tuple(command for command in Command if self.learns or command <= Command.INFER)

    @property
    def sections(self) -> tuple[Section, ...]:
        """The memories it has."""
        return tuple(Section)[: 1 + self.learns + self.has_moments]

    @property
    def masks(self) -> tuple[int, int]:
        """Rules and optimisers of the build, a bit for each of their numbers; 0 if it does not learn."""
        if not self.learns:
            return 0, 0
        return sum(1 << RULES[name] for name in self.rules), sum(1 << OPTIMISERS[name] for name in self.optimisers)

    def within(self, config: DeviceConfig) -> Abilities:
        """What a device of a configuration can have of it."""
        return Abilities(self.rules & frozenset(rules(config)), self.optimisers)


EVERYTHING = Abilities()
"""All rules and optimisers."""


def info_values(config: DeviceConfig, softmax_lanes: int, abilities: Abilities = EVERYTHING) -> dict[str, int]:
    """Every value of ``INFO`` in order, each 32 bits unsigned; ``softmax_lanes`` is 0 for the model."""
    head = (PROTOCOL_VERSION, CONTRACT_VERSION, config.digest, *abilities.within(config).masks, softmax_lanes)
    fields = {
        name: INFO_ENUMS[name].index(str(value)) if name in INFO_ENUMS else int(value)
        for name, value in config.to_dict().items()
    }
    return {**dict(zip(INFO_HEAD, head, strict=True)), **fields}


def header(command: int, flags_or_status: int) -> int:
    """First word of a frame."""
    return flags_or_status << HEADER_BITS | command


def parse_header(word: int) -> tuple[int, int]:
    """Command, and flags or status, of a frame's first word, marked or not."""
    return word & ((1 << HEADER_BITS) - 1), (word & (LAST - 1)) >> HEADER_BITS


def flags_exist(config: DeviceConfig, command: Command, flags: int, abilities: Abilities = EVERYTHING) -> bool:
    """Whether a command has these flags in a build."""
    known_rules, optimisers = abilities.within(config).masks
    match command:
        case Command.INFO | Command.CLEAR:
            return flags == 0
        case Command.LOAD | Command.READ:
            return flags in abilities.sections
        case Command.LEARN:
            return flags & ~LEARN_FLAGS == 0 and bool(known_rules >> (flags & RULE_FLAGS) & 1)
        case Command.APPLY:
            return bool(optimisers >> flags & 1)
        case Command.INFER:
            policy = flags & POLICY_FLAGS
            if flags & FLAG_GIVEN and policy != POLICIES["conditional"]:
                return False
            if flags & FLAG_SPIKES and not config.spikes:
                return False
            return flags & ~INFER_FLAGS == 0 and policy in (POLICIES[name] for name in policies(config))


# --- the words behind the header ---------------------------------------------------------------------
@dataclass(frozen=True)
class Field:
    """Consecutive values of one kind within a frame.

    Parameters
    ----------
    name: what they are.
    count: how many.
    bits: of a value; it takes whole words.
    signed: two's complement, extended to whole words.
    """

    name: str
    count: int
    bits: int
    signed: bool = False

    @property
    def value_words(self) -> int:
        """Words of a value."""
        return words_of(self.bits)

    @property
    def words(self) -> int:
        """Words of all values."""
        return self.count * self.value_words

    def to_words(self, values: NDArray[np.signedinteger]) -> NDArray[np.signedinteger]:
        """Values of n frames, (n, count), as words, (n, words). Of unsigned 64-bit values the bits count."""
        # Words have no sign, so they need more than 16 bits.
        mask = np.int32(LAST - 1)
        if self.value_words == 1:
            return values & mask
        parts = [(values >> shift) & mask for shift in range(0, WORD_BITS * self.value_words, WORD_BITS)]
        return np.stack(parts, axis=-1).reshape(len(values), -1)

    def from_words(self, words: NDArray[np.integer]) -> Ints:
        """Inverse of :meth:`to_words`; int64 (n, count), fewer if there are words for fewer whole values."""
        size = self.value_words
        count = words.shape[1] // size
        values = np.zeros((len(words), count), dtype=np.int64)
        for i in range(size):
            values |= words[:, i : size * count : size].astype(np.int64) << (WORD_BITS * i)
        sign = 1 << (WORD_BITS * size - 1)
        return (values ^ sign) - sign if self.signed else values


def command_fields(config: DeviceConfig, command: Command, flags: int) -> tuple[Field, ...]:
    """What follows the header of a command."""
    address = (Field("row", 1, WORD_BITS * ROW_WORDS), Field("word", 1, WORD_BITS))
    match command:
        case Command.INFO | Command.CLEAR:
            return ()
        case Command.READ:
            return address
        case Command.LOAD:
            return (*address, values_field(config, Section(flags)))
        case Command.LEARN:
            winners = flags & RULE_FLAGS != RULES["contrastive"] and not config.spikes
            return (
                *((Field("nonce", 1, WORD_BITS * NONCE_WORDS),) if config.spikes else ()),
                Field("modulator", 1, config.modulator_bits, signed=True),
                Field("action", 1, WORD_BITS),
                Field("obs", config.inputs, config.obs_bits, signed=True),
                *((Field("given", config.groups, WORD_BITS),) if winners else ()),
            )
        case Command.APPLY:
            return tuple(Field(name, 1, WORD_BITS, signed=True) for name in UPDATE_ARGUMENTS)
        case Command.INFER:
            given = (Field("given", config.groups, WORD_BITS),) if flags & FLAG_GIVEN else ()
            return (
                Field("nonce", 1, WORD_BITS * NONCE_WORDS),
                Field("obs", config.inputs, config.obs_bits, signed=True),
                *given,
            )


def response_fields(config: DeviceConfig, command: Command, flags: int) -> tuple[Field, ...]:
    """What follows the header of a response of status ``OK`` to a command with these flags."""
    match command:
        case Command.INFO:
            return (Field("values", len(info_values(config, 0)), INFO_VALUE_WORDS * WORD_BITS),)
        case Command.LOAD | Command.CLEAR:
            return ()
        case Command.READ:
            return (values_field(config, Section(flags)),)
        case Command.LEARN:
            if not flags & FLAG_COUNTERS:
                return ()
            return (
                Field("iterations", 1, WORD_BITS),
                *(Field(name, 1, WORD_BITS * COUNTER_WORDS) for name in LEARN_COUNTERS),
            )
        case Command.APPLY:
            return (Field("cycles", 1, WORD_BITS * COUNTER_WORDS),)
        case Command.INFER:
            activity = (Field("q_raw", config.neurons, config.activity.bits),) if flags & FLAG_ACTIVITY else ()
            every_spike = Field("spikes", config.steps * (config.groups + 1), WORD_BITS)
            return (
                Field("iterations", 1, WORD_BITS),
                *(Field(name, 1, WORD_BITS * COUNTER_WORDS) for name in COUNTERS),
                Field("winners", config.groups + 1, WORD_BITS),
                Field("prob_raw", config.actions, config.probability.bits),
                *activity,
                *((every_spike,) if flags & FLAG_SPIKES else ()),
            )


def values_field(config: DeviceConfig, section: Section) -> Field:
    """A row word of a memory."""
    number_format = section_format(config, SECTION_NAMES[section])
    return Field("values", config.lanes, number_format.bits, number_format.signed)


def frame_words(fields: tuple[Field, ...]) -> int:
    """Words of a frame, header included."""
    return 1 + sum(field.words for field in fields)


def pack(
    first_word: int, fields: tuple[Field, ...], values: Mapping[str, NDArray[np.signedinteger]], frames: int
) -> Words:
    """Frames of one kind, (frames, words): a header, then ``values`` by the names of the fields, (frames, count) each.

    The last word of each is marked.
    """
    words = np.empty((frames, frame_words(fields)), dtype=np.uint32)
    words[:, 0] = first_word
    at = 1
    for field in fields:
        words[:, at : at + field.words] = field.to_words(values[field.name])
        at += field.words
    words[:, -1] |= LAST
    return words


def unpack(fields: tuple[Field, ...], words: Words) -> dict[str, Ints]:
    """Inverse of :func:`pack`; of frames that are cut short, the whole values there are."""
    values = {}
    data = words & (LAST - 1)
    at = 1
    for field in fields:
        values[field.name] = field.from_words(data[:, at : at + field.words])
        at += field.words
    return values


def load_words(config: DeviceConfig) -> int:
    """Words of a ``LOAD`` frame: header, row, word number, one row word of weights."""
    return frame_words(command_fields(config, Command.LOAD, Section.WEIGHT))


def infer_words(config: DeviceConfig, given: bool) -> int:
    """Words of an ``INFER`` frame: header, nonce, observations, and the hidden winners if they are given."""
    return frame_words(command_fields(config, Command.INFER, FLAG_GIVEN if given else 0))


def infer_response_words(config: DeviceConfig, activity: bool) -> int:
    """Words of the response to ``INFER``: header, iterations, counters, winners, action probabilities, activity."""
    return frame_words(response_fields(config, Command.INFER, FLAG_ACTIVITY if activity else 0))
