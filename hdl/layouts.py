"""Payloads that components hand to each other.

A group travels as consecutive *beats* of ``lanes`` neurons, in order. Bit i of ``keep`` tells that lane i holds a
neuron; lanes fill from 0, and only the last beat of a group, marked ``last``, may hold fewer than ``lanes``.
"""

from __future__ import annotations

import enum
import math

from amaranth import Cat, signed, unsigned
from amaranth.hdl import Value
from amaranth.lib import data

from golden.arguments import section_format
from golden.config import EXP_FRAC, RECIPROCAL_FRAC, DeviceConfig
from golden.protocol import SECTION_NAMES, WORD_BITS, Section

WORD = data.StructLayout({"data": WORD_BITS, "last": 1})
"""A word of a command or response frame (:mod:`golden.protocol`)."""


def largest_group(config: DeviceConfig) -> int:
    """Neurons of the largest group, the action group included."""
    return max(config.group_size, config.actions)


def group_beats(config: DeviceConfig, lanes: int) -> int:
    """Beats of the largest group."""
    return math.ceil(largest_group(config) / lanes)


def hidden_beats(config: DeviceConfig, lanes: int) -> int:
    """Beats of all hidden groups."""
    return config.groups * math.ceil(config.group_size / lanes)


def all_beats(config: DeviceConfig, lanes: int) -> int:
    """Beats of all groups."""
    return hidden_beats(config, lanes) + math.ceil(config.actions / lanes)


def all_spikes(config: DeviceConfig) -> int:
    """Spikes of all groups in all steps of a decision."""
    return config.steps * (config.groups + 1)


def winner_bits(config: DeviceConfig) -> int:
    """Bits of an index within a group."""
    return (largest_group(config) - 1).bit_length()


def total_bits(config: DeviceConfig) -> int:
    """Bits of a group's sum of softmax terms, each at most 1.0."""
    return (largest_group(config) << EXP_FRAC).bit_length()


def word_index(config: DeviceConfig) -> range:
    """Numbers of the words of a row; at least two, because a signal without bits is not Verilog."""
    return range(max(config.row_words, 2))


class Scan(enum.IntFlag):
    """Groups whose potentials are wanted."""

    NONE = 0
    HIDDEN = 1
    ACTION = 2
    ALL = 3


def event_bits(config: DeviceConfig) -> int:
    """Bits of an event's value: an observation, or twice a change of activity by up to 1.0 either way.

    In spike mode one bit more for an observation, whose highest digit may be larger than the whole.
    """
    observation = config.obs_bits + config.drive_frac - config.obs_frac + config.spikes
    largest_move = 2 << config.drive_frac
    return max(observation, largest_move.bit_length() + 1)


def event(config: DeviceConfig) -> data.StructLayout:
    """An event: the row of ``source`` times ``value`` enters the potentials.

    Sources count as the rows of the weight matrix do; source P, one beyond, is the bias: it sets the potentials, and
    takes the value 1.0. ``scan`` asks for the potentials of some groups (:class:`Scan`) as they are after this event.
    An event of value 0 does nothing else.
    """
    return data.StructLayout(
        {"source": range(config.sources + 1), "value": signed(event_bits(config)), "scan": Scan.ALL.bit_length()}
    )


def last_beat(size: int, lanes: int) -> int:
    """Number of the last beat of a group, counted from 0."""
    return math.ceil(size / lanes) - 1


def last_keep(size: int, lanes: int) -> int:
    """``keep`` of that beat."""
    return (1 << (size - last_beat(size, lanes) * lanes)) - 1


def lies_at(index: Value, beat: Value, lane: int, lanes: int) -> Value:
    """Whether the neuron ``index`` of a group lies at a lane of a beat, both counted from 0.

    Beat by beat: the product of a beat's number and ``lanes`` would take a multiplier, and be late.
    """
    return Cat(index == first + lane for first in range(0, lanes << len(beat), lanes)).bit_select(beat, 1)


def row_values(config: DeviceConfig, section: Section) -> data.ArrayLayout:
    """The ``config.lanes`` values of a row word of a memory, lowest column first."""
    number_format = section_format(config, SECTION_NAMES[section])
    shape = signed(number_format.bits) if number_format.signed else unsigned(number_format.bits)
    return data.ArrayLayout(shape, config.lanes)


def row_place(config: DeviceConfig) -> data.StructLayout:
    """Where a row word lies: columns ``word`` * lanes and on of row ``row``, the biases being row P."""
    return data.StructLayout({"row": range(config.sources + 1), "word": word_index(config)})


def column_bits(config: DeviceConfig) -> int:
    """Bits of a column's share in the eligibility: an activity, or a change of it, times the modulator."""
    return config.modulator_bits + config.activity_frac


def factor_bits(config: DeviceConfig) -> int:
    """Bits of what each lane multiplies: a weight, a column's share, or a gradient."""
    return max(config.weight_bits, column_bits(config), config.grad_bits)


def product_bits(config: DeviceConfig) -> int:
    """Bits of a lane's product: with an event's value, or of a squared gradient."""
    return max(factor_bits(config) + event_bits(config), 2 * config.grad_bits)


def potential_beat(config: DeviceConfig, lanes: int) -> data.StructLayout:
    """Potentials of a group."""
    return data.StructLayout(
        {"potential": data.ArrayLayout(signed(config.potential_bits), lanes), "keep": lanes, "last": 1}
    )


def activity_beat(config: DeviceConfig, lanes: int) -> data.StructLayout:
    """Activities of a group."""
    return data.StructLayout({"activity": data.ArrayLayout(config.activity.bits, lanes), "keep": lanes})


def softmax_beat(config: DeviceConfig, lanes: int) -> data.StructLayout:
    """A group after the softmax.

    Per lane: ``term`` e, ``activity`` q and ``probability``, the same with ``prob_frac`` fraction bits. Per group, the
    same in each of its beats: ``total`` of the terms, ``reciprocal`` r, and ``best``, the index of the largest
    potential. Lanes without a neuron are 0.
    """
    return data.StructLayout(
        {
            "term": data.ArrayLayout(EXP_FRAC + 1, lanes),
            "activity": data.ArrayLayout(config.activity.bits, lanes),
            "probability": data.ArrayLayout(config.probability.bits, lanes),
            "keep": lanes,
            "last": 1,
            "total": total_bits(config),
            "reciprocal": RECIPROCAL_FRAC + 1,
            "best": winner_bits(config),
        }
    )
