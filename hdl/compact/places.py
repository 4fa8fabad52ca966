"""Where the compact core keeps what: the words of its store and of its table, and which devices it can be."""

from __future__ import annotations

from functools import cached_property

from golden.config import EXP_FRAC, DeviceConfig
from golden.errors import SvpgError
from golden.kernels import constants
from golden.protocol import INFO_VALUE_WORDS, Abilities, Section, info_values, split
from golden.tables import exp2_table, reciprocal_table
from hdl.compact.instructions import WORD_BITS

HALF_BITS = WORD_BITS // 2
"""Bits of what a row is multiplied with, and of a weight, sign included."""

TABLE_BITS = 16
"""Bits of a word of the table."""


def check(config: DeviceConfig) -> None:
    """What the compact core has not the width for.

    Raises
    ------
    SvpgError: a device that needs the other core; the message says why.
    """
    c = constants(config)
    if config.spikes:
        raise SvpgError("the compact core has no spike mode; build it with core.compact=false")
    event = max(config.obs_bits + c.obs_shift, config.activity.bits + 2 + c.activity_shift)
    # Two products of a modulator and of two activities or changes, which are 1 at most; and one with an observation.
    product = config.modulator_bits + max(2 * config.activity_frac + 2, config.obs_bits - 1 + config.activity_frac)
    left = -min(c.shift_recurrent, c.shift_obs, c.shift_bias, 0)
    step = config.grad_bits + max(0, config.weight_frac - config.acc_frac + 4 + (config.moment_frac + 1) // 2)
    limits = {
        "an event": (event, HALF_BITS),
        "a weight": (config.weight_bits, HALF_BITS),
        "an observation": (config.obs_bits, HALF_BITS),
        "a modulator": (config.modulator_bits, HALF_BITS),
        "a potential": (config.potential_bits, WORD_BITS - 1),
        "a depth below the maximum": (
            config.potential_bits + max(0, config.exp_index_bits - config.potential_frac),
            WORD_BITS - 1,
        ),
        "an eligibility": (max(product, config.modulator_bits + config.activity_frac + left), WORD_BITS - 1),
        "an accumulator": (config.acc_bits, WORD_BITS),
        "a second moment": (config.moment_bits, WORD_BITS - 2),
        "a step": (step, WORD_BITS - 1),
        "a step by signs": (config.weight_frac + 5, WORD_BITS - 1),
        "a reported probability": (config.prob_frac, EXP_FRAC - 1),
        "an activity": (config.activity_frac, EXP_FRAC - 1),
    }
    for what, (bits, most) in limits.items():
        if bits > most:
            raise SvpgError(
                f"the compact core has {most} bits for {what}, this device needs {bits}; narrow the formats, or build "
                "it with core.compact=false"
            )


class Places:
    """Addresses of one device.

    Parameters
    ----------
    config: sizes and formats.
    abilities: what it learns with.
    softmax_lanes: what ``INFO`` tells.

    Attributes
    ----------
    start: first word in the store of every section, by :class:`golden.protocol.Section`, row-major, row P the biases.
    q, fresh, terms, totals, winners, draws, obs, buffer, trace, cross, change: first words of the arrays.
    size: words of the store.
    """

    def __init__(self, config: DeviceConfig, abilities: Abilities, softmax_lanes: int) -> None:
        check(config)
        self.config, self.abilities = config, abilities.within(config)
        self._softmax_lanes = softmax_lanes
        n, groups = config.neurons, config.groups + 1
        section = (config.sources + 1) * n
        self.start = {name: i * section for i, name in enumerate(self.abilities.sections)}
        self.size = len(self.start) * section
        self.q, self.fresh, self.terms = (self._array(n) for _ in range(3))
        self.totals, self.winners, self.draws = (self._array(groups) for _ in range(3))
        # Draws come four to a block.
        self._array(3)
        self.obs, self.buffer = self._array(config.inputs), self._array(config.lanes)
        self.trace, self.cross, self.change = (self._array(n) for _ in range(3))

    def _array(self, words: int) -> int:
        self.size += words
        return self.size - words

    @property
    def rows(self) -> int:
        """Words of a section."""
        return (self.config.sources + 1) * self.config.neurons

    @property
    def cleared(self) -> range:
        """What ``CLEAR`` sets to 0."""
        return range(self.start[Section.ACC], len(self.start) * self.rows)

    # --- the table -----------------------------------------------------------------------------------------
    @cached_property
    def _tables(self) -> dict[str, list[int]]:
        config = self.config
        base, slope = reciprocal_table()
        group_start = config.group_start.tolist()
        values = info_values(config, self._softmax_lanes, self.abilities).values()
        return {
            "exp": exp2_table(config.exp_index_bits).tolist(),
            # Less one: the first would not fit.
            "base": (base - 1).tolist(),
            "slope": slope.tolist(),
            "info": [word for value in values for word in split(value, INFO_VALUE_WORDS)],
            "group": [g for g in range(config.groups + 1) for _ in range(group_start[g], group_start[g + 1])],
            "word": [column // config.lanes for column in range(config.neurons)],
        }

    @cached_property
    def table(self) -> tuple[int, ...]:
        """All words of the table."""
        return tuple(word for part in self._tables.values() for word in part)

    def table_start(self, name: str) -> int:
        """First word of a part: ``exp``, ``base`` (less one), ``slope``, ``info``; ``group``, ``word`` of a neuron."""
        parts = list(self._tables)
        return sum(len(self._tables[part]) for part in parts[: parts.index(name)])

    @property
    def info_words(self) -> int:
        """Words that ``INFO`` answers."""
        return len(self._tables["info"])
