"""The device's end of the link, around the golden device: the twin of the RTL (docs/link.md)."""

from __future__ import annotations

from collections import deque

import numpy as np

from golden.link import (
    HEADER_BYTES,
    LINK_VERSION,
    NUMBERS,
    SESSION_BYTES,
    Buffers,
    Deframer,
    Kind,
    Packet,
    payload_words,
    payloads,
)
from golden.server import FrameServer


class LinkServer:
    """A golden device behind a serial line: bytes in, bytes out.

    Hardware decides by the pace of its line which answers share a packet. This model answers at once: what a packet
    asks for is done, and what came of it sent, before the next is looked at; so answers to the commands of one packet
    share packets. Hardware that is given one frame at a time, and time to rest after it, gives the same bytes.

    Parameters
    ----------
    core: the device.
    buffers: of the link.

    Attributes
    ----------
    session: the present one, None at first.
    damaged: packets that were thrown away, because they were damaged or not the next.
    """

    def __init__(self, core: FrameServer, buffers: Buffers | None = None) -> None:
        self.core, self.buffers = core, buffers or Buffers()
        self.session: int | None = None
        self.damaged = 0
        self._deframer = Deframer(self.buffers.slot_bytes)
        self._begin()

    def _begin(self) -> None:
        """All counts of a new session are zero."""
        self.core.reset()
        # Of what comes: packets that wait for the core, the next number, how many the core has had, and the limit told.
        self._waiting: deque[bytes] = deque()
        self._expected = self._consumed = 0
        self._told = self.buffers.window
        # Of what goes: packets that may have to be sent again, the first one's number, the next one to send.
        self._kept: deque[bytes] = deque()
        self._first = self._next = 0
        self._answers = np.zeros(0, dtype=np.uint32)
        self._asked = 0

    @property
    def _limit(self) -> int:
        return self._consumed + self.buffers.window

    def take(self, data: bytes) -> bytes:
        """Take bytes from the line; gives those that the device sends."""
        return b"".join(self._react(packet) for packet in self._deframer.feed(data))

    def _react(self, packet: Packet | None) -> bytes:
        """What is sent because of a packet, None if it is damaged."""
        if packet is None:
            self.damaged += 1
            return b"" if self.session is None else self._control(Kind.LOST)
        if packet.kind in (Kind.OPEN, Kind.RESUME):
            return self._open(packet)
        if self.session is None:
            return self._control(Kind.CLOSED)
        reply: Kind | None = None
        done = (packet.acknowledged - self._first) % NUMBERS
        if done <= len(self._kept):
            for _ in range(done):
                self._kept.popleft()
            self._first += done
            self._next = max(self._next, self._first)
        match packet.kind:
            case Kind.DATA:
                reply = self._data(packet)
            case Kind.ASK | Kind.AGAIN:
                self._asked, reply = packet.number, Kind.STATUS
                if packet.kind == Kind.AGAIN:
                    self._next = self._first
        # A report does not wait for what it makes the core do.
        report = b"" if reply is None else self._control(reply)
        return report + self._work()

    def _open(self, packet: Packet) -> bytes:
        """``OPEN`` and ``RESUME``."""
        # Of a packet without a payload the CRC is looked at, as hardware does.
        session = int.from_bytes(packet.body[HEADER_BYTES : HEADER_BYTES + SESSION_BYTES], "little")
        if self.session != session:
            if packet.kind == Kind.RESUME:
                return self._control(Kind.CLOSED)
            self.session = session
            self._begin()
        buffers = self.buffers
        sizes = bytes((LINK_VERSION, buffers.slots, buffers.slot_bytes // 8))
        return self._control(Kind.OPENED, session.to_bytes(SESSION_BYTES, "little") + sizes)

    def _data(self, packet: Packet) -> Kind | None:
        """Keep a packet if it is the next; what is to be reported otherwise."""
        ahead = (packet.number - self._expected) % NUMBERS
        if ahead == 0 and self._expected - self._consumed < self.buffers.window:
            self._expected += 1
            self._waiting.append(packet.payload)
            return None
        self.damaged += 1
        # What came before is there already: the host has not heard of it.
        return Kind.LOST if ahead < NUMBERS // 2 else Kind.STATUS

    def _work(self) -> bytes:
        """Let the core work as long as there are commands and room for answers; gives the ``DATA`` to be sent."""
        sent = b""
        while True:
            room = self.buffers.slots - len(self._kept)
            if self._answers.size and room:
                ready = payloads(self._answers, self.buffers.payload)
                self._kept.extend(ready[:room])
                left = [payload_words(payload) for payload in ready[room:]]
                self._answers = np.concatenate([np.zeros(0, dtype=np.uint32), *left])
                sent += self._send()
            elif not self._answers.size and self._waiting:
                self._answers = self.core.exchange(payload_words(self._waiting.popleft()))
                self._consumed += 1
                # Room that no packet has told of yet is told when half of the buffer is free again.
                if self._limit - self._told >= self.buffers.slots // 2:
                    sent += self._control(Kind.STATUS)
            else:
                return sent + self._send()

    def _send(self) -> bytes:
        """``DATA`` that has not been sent, or is to be sent again."""
        sent = b""
        while self._next < self._first + len(self._kept):
            sent += self._packet(Kind.DATA, self._next, self._kept[self._next - self._first])
            self._next += 1
        return sent

    def _control(self, kind: Kind, payload: bytes = b"") -> bytes:
        return self._packet(kind, self._asked, payload)

    def _packet(self, kind: Kind, number: int, payload: bytes) -> bytes:
        self._told = self._limit
        return Packet(kind, number % NUMBERS, self._expected % NUMBERS, self._limit % NUMBERS, payload).encode()
