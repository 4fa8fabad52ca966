"""Packets that carry the words of :mod:`golden.protocol` over a serial line and lose nothing (docs/link.md).

A packet is a header of :data:`HEADER_BYTES` bytes, a payload and a CRC, between two :data:`FLAG`. Within it a byte that
looks like a flag or an escape is sent as :data:`ESCAPE` and the byte with bit 5 turned over. The payload of ``DATA`` is
whole *chunks*: a byte that tells how many words follow and whether the last is marked, then the words, low byte first.
"""

from __future__ import annotations

import enum
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.errors import SvpgError
from golden.protocol import LAST, Words

LINK_VERSION = 1
"""Changes when a packet changes its form or meaning."""

FLAG, ESCAPE, FLIP = 0x7E, 0x7D, 0x20
"""Bounds a packet; announces a byte that is sent with :data:`FLIP` turned over."""

HEADER_BYTES = 4
"""Kind, number, acknowledgement, limit: a byte each."""

CRC_BYTES = 4
"""CRC-32 of header and payload, polynomial 0x04c11db7 as in Ethernet and zlib, low byte first."""

CRC_RESIDUE = 0x2144DF1C
"""CRC of a packet with its own CRC behind it."""

NUMBERS = 256
"""Packets of a direction are counted modulo this."""

SESSION_BYTES = 2

CHUNK_LAST = 0x80
"""In the first byte of a chunk: the last word is marked. The other bits are its words less one."""

FULL_FIT = HEADER_BYTES + CRC_BYTES
"""What a slot of a buffer holds beside the payload."""


class Kind(enum.IntEnum):
    """What a packet is; :data:`KIND_MEANINGS` tells what each says."""

    DATA = 1
    STATUS = 2
    LOST = 3
    ASK = 4
    AGAIN = 5
    OPEN = 6
    RESUME = 7
    OPENED = 8
    CLOSED = 9


KIND_MEANINGS = {
    Kind.DATA: "chunks of words",
    Kind.STATUS: "nothing but the header",
    Kind.LOST: "a packet was damaged or missing; send again from the acknowledgement on",
    Kind.ASK: "answer with STATUS",
    Kind.AGAIN: "send DATA again from the acknowledgement on, then as ASK",
    Kind.OPEN: "begin the session, unless it is the present one",
    Kind.RESUME: "go on with the session, if it is the present one",
    Kind.OPENED: "the session and the device's buffers",
    Kind.CLOSED: "no session, or not the one to be resumed",
}
"""What each kind says, for people."""

CONTROLS = (Kind.STATUS, Kind.LOST, Kind.ASK, Kind.AGAIN)
"""Kinds without a payload and without a number of their own."""


@dataclass(frozen=True)
class Buffers:
    """Buffers of a device, one of these sizes in each direction.

    Parameters
    ----------
    slots: packets that a buffer holds; a power of two from 4 to 64.
    slot_bytes: the longest packet without flags and escapes; a power of two from 32 to 256.

    Raises
    ------
    SvpgError: other sizes.
    """

    slots: int = 8
    slot_bytes: int = 256

    def __post_init__(self) -> None:
        for name, low, high in (("slots", 4, 64), ("slot_bytes", 32, 256)):
            value = getattr(self, name)
            if not low <= value <= high or value & (value - 1):
                raise SvpgError(f"{name} = {value} is not possible; give a power of two from {low} to {high}")

    @property
    def payload(self) -> int:
        """Most bytes of a payload."""
        return self.slot_bytes - FULL_FIT

    @property
    def window(self) -> int:
        """Packets that a device can hold while another arrives."""
        return self.slots - 1


@dataclass(frozen=True)
class Packet:
    """A packet whose CRC was right, or that is to be sent.

    Parameters
    ----------
    kind: of :class:`Kind`; other numbers exist in damaged or future packets.
    number: of ``DATA``: its place among those of its direction. Of ``STATUS``, ``LOST`` and ``OPENED``: that of the
        last ``ASK`` or ``AGAIN`` that came. Of ``ASK`` and ``AGAIN``: any, to be told again.
    acknowledged: the next number that is awaited in the other direction.
    limit: from the device: the first number that it has no room for. From the host: 0.
    payload: bytes.
    """

    kind: int
    number: int = 0
    acknowledged: int = 0
    limit: int = 0
    payload: bytes = b""

    @property
    def body(self) -> bytes:
        """Header, payload, CRC."""
        content = bytes((self.kind, self.number, self.acknowledged, self.limit)) + self.payload
        return content + zlib.crc32(content).to_bytes(CRC_BYTES, "little")

    @classmethod
    def parse(cls, body: bytes) -> Packet | None:
        """Inverse of :attr:`body`; None if it is too short or its CRC is wrong."""
        if len(body) < FULL_FIT or zlib.crc32(body) != CRC_RESIDUE:
            return None
        kind, number, acknowledged, limit = body[:HEADER_BYTES]
        return cls(kind, number, acknowledged, limit, body[HEADER_BYTES:-CRC_BYTES])

    def encode(self) -> bytes:
        """The bytes on the line, both flags included."""
        return bytes([FLAG]) + stuff(self.body) + bytes([FLAG])


def stuff(body: bytes) -> bytes:
    """Bytes of a packet without those that look like flags."""
    escape = bytes([ESCAPE])
    for byte in (ESCAPE, FLAG):
        body = body.replace(bytes([byte]), escape + bytes([byte ^ FLIP]))
    return body


_ESCAPED = re.compile(re.escape(bytes([ESCAPE])) + rb"(.?)", re.DOTALL)


def unstuff(stuffed: bytes) -> bytes:
    """Inverse of :func:`stuff`, of what lies between two flags; an escape without a byte behind it is dropped."""
    if ESCAPE not in stuffed:
        return stuffed
    return _ESCAPED.sub(lambda match: bytes(byte ^ FLIP for byte in match[1]), stuffed)


class Deframer:
    """Finds the packets in a stream of bytes.

    Parameters
    ----------
    longest: bytes of the longest packet without flags and escapes; what is longer is damaged.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._pending = b""

    def feed(self, data: bytes) -> Iterator[Packet | None]:
        """Take bytes; gives the packets that end with them, None for one that is damaged."""
        *ended, pending = (self._pending + data).split(bytes([FLAG]))
        # More than this is too long however it goes on.
        self._pending = pending[: 2 * self._longest + 2]
        for stuffed in ended:
            body = unstuff(stuffed)
            if body:
                yield Packet.parse(body) if len(body) <= self._longest else None


# --- words -------------------------------------------------------------------------------------------
def payloads(words: NDArray[np.integer], most: int) -> list[bytes]:
    """Words as payloads of ``DATA``.

    Parameters
    ----------
    words: of frames, last words marked; may begin and end within a frame.
    most: bytes of a payload.
    """
    data = (np.asarray(words) & (LAST - 1)).astype("<u2").tobytes()
    ends = (2 * (np.flatnonzero(np.asarray(words) & LAST) + 1)).tolist()
    done: list[bytes] = []
    parts: list[bytes] = []
    room, at = most, 0
    for end in [*ends, *([len(data)] if not ends or ends[-1] != len(data) else [])]:
        marked = bool(ends) and end <= ends[-1]
        while at < end:
            if room < 3:
                done.append(b"".join(parts))
                parts, room = [], most
            stop = min(end, at + 2 * ((room - 1) // 2))
            mark = CHUNK_LAST if marked and stop == end else 0
            parts += (bytes([mark | (stop - at) // 2 - 1]), data[at:stop])
            room -= 1 + stop - at
            at = stop
    return [*done, b"".join(parts)] if parts else done


def payload_words(payload: bytes) -> Words:
    """Inverse of :func:`payloads`, of one of them; a chunk that goes beyond it is cut, and so is half a word."""
    parts, marks, at, count = [], [], 0, 0
    while at < len(payload):
        head = payload[at]
        size = min((head & ~CHUNK_LAST) + 1, (len(payload) - at - 1) // 2)
        whole = size == (head & ~CHUNK_LAST) + 1
        parts.append(payload[at + 1 : at + 1 + 2 * size])
        count += size
        if head & CHUNK_LAST and whole:
            marks.append(count - 1)
        at += 1 + 2 * ((head & ~CHUNK_LAST) + 1)
    words = np.frombuffer(b"".join(parts), dtype="<u2").astype(np.uint32)
    words[marks] |= LAST
    return words


def unwrapped(number: int, near: int) -> int:
    """The count nearest to ``near`` that a number on the line may mean."""
    half = NUMBERS // 2
    return near + (number - near + half) % NUMBERS - half
