"""Lines and transactions for tests of the link."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

import numpy as np

from golden.config import DeviceConfig
from golden.link_client import LinkTransport
from golden.link_server import LinkServer
from golden.protocol import (
    HEADER_BITS,
    LAST,
    Abilities,
    Command,
)
from golden.server import FrameServer
from sim.bench.frames import UNKNOWN, Frame, FrameMaker, load_frames, random_parameters, read_frames

SMALL = DeviceConfig(inputs=5, groups=3, group_size=4, actions=3, lanes=6)
"""A device whose rows take three words."""


class GoldenPipe:
    """A line to a golden device; implements :class:`golden.link_client.Pipe`.

    Parameters
    ----------
    server: the device.
    """

    def __init__(self, server: LinkServer) -> None:
        self.server = server
        self._coming = b""

    def write(self, data: bytes) -> None:
        """Hand bytes to the device."""
        self._coming += self.server.take(data)

    def read(self, wait: float) -> bytes:
        """What the device has sent, in pieces as a port gives them; nothing comes later."""
        data, self._coming = self._coming[:1000], self._coming[1000:]
        return data

    def reopen(self) -> None:
        """What was on its way to the host is lost."""
        self._coming = b""

    def close(self) -> None:
        """Nothing comes any more."""
        self._coming = b""


# --- transactions --------------------------------------------------------------------------------------
def frames_of(words: np.ndarray) -> list[Frame]:
    """Words as whole frames."""
    ends = np.flatnonzero(words & LAST) + 1
    assert not words.size or ends[-1] == words.size
    return [part.tolist() for part in np.split(words, ends[:-1])] if words.size else []


def what_golden_knows(frame: Frame) -> Frame:
    """A response with 0 for what only hardware counts."""
    unknown = UNKNOWN.get(frame[0] & (LAST - 1), []) if len(frame) > 1 else []
    return [frame[i] & LAST if i in unknown else frame[i] for i in range(len(frame))]


@dataclass(frozen=True)
class Mixed:
    """What came of mixed transactions.

    Parameters
    ----------
    transactions: by command.
    wrong: answers that differ from those of a golden device on an undisturbed line.
    wrong_words: row words of any memory that differ at the end.
    """

    transactions: Counter[str]
    wrong: int
    wrong_words: int


def mix(
    config: DeviceConfig,
    abilities: Abilities,
    transport: LinkTransport,
    transactions: int,
    seed: int,
    softmax_lanes: int = 0,
    batch: int = 40,
) -> Mixed:
    """Load a device, send it commands of all kinds, right and refused ones, in batches; then read all its memories."""
    rng = random.Random(seed)
    maker = FrameMaker(config, rng, abilities=abilities)
    twin = FrameServer(config, softmax_lanes, abilities)
    counted: Counter[str] = Counter()

    def ask(frames: list[Frame]) -> int:
        """Answers that are wrong."""
        words = np.array([word for frame in frames for word in frame], dtype=np.uint32)
        answers, expected = (frames_of(side.exchange(words, len(frames))) for side in (transport, twin))
        assert len(answers) == len(expected) == len(frames)
        return sum(what_golden_knows(a) != what_golden_knows(b) for a, b in zip(answers, expected, strict=True))

    wrong = ask(load_frames(config, *random_parameters(config, rng, "small")))
    wrong += ask([[Command.CLEAR | LAST]])
    while (left := transactions - counted.total()) > 0:
        frames = [
            maker.right() if rng.random() < 0.95 else maker.wrong() for _ in range(min(left, rng.randint(1, batch)))
        ]
        counted.update(_name(frame) for frame in frames)
        wrong += ask(frames)
    return Mixed(counted, wrong, ask(read_frames(config, abilities)))


def _name(frame: Frame) -> str:
    code = frame[0] & (1 << HEADER_BITS) - 1
    return Command(code).name if code in tuple(Command) else "unknown"
