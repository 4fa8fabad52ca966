"""Random command frames: right ones of every kind, and wrong ones of every kind."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from golden.arguments import OPTIMISERS, POLICIES, RULES, apply_limits, obs_range, policies, section_format
from golden.config import DeviceConfig
from golden.fixed import Format
from golden.protocol import (
    COUNTER_WORDS,
    COUNTERS,
    EVERYTHING,
    FLAG_ACTIVITY,
    FLAG_COUNTERS,
    FLAG_GIVEN,
    FLAG_SPIKES,
    HARDWARE_COUNTERS,
    HEADER_BITS,
    LAST,
    LEARN_COUNTERS,
    NONCE_WORDS,
    POLICY_FLAGS,
    ROW_WORDS,
    RULE_FLAGS,
    SECTION_NAMES,
    WORD_BITS,
    Abilities,
    Command,
    Ints,
    Section,
    Status,
    Words,
    command_fields,
    header,
    pack,
)

Frame = list[int]


def hardware_words(counters: tuple[str, ...]) -> list[int]:
    """Places of the words that only hardware knows in a response with some counters behind the iterations."""
    first = {name: 2 + COUNTER_WORDS * place for place, name in enumerate(counters)}
    return [first[name] + word for name in HARDWARE_COUNTERS for word in range(COUNTER_WORDS)]


UNKNOWN = {
    header(Command.INFER, Status.OK): hardware_words(COUNTERS),
    header(Command.LEARN, Status.OK): hardware_words(LEARN_COUNTERS),
    header(Command.APPLY, Status.OK): [1, 2],
}
"""The same by the header of the response."""


def frame(config: DeviceConfig, command: Command, flags: int = 0, **values: int | list[int]) -> Frame:
    """One command frame; ``values`` by the names of :func:`golden.protocol.command_fields`."""
    arrays: dict[str, Ints] = {
        name: np.atleast_2d(np.array(value, dtype=np.int64)).reshape(1, -1) for name, value in values.items()
    }
    words: Words = pack(header(command, flags), command_fields(config, command, flags), arrays, 1)
    return [int(word) for word in words[0]]


def load_frames(config: DeviceConfig, weight: Ints, bias: Ints) -> list[Frame]:
    """``LOAD`` of all parameters: raw weights (P, N), biases (N,)."""
    lanes, words = config.lanes, config.row_words
    rows = np.zeros((config.sources + 1, words * lanes), dtype=np.int64)
    rows[:-1, : config.neurons], rows[-1, : config.neurons] = weight, bias
    return [
        frame(
            config,
            Command.LOAD,
            Section.WEIGHT,
            row=row,
            word=word,
            values=values[word * lanes : (word + 1) * lanes].tolist(),
        )
        for row, values in enumerate(rows)
        for word in range(words)
    ]


def read_frames(config: DeviceConfig, abilities: Abilities) -> list[Frame]:
    """``READ`` of all memories."""
    return [
        frame(config, Command.READ, section, row=row, word=word)
        for section in abilities.sections
        for row in range(config.sources + 1)
        for word in range(config.row_words)
    ]


def random_parameters(config: DeviceConfig, rng: random.Random, kind: str) -> tuple[Ints, Ints]:
    """Raw weights (P, N) and biases (N,): ``zero``, ``small``, ``any`` in the format, or its ``ends``."""
    source = np.random.default_rng(rng.getrandbits(32))
    low, high = config.weight.low, config.weight.high
    shape = (config.sources + 1, config.neurons)
    match kind:
        case "zero":
            rows = np.zeros(shape, dtype=np.int64)
        case "small":
            one = max(1, (1 << config.weight_frac) // 2)
            rows = np.clip(np.round(source.normal(scale=one, size=shape)), low, high).astype(np.int64)
        case "any":
            rows = source.integers(low, high, size=shape, endpoint=True)
        case "ends":
            rows = source.choice([low, 0, high], size=shape)
        case _:
            raise ValueError(kind)
    rows[:-1] *= config.mask
    return rows[:-1], rows[-1]


def changed(words: Frame, at: int, value: int) -> Frame:
    """A frame with another value in one word."""
    return [*words[:at], value | words[at] & LAST, *words[at + 1 :]]


def cut(words: Frame) -> Frame:
    """A frame without its last word."""
    return [*words[:-2], words[-2] | LAST]


def longer(words: Frame) -> Frame:
    """A frame with a word too many."""
    return [*words[:-1], words[-1] & (LAST - 1), LAST]


def beyond(number: Format) -> tuple[int, ...]:
    """The nearest values outside of a signed format, as far as its words can hold them."""
    return (number.low - 1, number.high + 1) if number.bits % WORD_BITS else ()


class FrameMaker:
    """Random frames for one device.

    Parameters
    ----------
    config: the device.
    rng: of all randomness.
    visited: raw observations (n, S) that are common among the random ones.
    abilities: what the device learns with.
    """

    def __init__(
        self,
        config: DeviceConfig,
        rng: random.Random,
        visited: NDArray[np.int64] | None = None,
        abilities: Abilities = EVERYTHING,
    ) -> None:
        self.config, self.rng, self.visited = config, rng, visited
        self.abilities = abilities.within(config)

    def observation(self) -> list[int]:
        """All zero, sparse, any, the ends of the format, or a visited one."""
        config, rng = self.config, self.rng
        low, high = obs_range(config)
        if self.visited is not None and rng.random() < 0.8:
            return [int(value) for value in rng.choice(self.visited)]
        share = rng.choice((0.0, 0.2, 0.6, 1.0, 1.0))
        draw: Callable[[], int] = rng.choice(
            (
                lambda: rng.randint(low, high),
                lambda: rng.randint(0, min(high, 1 << config.obs_frac)),
                lambda: rng.choice((low, high)),
            )
        )
        return [draw() if rng.random() < share else 0 for _ in range(config.inputs)]

    def infer(
        self,
        policy: str | None = None,
        given: bool | None = None,
        activity: bool | None = None,
        spikes: bool | None = None,
    ) -> Frame:
        """A decision; what is not told is random."""
        config, rng = self.config, self.rng
        policy = policy or rng.choice(policies(config))
        given = policy == "conditional" and (rng.random() < 0.5 if given is None else given)
        activity = rng.random() < 0.7 if activity is None else activity
        flags = POLICIES[policy] | (FLAG_GIVEN if given else 0) | (FLAG_ACTIVITY if activity else 0)
        if config.spikes and (rng.random() < 0.3 if spikes is None else spikes):
            flags |= FLAG_SPIKES
        winners = {"given": [rng.randrange(config.group_size) for _ in range(config.groups)]} if given else {}
        return frame(
            config, Command.INFER, flags, nonce=rng.getrandbits(64) - (1 << 63), obs=self.observation(), **winners
        )

    def learn(self, rule: str | None = None, counters: bool | None = None) -> Frame:
        """A sample; what is not told is random."""
        config, rng = self.config, self.rng
        rule = rule or rng.choice(sorted(self.abilities.rules))
        counters = rng.random() < 0.8 if counters is None else counters
        low, high = config.modulator.low, config.modulator.high
        winners = {"given": [rng.randrange(config.group_size) for _ in range(config.groups)]}
        nonce = {"nonce": rng.getrandbits(64) - (1 << 63)} if config.spikes else {}
        return frame(
            config,
            Command.LEARN,
            RULES[rule] | (FLAG_COUNTERS if counters else 0),
            modulator=rng.choice((0, low, high, *(rng.randint(low, high),) * 5)),
            action=rng.randrange(config.actions),
            obs=self.observation(),
            **nonce,
            **({} if rule == "contrastive" or config.spikes else winners),
        )

    def update(self, optimiser: str | None = None, **arguments: int) -> Frame:
        """An update; half of the time with arguments near the usual ones, so that parameters move and do not end.

        ``arguments`` are those that are not random.
        """
        rng = self.rng
        optimiser = optimiser or rng.choice(sorted(self.abilities.optimisers))
        wild = rng.random() < 0.5
        values = {
            name: rng.choice((low, high, rng.randint(low, high))) if wild else max(low, min(high, rng.randint(0, 9)))
            for name, (low, high) in apply_limits(self.config, optimiser).items()
        }
        return frame(self.config, Command.APPLY, OPTIMISERS[optimiser], **{**values, **arguments})

    def clear(self) -> Frame:
        """Forget what was learned."""
        return frame(self.config, Command.CLEAR)

    def load(self, section: Section | None = None, place: tuple[int, int] | None = None) -> Frame:
        """Any values the device takes; into any word of any memory unless told, or at a ``place`` (row, word)."""
        config, rng = self.config, self.rng
        section = rng.choice(self.abilities.sections) if section is None else section
        row, word = place or (rng.randint(0, config.sources), rng.randrange(config.row_words))
        number = section_format(config, SECTION_NAMES[section])
        low, high = number.low, number.high
        weights = []
        for column in range(word * config.lanes, (word + 1) * config.lanes):
            exists = column < config.neurons and (row == config.sources or bool(config.mask[row, column]))
            weights.append(rng.choice((low, 0, high, rng.randint(low, high))) if exists else 0)
        return frame(config, Command.LOAD, section, row=row, word=word, values=weights)

    def fill(self, section: Section) -> list[Frame]:
        """Any values, many at the ends of the format, into a whole memory."""
        config = self.config
        return [
            self.load(section, (row, word)) for row in range(config.sources + 1) for word in range(config.row_words)
        ]

    def read(self) -> Frame:
        """Any word of any memory."""
        row, word = self.rng.randint(0, self.config.sources), self.rng.randrange(self.config.row_words)
        return frame(self.config, Command.READ, self.rng.choice(self.abilities.sections), row=row, word=word)

    def info(self) -> Frame:
        """What is the device?"""
        return frame(self.config, Command.INFO)

    def right(self) -> Frame:
        """Any right frame."""
        kinds: list[Callable[[], Frame]] = [self.info, self.load, self.read, self.infer, self.infer, self.infer]
        if self.abilities.learns:
            kinds += [self.learn, self.learn, self.learn, self.update, self.clear]
        return self.rng.choice(kinds)()

    def refused(self) -> list[Frame]:
        """A frame for every reason to refuse one."""
        config = self.config
        row_at, word_at, weights_at = 1, 1 + ROW_WORDS, 2 + ROW_WORDS
        own = frame(config, Command.LOAD, Section.WEIGHT, row=0, word=0, values=[0] * config.lanes)
        wrong = [
            [0xFF | LAST],
            changed(self.info(), 0, Command.INFO | 1 << HEADER_BITS),
            longer(self.info()),
            changed(own, weights_at, 1),
            changed(self.infer("sample"), 0, Command.INFER | 3 << HEADER_BITS),
        ]
        right = [self.load(), self.read(), self.infer()]
        if config.spikes:
            # What rate mode has, and no other policy has either.
            conditional = POLICIES["conditional"]
            for flags in (FLAG_GIVEN, conditional, conditional | FLAG_GIVEN):
                wrong.append(changed(self.infer("sample"), 0, Command.INFER | flags << HEADER_BITS))
        else:
            given = self.infer("conditional", given=True)
            right.append(given)
            wrong += [
                changed(given, len(given) - 1, config.group_size),
                changed(given, 0, given[0] & ~POLICY_FLAGS << HEADER_BITS & (LAST - 1)),
                changed(self.infer("sample"), 0, Command.INFER | FLAG_SPIKES << HEADER_BITS),
            ]
        for words in right[:2]:
            wrong += [
                changed(words, 0, words[0] | 0x80 << HEADER_BITS),
                changed(words, row_at, config.sources + 1 & (LAST - 1)),
                changed(words, row_at + 1, 0x8000),
                changed(words, word_at, config.row_words),
            ]
        for value in beyond(config.weight):
            bias = [value] + [0] * (config.lanes - 1)
            wrong.append(frame(config, Command.LOAD, Section.WEIGHT, row=config.sources, word=0, values=bias))
        low, high = obs_range(config)
        for value in beyond(config.obs) if low == config.obs.low else (low - 1, high + 1):
            wrong.append(frame(config, Command.INFER, nonce=0, obs=[0] * (config.inputs - 1) + [value]))
        if self.abilities.learns:
            right += [self.learn(), self.update()]
            wrong += self._refused_learning()
        for words in right:
            wrong += [cut(words), longer(words), [words[0] | LAST]]
        return wrong

    def _refused_learning(self) -> list[Frame]:
        """A frame for every reason to refuse one that learns."""
        config = self.config
        lesson, given = self.learn(min(self.abilities.rules)), self.learn()
        # Words before the action, beside the header.
        before = -(-config.modulator_bits // WORD_BITS) + (NONCE_WORDS if config.spikes else 0)
        wrong = [
            changed(self.clear(), 0, Command.CLEAR | 1 << HEADER_BITS),
            longer(self.clear()),
            changed(lesson, 0, Command.LEARN | RULE_FLAGS << HEADER_BITS),
            changed(lesson, 0, lesson[0] | 0x80 << HEADER_BITS),
            changed(lesson, 1 + before, config.actions),
            changed(given, 1 + before, LAST - 1),
            # Ends with its action.
            [*lesson[: 1 + before], lesson[1 + before] | LAST],
        ]
        for name, optimiser in OPTIMISERS.items():
            if name not in self.abilities.optimisers:
                continue
            for at, (low, high) in enumerate(apply_limits(config, name).values()):
                words = self.update(name)
                wrong += [changed(words, 1 + at, value & LAST - 1) for value in (low - 1, high + 1)]
            wrong.append(changed(self.update(name), 0, Command.APPLY | (optimiser | 0x40) << HEADER_BITS))
        for modulator in (config.modulator.low - 1, config.modulator.high + 1):
            flags = lesson[0] >> HEADER_BITS & RULE_FLAGS
            more: dict[str, int | list[int]] = {"nonce": 0} if config.spikes else {}
            if flags != RULES["contrastive"] and not config.spikes:
                more = {"given": [0] * config.groups}
            wrong.append(
                frame(config, Command.LEARN, flags, modulator=modulator, action=0, obs=[0] * config.inputs, **more)
            )
        return wrong

    def wrong(self) -> Frame:
        """Any frame with something wrong, mostly: a word that takes another value may be right again."""
        rng = self.rng
        words = [word & (LAST - 1) for word in self.right()]
        kind = rng.choice(("command", "flags", "cut", "long", "value", "value", "value", "noise"))
        if kind == "command":
            words[0] = words[0] & ~0xFF | rng.choice((0, max(Command) + 1, 255, rng.randrange(256)))
        elif kind == "flags":
            words[0] ^= 1 << rng.randrange(8, 16)
        elif kind == "cut":
            del words[rng.randint(1, len(words)) :]
        elif kind == "long":
            words += [rng.getrandbits(16) for _ in range(rng.choice((1, 2, 30)))]
        elif kind == "value":
            # Mostly the front, where row and word are, or the end.
            at = rng.choice((rng.randrange(len(words)), min(rng.randint(1, 3), len(words) - 1), len(words) - 1))
            words[at] = rng.choice((rng.getrandbits(16), LAST // 2, LAST // 2 - 1, words[at] ^ 1, words[at] + 1))
            words[at] &= LAST - 1
            if rng.random() < 0.3:
                del words[rng.randint(1, len(words)) :]
        else:
            words = [rng.getrandbits(16) for _ in range(rng.randint(1, 20))]
        words[-1] |= LAST
        return words
