"""The device's side of the protocol, written from docs/protocol.md, and frames by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from golden.arguments import Apply
from golden.config import DeviceConfig
from golden.device import Device
from golden.protocol import LAST, Command, Section, Status, header, info_values, split, words_of

Words = NDArray[np.uint32]
Values = list[tuple[int, int]]
"""Values with their numbers of words."""

SECTIONS = (("weight", "bias"), ("acc", "acc_bias"), ("moment", "moment_bias"))
"""Synapses and biases, by the flags of LOAD and READ."""


def frame(command: int, flags: int, *values: tuple[int, int]) -> list[int]:
    """A frame of values with their numbers of words."""
    words = [header(command, flags)]
    for value, count in values:
        words += split(value, count)
    return mark(words)


def mark(words: list[int]) -> list[int]:
    """The same words with the mark on the last alone."""
    bare = [word % LAST for word in words]
    return [*bare[:-1], bare[-1] + LAST]


def array(*frames: Iterable[int]) -> Words:
    """Frames one after the other."""
    return np.array([word for words in frames for word in words], dtype=np.uint32)


def section_bits(config: DeviceConfig, section: int) -> tuple[int, bool]:
    """Bits of a value of a memory, and whether it has a sign."""
    return ((config.weight_bits, True), (config.acc_bits, True), (config.moment_bits, False))[section]


def load_frame(config: DeviceConfig, row: int, word: int, values: Iterable[int], section: int = 0) -> list[int]:
    """``LOAD``."""
    size = words_of(section_bits(config, section)[0])
    return frame(Command.LOAD, section, (row, 2), (word, 1), *((value, size) for value in values))


def read_frame(row: int, word: int, section: int = Section.WEIGHT) -> list[int]:
    """``READ``."""
    return frame(Command.READ, section, (row, 2), (word, 1))


def infer_frame(
    config: DeviceConfig, obs: Iterable[int], nonce: int = 1, flags: int = 0, winners: Iterable[int] = ()
) -> list[int]:
    """``INFER``."""
    size = words_of(config.obs_bits)
    return frame(Command.INFER, flags, (nonce, 4), *((s, size) for s in obs), *((w, 1) for w in winners))


def learn_frame(
    config: DeviceConfig,
    obs: Iterable[int],
    flags: int,
    modulator: int,
    action: int,
    winners: Iterable[int] = (),
    nonce: int | None = None,
) -> list[int]:
    """``LEARN``; with a nonce in spike mode."""
    size = words_of(config.obs_bits)
    values = [(modulator, words_of(config.modulator_bits)), (action, 1), *((s, size) for s in obs)]
    if nonce is not None:
        values.insert(0, (nonce, 4))
    return frame(Command.LEARN, flags, *values, *((w, 1) for w in winners))


def apply_frame(flags: int, *arguments: int) -> list[int]:
    """``APPLY`` with mean_shift, rate, obs_rate, decay, floor, grid."""
    return frame(Command.APPLY, flags, *((argument, 1) for argument in arguments))


INFO_FRAME = frame(Command.INFO, 0)
CLEAR_FRAME = frame(Command.CLEAR, 0)


class RefusedError(Exception):
    """Ends the reading of a frame with a status."""


class Reference:
    """The device's side of the protocol word by word, in plain integers, as docs/protocol.md tells it."""

    def __init__(self, config: DeviceConfig) -> None:
        self.config, self.device = config, Device(config)

    def answer(self, words: list[int]) -> list[int]:
        """Response to one whole frame."""
        rest = iter([word % LAST for word in words])

        def value(count: int, low: int, high: int, status: Status, signed: bool = False) -> int:
            total = 0
            for i in range(count):
                word = next(rest, None)
                if word is None:
                    raise RefusedError(Status.LENGTH)
                total |= word << (16 * i)
            if signed and total >> (16 * count - 1):
                total -= 1 << (16 * count)
            if not low <= total <= high:
                raise RefusedError(status)
            return total

        first = next(rest)
        code, flags = first % 256, first // 256
        run = {
            1: self._info,
            2: self._load,
            3: self._read,
            4: self._infer,
            5: self._learn,
            6: self._apply,
            7: self._clear,
        }.get(code)
        try:
            if run is None:
                raise RefusedError(Status.COMMAND)
            finish = run(flags, value)
            if next(rest, None) is not None:
                raise RefusedError(Status.LENGTH)
        except RefusedError as refused:
            return frame(code, refused.args[0])
        return frame(code, Status.OK, *finish())

    def _info(self, flags: int, value: Callable[..., int]) -> Callable[[], Values]:
        if flags:
            raise RefusedError(Status.FLAGS)
        return lambda: [(number, 2) for number in info_values(self.config, 0).values()]

    def _address(self, flags: int, value: Callable[..., int]) -> tuple[int, int, range]:
        """Row, word and the columns of that word."""
        if flags > 2:
            raise RefusedError(Status.FLAGS)
        c = self.config
        row = value(2, 0, c.sources, Status.ADDRESS)
        word = value(1, 0, c.row_words - 1, Status.ADDRESS)
        return row, word, range(word * c.lanes, (word + 1) * c.lanes)

    def _place(self, section: int, row: int, columns: range) -> tuple[str, int, int]:
        c, (synapses, biases) = self.config, SECTIONS[section]
        count = len([column for column in columns if column < c.neurons])
        return (biases, columns[0], count) if row == c.sources else (synapses, row * c.neurons + columns[0], count)

    def _load(self, flags: int, value: Callable[..., int]) -> Callable[[], Values]:
        c = self.config
        row, _, columns = self._address(flags, value)
        bits, signed = section_bits(c, flags)
        values = []
        for column in columns:
            exists = column < c.neurons and (row == c.sources or bool(c.mask[row, column]))
            low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
            values.append(value(words_of(bits), low * exists, high * exists, Status.VALUE, signed=signed))
        section, start, count = self._place(flags, row, columns)

        def write() -> Values:
            self.device.load(section, values[:count], start)
            return []

        return write

    def _read(self, flags: int, value: Callable[..., int]) -> Callable[[], Values]:
        c = self.config
        row, _, columns = self._address(flags, value)
        section, start, count = self._place(flags, row, columns)

        def read() -> Values:
            values = self.device.read(section, start, count).tolist() + [0] * (c.lanes - count)
            return [(number, words_of(section_bits(c, flags)[0])) for number in values]

        return read

    def _obs(self, value: Callable[..., int]) -> list[int]:
        c = self.config
        low, high = -(1 << (c.obs_bits - 1)), (1 << (c.obs_bits - 1)) - 1
        if c.mode == "spike" and c.obs_spikes == "bernoulli":
            low, high = 0, min(high, 1 << c.obs_frac)
        return [value(words_of(c.obs_bits), low, high, Status.VALUE, signed=True) for _ in range(c.inputs)]

    def _given(self, value: Callable[..., int]) -> list[int]:
        return [value(1, 0, self.config.group_size - 1, Status.VALUE) for _ in range(self.config.groups)]

    def _infer(self, flags: int, value: Callable[..., int]) -> Callable[[], Values]:
        c = self.config
        policy = flags % 4
        spiking = c.mode == "spike"
        if flags >= 32 or policy == 3 or (flags & 4 and policy != 2):
            raise RefusedError(Status.FLAGS)
        if (flags & 16 and not spiking) or (policy == 2 and spiking):
            raise RefusedError(Status.FLAGS)
        nonce = value(4, 0, 2**64 - 1, Status.VALUE)
        obs = self._obs(value)
        winners = np.array([[*self._given(value), 0]]) if flags & 4 else None

        def decide() -> Values:
            name = ("sample", "greedy", "conditional")[policy]
            r = self.device.infer(np.array([obs]), np.array([nonce], dtype=np.uint64), name, winners)
            probability = [(p, words_of(c.prob_frac + 1)) for p in r.prob_raw[0].tolist()]
            activity = [(q, 1) for q in r.q_raw[0].tolist()] if flags & 8 else []
            counters = [(int(r.iterations[0]), 1), (int(r.events[0]), 2), (int(r.row_words[0]), 2), (0, 2), (0, 2)]
            spikes = [(w, 1) for w in r.spikes[0].ravel().tolist()] if flags & 16 else []
            return [*counters, *((w, 1) for w in r.winners[0].tolist()), *probability, *activity, *spikes]

        return decide

    def _learn(self, flags: int, value: Callable[..., int]) -> Callable[[], Values]:
        c = self.config
        rule = flags % 4
        spiking = c.mode == "spike"
        if flags >= 8 or rule == 3 or (rule == 1 and spiking):
            raise RefusedError(Status.FLAGS)
        nonce = value(4, 0, 2**64 - 1, Status.VALUE) if spiking else 0
        most = (1 << (c.modulator_bits - 1)) - 1
        modulator = value(words_of(c.modulator_bits), -most, most, Status.VALUE, signed=True)
        action = value(1, 0, c.actions - 1, Status.VALUE)
        obs = self._obs(value)
        hidden = [0] * c.groups if rule == 2 or spiking else self._given(value)

        def learn() -> Values:
            name = ("published", "conditional", "contrastive")[rule]
            sample = np.array([obs]), np.array([[*hidden, action]]), np.array([modulator])
            r = self.device.learn(*sample, name, np.array([nonce], dtype=np.uint64))
            counters = [(int(n[0]), 2) for n in (r.events, r.row_words, r.learn_words)]
            return [(int(r.iterations[0]), 1), *counters, (0, 2), (0, 2)] if flags & 4 else []

        return learn

    def _apply(self, flags: int, value: Callable[..., int]) -> Callable[[], Values]:
        c = self.config
        if flags > 2:
            raise RefusedError(Status.FLAGS)
        slowest = c.weight_frac if flags == 2 else 20
        limits = {
            "mean_shift": (0, 20),
            "rate": (-4, slowest),
            "obs_rate": (-4, slowest),
            "decay": (0, 15),
            "floor": (0, c.moment_frac),
            "grid": (0, c.acc_frac),
        }
        given = [value(1, *limits[name], Status.VALUE, signed=True) for name in limits]

        def apply() -> Values:
            self.device.apply(Apply(("sgd", "rmsprop", "sign")[flags], *given))
            return [(0, 2)]

        return apply

    def _clear(self, flags: int, value: Callable[..., int]) -> Callable[[], Values]:
        if flags:
            raise RefusedError(Status.FLAGS)

        def clear() -> Values:
            self.device.clear_learning()
            return []

        return clear
