"""A serial line that damages what passes, for tests of the link."""

from __future__ import annotations

import random
from collections import Counter

from golden.link import FLAG
from golden.link_client import Pipe, PipeError

FAULTS = ("flip", "drop", "duplicate", "insert", "cut", "lose", "repeat", "noise")
"""What happens to a piece of what passes: a bit turned over; a byte dropped, doubled, put in; the rest, or all of it,
lost; all of it twice; a run of any bytes behind it."""


class FaultyPipe:
    """Damages a share of the packets in both directions, and loses the port now and then.

    Implements :class:`golden.link_client.Pipe`.

    Parameters
    ----------
    pipe: the line that is right.
    share: of the packets that are damaged, each in one of the ways of :data:`FAULTS`.
    seed: of what is damaged.
    cut_every: writes after which the port is lost, on average; 0 for never.

    Attributes
    ----------
    faults: how often each has happened; ``port`` is the loss of the port.
    """

    def __init__(self, pipe: Pipe, share: float, seed: int, cut_every: int = 0) -> None:
        self._pipe, self._share, self._cut_every = pipe, share, cut_every
        self._rng = random.Random(seed)
        self.faults: Counter[str] = Counter()

    def write(self, data: bytes) -> None:
        """Send bytes, most of them unharmed."""
        if self._cut_every and self._rng.random() < 1 / self._cut_every:
            self.faults["port"] += 1
            # What the port has taken is on its way in part.
            self._pipe.write(data[: self._rng.randrange(len(data))])
            raise PipeError("the port is gone, as this test wants it; open it again")
        self._pipe.write(self._damaged(data))

    def read(self, wait: float) -> bytes:
        """Bytes that have come, most of them unharmed."""
        return self._damaged(self._pipe.read(wait))

    def reopen(self) -> None:
        """Close the port and open it again."""
        self._pipe.reopen()

    def close(self) -> None:
        """Close the port."""
        self._pipe.close()

    def _damaged(self, data: bytes) -> bytes:
        """What becomes of some bytes. The pieces between flags are packets, or parts of them."""
        pieces = data.split(bytes([FLAG]))
        return bytes([FLAG]).join(self._harm(piece) if piece else piece for piece in pieces)

    def _harm(self, piece: bytes) -> bytes:
        rng = self._rng
        if rng.random() >= self._share:
            return piece
        fault = rng.choice(FAULTS)
        self.faults[fault] += 1
        at = rng.randrange(len(piece))
        before, byte, after = piece[:at], piece[at : at + 1], piece[at + 1 :]
        match fault:
            case "flip":
                return before + bytes([byte[0] ^ 1 << rng.randrange(8)]) + after
            case "drop":
                return before + after
            case "duplicate":
                return before + byte + byte + after
            case "insert":
                return before + bytes([rng.randrange(256)]) + byte + after
            case "cut":
                return before
            case "lose":
                return b""
            case "repeat":
                return piece + bytes([FLAG]) + piece
        return piece + bytes([FLAG]) + rng.randbytes(rng.randint(1, 40)) + bytes([FLAG])
