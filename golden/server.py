"""The golden device behind the frames of the protocol: the twin of the RTL's top."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from golden.arguments import OPTIMISERS, POLICIES, RULES, Apply, apply_limits, obs_range, section_format
from golden.config import DeviceConfig
from golden.device import Device
from golden.errors import SvpgError
from golden.protocol import (
    BIAS_NAMES,
    EVERYTHING,
    FLAG_GIVEN,
    HARDWARE_COUNTERS,
    HEADER_BITS,
    LAST,
    POLICY_FLAGS,
    RULE_FLAGS,
    SECTION_NAMES,
    UPDATE_ARGUMENTS,
    Abilities,
    Command,
    Ints,
    Section,
    Status,
    Words,
    command_fields,
    flags_exist,
    frame_words,
    header,
    info_values,
    pack,
    parse_header,
    response_fields,
    unpack,
)

POLICY_NAMES = {number: name for name, number in POLICIES.items()}
RULE_NAMES = {number: name for name, number in RULES.items()}
OPTIMISER_NAMES = {number: name for name, number in OPTIMISERS.items()}


class FrameServer:
    """A golden device that takes command frames and gives response frames.

    Consecutive frames with equal headers and lengths are worked on together, which makes batches of ``INFER`` and
    ``LEARN`` about as fast as those of :class:`golden.device.Device`. The counters that only hardware has are answered
    0.

    Parameters
    ----------
    config: sizes and formats.
    softmax_lanes: answered by ``INFO``; 0 says that this is a model.
    abilities: what it learns with.

    Attributes
    ----------
    device: the golden device; all parameters are zero at first.
    """

    def __init__(self, config: DeviceConfig, softmax_lanes: int = 0, abilities: Abilities = EVERYTHING) -> None:
        self.config, self.abilities = config, abilities
        self.device = Device(config)
        self._info = np.array([list(info_values(config, softmax_lanes, abilities).values())], dtype=np.int64)
        self._exists = existing_synapses(config)
        # An unfinished frame as long as the longest is too long already; more of it cannot matter.
        self._enough = max(
            frame_words(command_fields(config, command, flags))
            for command in abilities.commands
            for flags in range(1 << HEADER_BITS)
            if flags_exist(config, command, flags, abilities)
        )
        self._pending = np.zeros(0, dtype=np.uint32)

    def reset(self) -> None:
        """Forget an unfinished frame. Parameters stay."""
        self._pending = self._pending[:0]

    def exchange(self, words: NDArray[np.integer], responses: int | None = None) -> Words:
        """Take words, give the response words of every frame that is whole with them.

        Parameters
        ----------
        words: command frames, integer (n,), last words marked; may begin and end within a frame.
        responses: how many frames must be whole; not checked unless told.

        Raises
        ------
        SvpgError: no words of the protocol; another number of frames than told. Nothing has been taken then.
        """
        new = np.asarray(words)
        if new.ndim != 1 or new.dtype.kind not in "iu" or (new.size and not 0 <= new.min() <= new.max() < 2 * LAST):
            raise SvpgError(f"words of frames must be a flat array of integers from 0 to {2 * LAST - 1:#x}")
        stream = np.concatenate([self._pending, new.astype(np.uint32)])
        ends = np.flatnonzero(stream & LAST) + 1
        starts = np.append(0, ends)[:-1]
        if responses not in (None, ends.size):
            raise SvpgError(
                f"{ends.size} command frames are whole, not the {responses} to be answered; mark last words"
            )
        self._pending = stream[ends[-1] if ends.size else 0 :][: self._enough].copy()
        heads, lengths = stream[starts] & (LAST - 1), ends - starts
        changes = np.flatnonzero((np.diff(heads) != 0) | (np.diff(lengths) != 0)) + 1
        answers = [
            self._answer(stream[starts[first] : ends[last - 1]].reshape(last - first, -1))
            for first, last in itertools.pairwise([0, *changes.tolist(), ends.size])
            if first < last
        ]
        return np.concatenate([np.zeros(0, dtype=np.uint32), *answers])

    def _answer(self, frames: Words) -> Words:
        """Responses, flat, to frames of one length that have the same header, (n, length)."""
        code, flags = parse_header(int(frames[0, 0]))
        if code not in self.abilities.commands:
            return refusals(code, np.full(len(frames), Status.COMMAND))
        command = Command(code)
        if not flags_exist(self.config, command, flags, self.abilities):
            return refusals(code, np.full(len(frames), Status.FLAGS))
        fields = command_fields(self.config, command, flags)
        arguments = unpack(fields, frames)
        status = self._status(command, flags, arguments, *frames.shape)
        good = status == Status.OK
        if not good.any():
            return refusals(code, status)
        result = self._execute(command, flags, {name: values[good] for name, values in arguments.items()})
        reply = response_fields(self.config, command, flags)
        responses = np.empty((len(frames), frame_words(reply)), dtype=np.uint32)
        responses[good] = pack(header(command, Status.OK), reply, result, int(good.sum()))
        responses[~good, 0] = refusals(code, status[~good])
        kept = np.ones(responses.shape, dtype=bool)
        kept[~good, 1:] = False
        return responses[kept]

    def _status(
        self, command: Command, flags: int, arguments: dict[str, Ints], frames: int, length: int
    ) -> NDArray[np.int64]:
        """Status of each of some frames of one length, from the values that are whole.

        The length comes last: a frame that ends early has no values beyond, in one that goes on all of them come first.
        """
        status = np.full(frames, Status.OK)
        fields = command_fields(self.config, command, flags)
        for field in fields:
            wrong = self._wrong(field.name, flags, arguments).any(axis=1)
            status[wrong & (status == Status.OK)] = Status.ADDRESS if field.name in ("row", "word") else Status.VALUE
        if length != frame_words(fields):
            status[status == Status.OK] = Status.LENGTH
        return status

    def _wrong(self, name: str, flags: int, arguments: dict[str, Ints]) -> NDArray[np.bool_]:
        """Which values of a field the device does not take, as far as those before them are right."""
        config, values = self.config, arguments[name]
        if name in UPDATE_ARGUMENTS:
            low, high = apply_limits(config, OPTIMISER_NAMES[flags])[name]
            return (values < low) | (values > high)
        match name:
            case "row":
                return values > config.sources
            case "word":
                return values >= config.row_words
            case "obs":
                low, high = obs_range(config)
                return (values < low) | (values > high)
            case "modulator":
                return (values < config.modulator.low) | (values > config.modulator.high)
            case "given":
                return values >= config.group_size
            case "action":
                return values >= config.actions
            case "values" if values.size:
                number_format = section_format(config, SECTION_NAMES[Section(flags)])
                row, word = (
                    np.minimum(arguments["row"], config.sources),
                    np.minimum(arguments["word"], config.row_words - 1),
                )
                exists = self._exists[row[:, 0], word[:, 0], : values.shape[1]]
                return (values < number_format.low) | (values > number_format.high) | ((values != 0) & ~exists)
        return np.zeros(values.shape, dtype=bool)

    def _execute(self, command: Command, flags: int, arguments: dict[str, Ints]) -> dict[str, Ints]:
        """Results of frames that are right, one after the other."""
        match command:
            case Command.INFO:
                return {"values": self._info}
            case Command.LOAD:
                for row, word, values in zip(*(arguments[name] for name in ("row", "word", "values")), strict=True):
                    section, start, count = self._span(Section(flags), int(row[0]), int(word[0]))
                    self.device.load(section, values[:count], start)
                return {}
            case Command.READ:
                words = np.zeros((len(arguments["row"]), self.config.lanes), dtype=np.int64)
                for i, (row, word) in enumerate(zip(arguments["row"], arguments["word"], strict=True)):
                    section, start, count = self._span(Section(flags), int(row[0]), int(word[0]))
                    words[i, :count] = self.device.read(section, start, count)
                return {"values": words}
            case Command.INFER:
                nonce = arguments["nonce"][:, 0].view(np.uint64)
                given = None
                if flags & FLAG_GIVEN:
                    # The device takes winners of all groups and does not look at the action's.
                    given = np.pad(arguments["given"], ((0, 0), (0, 1)))
                result = self.device.infer(arguments["obs"], nonce, POLICY_NAMES[flags & POLICY_FLAGS], given)
                hardware = {name: np.zeros(len(nonce), dtype=np.int64) for name in HARDWARE_COUNTERS}
                return {name: values.reshape(len(nonce), -1) for name, values in (vars(result) | hardware).items()}
            case Command.LEARN:
                # The contrastive rule and spike mode look at the action alone.
                hidden = arguments.get(
                    "given", np.zeros((len(arguments["action"]), self.config.groups), dtype=np.int64)
                )
                counters = self.device.learn(
                    arguments["obs"],
                    np.hstack([hidden, arguments["action"]]),
                    arguments["modulator"][:, 0],
                    RULE_NAMES[flags & RULE_FLAGS],
                    arguments["nonce"][:, 0].view(np.uint64) if self.config.spikes else None,
                )
                hardware = {name: np.zeros(len(hidden), dtype=np.int64) for name in HARDWARE_COUNTERS}
                return {name: values[:, None] for name, values in (vars(counters) | hardware).items()}
            case Command.APPLY:
                for values in zip(*(arguments[name][:, 0].tolist() for name in UPDATE_ARGUMENTS), strict=True):
                    self.device.apply(Apply(OPTIMISER_NAMES[flags], *values))
                return {"cycles": np.zeros((len(arguments["rate"]), 1), dtype=np.int64)}
            case Command.CLEAR:
                self.device.clear_learning()
                return {}

    def _span(self, section: Section, row: int, word: int) -> tuple[str, int, int]:
        """Section, flat start and count of the columns in a row word."""
        first = word * self.config.lanes
        count = min(self.config.lanes, self.config.neurons - first)
        if row == self.config.sources:
            return BIAS_NAMES[section], first, count
        return SECTION_NAMES[section], row * self.config.neurons + first, count


def existing_synapses(config: DeviceConfig) -> NDArray[np.bool_]:
    """Values of the row words that may be other than 0, (P + 1, row words, lanes): synapses and, in row P, biases."""
    exists = np.zeros((config.sources + 1, config.row_words * config.lanes), dtype=bool)
    exists[: config.sources, : config.neurons] = config.mask
    exists[config.sources, : config.neurons] = True
    return exists.reshape(config.sources + 1, config.row_words, config.lanes)


def refusals(code: int, status: Ints) -> Words:
    """Responses without a body, one word each."""
    return (header(code, 0) | (status << HEADER_BITS) | LAST).astype(np.uint32)
