"""What the core is put through, one step after the other: the frames of its bench, whoever drives them.

:mod:`sim.bench.core` sends them with cocotb, :mod:`sim.mutation` sends the same ones from C++.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from golden.arguments import POLICIES, apply_limits
from golden.config import DeviceConfig
from golden.device import Device
from golden.parameters import Parameters, to_octaves
from golden.protocol import Command, Section, parse_header
from golden.rng import STREAM_SPIKES, STREAM_WINNERS, draws, first_draw
from golden.server import FrameServer, existing_synapses
from hdl.options import CoreOptions
from sim.bench.frames import Frame, FrameMaker, frame, load_frames, random_parameters, read_frames
from sim.bench.run import ROOT

POLICY = ROOT / "tests" / "data" / "pendulum_policy.npz"
"""A trained pendulum net with observations that were visited."""

NONCES = 1 << 15
"""Nonces among which those at an edge are looked for: their draws lie two apart on average."""

RANDOM_NETS = ("zero", "small", "any", "ends")
"""Nets that :func:`sim.bench.frames.random_parameters` makes."""


@dataclass(frozen=True)
class Step:
    """Frames that are sent one after the other.

    Parameters
    ----------
    name: of the part of the course they belong to.
    frames: to send.
    ragged: offer and take words at random times.
    cut: reset after so many cycles, whatever has happened by then; ``None``: wait for the responses.
    is_net: the frames load a whole net; those that load what is there already may be left out.
    """

    name: str
    frames: tuple[Frame, ...]
    ragged: bool = False
    cut: int | None = None
    is_net: bool = False


@dataclass(frozen=True)
class Course:
    """A device and how much of everything it is put through. Every part draws random numbers of its own.

    Parameters
    ----------
    config, options: the device.
    decisions: on every net.
    frames: right and wrong ones in each flow.
    resets: in the middle of a transaction.
    seed: of everything random.
    policy: a parameter file with ``visited_obs``, whose net and observations are used too.
    """

    config: DeviceConfig
    options: CoreOptions
    decisions: int
    frames: int
    resets: int
    seed: int
    policy: str | None = None

    @property
    def nets(self) -> tuple[str, ...]:
        """Nets it decides with."""
        return RANDOM_NETS if self.policy is None else (*RANDOM_NETS, "trained")

    def maker(self, part: str) -> FrameMaker:
        """A maker of frames for a part of the course."""
        visited = None
        if self.policy is not None:
            with np.load(self.policy) as archive:
                visited = self.config.obs.quantise(archive["visited_obs"][:500])
        return FrameMaker(self.config, random.Random(f"{self.seed} {part}"), visited, self.options.abilities)

    def load(self, net: str) -> tuple[Frame, ...]:
        """``LOAD`` of a whole net, one of :attr:`nets`; the same in every part."""
        if net == "trained":
            assert self.policy is not None
            weight, bias = to_octaves(self.config, Parameters.load(Path(self.policy)))
        else:
            weight, bias = random_parameters(self.config, random.Random(f"{self.seed} {net}"), net)
        return tuple(load_frames(self.config, np.asarray(weight, dtype=np.int64), np.asarray(bias, dtype=np.int64)))

    # --- parts ---------------------------------------------------------------------------------------------
    def decide(self, ragged: bool = False) -> Iterator[Step]:
        """Decisions of every policy on every net; then the parameters are read back."""
        make = self.maker("decisions")
        for net in self.nets:
            yield Step("decisions", self.load(net), ragged, is_net=True)
            yield Step("decisions", tuple(make.infer() for _ in range(self.decisions)), ragged)
        yield Step("decisions", tuple(read_frames(self.config, self.options.abilities)), ragged)

    def mix(self, ragged: bool = False) -> Iterator[Step]:
        """Right and wrong frames of all kinds; parameters are what golden's are."""
        make = self.maker("mixture")
        yield Step("mixture", self.load("small"), ragged, is_net=True)
        frames = [make.wrong() if make.rng.random() < 0.5 else make.right() for _ in range(self.frames)]
        yield Step("mixture", tuple(frames), ragged)
        yield Step("mixture", tuple(read_frames(self.config, self.options.abilities)), ragged)

    def learn(self, ragged: bool = False) -> Iterator[Step]:
        """Samples of every rule on every net, updates of every optimiser between them; all memories are read back."""
        make, abilities = self.maker("learning"), self.options.abilities.within(self.config)
        if not abilities.learns:
            return
        for net in self.nets:
            yield Step("learning", self.load(net), ragged, is_net=True)
            for optimiser in sorted(abilities.optimisers):
                lessons = [make.learn(rule) for rule in sorted(abilities.rules) for _ in range(1 + self.decisions // 8)]
                yield Step("learning", (*lessons, make.update(optimiser), make.infer(), *lessons[:2]), ragged)
            yield Step("learning", tuple(read_frames(self.config, abilities)), ragged)
            yield Step("learning", (make.clear(),), ragged)

    def saturate(self) -> Iterator[Step]:
        """Samples and updates where accumulators, second moments and weights lie at the ends of their formats."""
        make, abilities = self.maker("saturation"), self.options.abilities.within(self.config)
        if not abilities.learns:
            return
        for optimiser in sorted(abilities.optimisers):
            limits = apply_limits(self.config, optimiser)
            fastest, slowest = limits["rate"]
            # Every rate and every grid that there is, for the rule that makes powers of two of them.
            count = max(high - low for low, high in (limits["rate"], limits["grid"])) if optimiser == "sign" else 1
            largest = {"mean_shift": 0, "rate": fastest, "obs_rate": fastest, "decay": limits["decay"][1]}
            updates = [
                make.update(optimiser, mean_shift=self.config.acc_bits - self.config.grad_bits),
                make.update(optimiser, **largest, floor=limits["floor"][1]),
                *(
                    make.update(optimiser, mean_shift=0, rate=min(fastest + i, slowest), grid=min(i, limits["grid"][1]))
                    for i in range(count + 1)
                ),
            ]
            for update in updates:
                filled = [words for section in abilities.sections for words in make.fill(section)]
                lessons = [make.learn(rule) for rule in sorted(abilities.rules)]
                read = read_frames(self.config, abilities)
                yield Step("saturation", (*filled, *lessons, *read, update, *read))

    def refuse(self) -> Iterator[Step]:
        """One frame for each reason to refuse one, between decisions; nothing changes."""
        make = self.maker("refusals")
        yield Step("refusals", self.load("small"), is_net=True)
        for words in make.refused():
            yield Step("refusals", (make.infer(), words, make.infer("greedy")))
        yield Step("refusals", tuple(read_frames(self.config, self.options.abilities)))

    def miss(self) -> Iterator[Step]:
        """Weights beside the synapses, the nearest ones, in rows at both ends of every group; all are refused."""
        config = self.config
        exists = existing_synapses(config)
        ends = {row for start, stop in itertools.pairwise(config.group_start.tolist()) for row in (start, stop - 1)}
        frames = []
        for row in sorted(ends | {config.neurons, config.sources - 1, config.sources}):
            there = np.pad(exists[row].ravel(), 1)
            beside = np.flatnonzero(~there[1:-1] & (there[:-2] | there[2:]))
            for word, lane in (divmod(int(column), config.lanes) for column in beside):
                weights = [int(at == lane) for at in range(config.lanes)]
                frames.append(frame(config, Command.LOAD, Section.WEIGHT, row=row, word=word, values=weights))
        yield Step("missing synapses", self.load("small"), is_net=True)
        yield Step("missing synapses", tuple(frames))
        yield Step("missing synapses", tuple(read_frames(config, self.options.abilities)))

    def draw_at_edges(self) -> Iterator[Step]:
        """Draws on both sides of the edge between two winners, of one group after the other."""
        config, make = self.config, self.maker("edges")
        # Where spikes act on each other, winners do not follow from one draw alone.
        frames = self.load("zero" if config.spikes else "small")
        yield Step("edges", frames, is_net=True)
        golden = FrameServer(config)
        golden.exchange(np.array([word for words in frames for word in words]))
        found = []
        for turn in range(self.decisions):
            obs = make.observation()
            for nonce in edge_nonces(golden.device, obs, turn % (config.groups + 1), make.rng):
                found.append(frame(config, Command.INFER, POLICIES["sample"], nonce=nonce, obs=obs))
        yield Step("edges", tuple(found))

    def cut(self) -> Iterator[Step]:
        """A reset at any moment of any transaction: the next one is right, parameters are still there."""
        make = self.maker("resets")
        yield Step("resets", self.load("small"), is_net=True)
        for _ in range(self.resets):
            words = make.rng.choice((make.infer, make.infer, make.read, make.info, make.wrong))()
            # A wrong frame that is right after all would change memories or not, as time allows.
            while parse_header(words[0])[0] in (Command.LOAD, Command.LEARN, Command.APPLY, Command.CLEAR):
                words = make.wrong()
            work = 60 * self.config.steps if self.config.spikes else 150
            yield Step("resets", (words,), cut=make.rng.randrange(1, 4 * len(words) + work))
            yield Step("resets", (make.infer(), make.read()))
        yield Step("resets", tuple(read_frames(self.config, self.options.abilities)))

    def cut_loads(self, count: int = 5) -> Iterator[Step]:
        """Whatever part of a ``LOAD`` was taken before a reset, the word is what it was."""
        make = self.maker("cut loads")
        yield Step("cut loads", self.load("small"), is_net=True)
        for _ in range(count):
            words = make.load()
            yield Step("cut loads", (words,), cut=make.rng.randrange(1, len(words)))
        yield Step("cut loads", tuple(read_frames(self.config, self.options.abilities)))

    def everything(self) -> Iterator[Step]:
        """All parts, in steady and in ragged flow."""
        yield from self.refuse()
        yield from self.miss()
        yield from self.draw_at_edges()
        yield from self.decide()
        yield from self.learn()
        yield from self.saturate()
        yield from self.mix()
        yield from self.mix(ragged=True)
        yield from self.cut()
        yield from self.cut_loads()
        yield from self.decide(ragged=True)


def edge_nonces(device: Device, obs: list[int], group: int, rng: random.Random) -> list[int]:
    """Two nonces with neighbouring draws of a group and different winners; none if the winner is the same for all."""
    nonces = np.array([rng.getrandbits(63) for _ in range(NONCES)], dtype=np.uint64)
    draw, stream = group, STREAM_WINNERS
    if device.config.spikes and group < device.config.groups:
        # The spike of the last step is the winner.
        draw, stream = int(first_draw(device.config.steps - 1, device.config.groups + 1)) + group, STREAM_SPIKES
    nonces = nonces[np.argsort(draws(nonces, draw + 1, stream)[:, draw])]

    def winner(place: int) -> int:
        return int(device.infer(np.array([obs]), nonces[place : place + 1], "sample").winners[0, group])

    # Winners never fall as draws grow.
    low, high = 0, NONCES - 1
    if winner(low) == winner(high):
        return []
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if winner(middle) == winner(low) else (low, middle)
    return [int(nonces[low]), int(nonces[high])]


PENDULUM_CONFIG = DeviceConfig(inputs=4, groups=8, group_size=8, actions=5, lanes=69)

PENDULUM = Course(
    PENDULUM_CONFIG,
    CoreOptions.within(PENDULUM_CONFIG, multipliers=72),
    decisions=25,
    frames=40,
    resets=50,
    seed=1,
    policy=str(POLICY),
)
"""The pendulum's device as it is built, its trained net included: rows of one word, 72 multipliers."""

WIDE = Course(
    DeviceConfig(
        inputs=3,
        groups=3,
        group_size=3,
        actions=4,
        lanes=5,
        weight_bits=18,
        obs_bits=18,
        prob_frac=16,
        activity_frac=6,
        iterations=3,
        start="uniform",
        removed="hhsa",
    ),
    CoreOptions(softmax_lanes=2, rounds_per_cycle=4, in_logic=True),
    decisions=25,
    frames=60,
    resets=100,
    seed=2,
)
"""Rows of several words with a group across their boundaries, values of two words, a uniform start, no way around."""

LEARNING = dataclasses.replace(WIDE, options=WIDE.options.learning(), resets=40)
"""The same with everything that learns."""

SPIKING = dataclasses.replace(
    WIDE,
    config=WIDE.config.replace(mode="spike", start="silent", prob_frac=15, steps=6, window=4),
    decisions=12,
    frames=40,
    resets=60,
    seed=3,
)
"""The same in spike mode."""

SPIKE_LEARNING = dataclasses.replace(
    SPIKING,
    config=SPIKING.config.replace(removed="none", obs_spikes="bernoulli", obs_bits=12, steps=4),
    options=CoreOptions(softmax_lanes=3, pipelined=True).learning(),
    decisions=8,
    resets=40,
)
"""Observations that spike, steps that are all of the window, and everything that learns."""
