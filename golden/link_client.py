"""The host's end of the link: :class:`golden.client.Transport` over a serial line (docs/link.md)."""

from __future__ import annotations

import secrets
import time
from collections import deque
from dataclasses import dataclass
from typing import NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from golden.errors import SvpgError
from golden.link import (
    LINK_VERSION,
    NUMBERS,
    SESSION_BYTES,
    Buffers,
    Deframer,
    Kind,
    Packet,
    payload_words,
    payloads,
    unwrapped,
)
from golden.protocol import LAST, Words

FIRST_WAIT = 0.05
"""Seconds without a packet after which the host asks; twice as long after every time in vain, up to the next."""

LONGEST_WAIT = 0.5

SILENCE = 3.0
"""Seconds without a packet after which nobody is there."""

PATIENCE = 120.0
"""Seconds in which a device answers on the link and does not go on with its work, after which it hangs."""


class PipeError(SvpgError):
    """The port is gone, for now or for good."""


class Pipe(Protocol):
    """A serial port, or something in its place. Every method raises :class:`PipeError` if the port is gone."""

    def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    def read(self, wait: float) -> bytes:
        """Bytes that have come; none if none come within ``wait`` seconds."""
        ...

    def reopen(self) -> None:
        """Close the port and open it again; what is on its way may be lost."""
        ...

    def close(self) -> None:
        """Close the port."""
        ...


@dataclass
class Traffic:
    """What has gone over the line, as the host sees it.

    Attributes
    ----------
    sent, received: bytes, flags and escapes included.
    packets_sent, packets_received: of any kind; of what came those that were right.
    repeated: ``DATA`` sent again.
    damaged: pieces of what came that were no packets.
    asked: times that the host asked what has become of its packets.
    reopened: times that the port was closed and opened again.
    """

    sent: int = 0
    received: int = 0
    packets_sent: int = 0
    packets_received: int = 0
    repeated: int = 0
    damaged: int = 0
    asked: int = 0
    reopened: int = 0


class LinkTransport:
    """Words over a serial line, each once and in order, whatever the line does to the bytes.

    Implements :class:`golden.client.Transport`. Many packets are on their way at a time, as far as the device's buffers
    reach. A port that is gone is opened again, and the session goes on where it was.

    Parameters
    ----------
    pipe: the port, open. A new session is begun at once.
    silence: seconds without a packet after which nobody is there.
    patience: seconds without progress after which the device hangs.
    wait: seconds without a packet after which the host asks for the first time.

    Attributes
    ----------
    buffers: of the device.
    traffic: what has gone over the line.

    Raises
    ------
    SvpgError: nobody answers, or the device speaks another version of the link.
    """

    def __init__(
        self, pipe: Pipe, silence: float = SILENCE, patience: float = PATIENCE, wait: float = FIRST_WAIT
    ) -> None:
        self._pipe, self._silence, self._patience, self._first_wait = pipe, silence, patience, wait
        self.buffers, self.traffic = Buffers(), Traffic()
        self._deframer = Deframer(self.buffers.slot_bytes)
        # Of what goes: payloads not acknowledged, the number of the first, the next to send, one beyond the last sent.
        self._kept: deque[bytes] = deque()
        self._first = self._next = self._sent = 0
        self._limit = 0
        # Of what comes: the next number, words not handed on, whole frames among them, and whether to acknowledge.
        self._expected = 0
        self._words: list[Words] = []
        self._frames = 0
        self._owes = False
        # The last question: its number, whether its answer is awaited, what was sent before it, where it went back to.
        self._asked, self._is_asking, self._mark, self._back = 0, False, 0, -1
        self._out: list[Packet] = []
        # Two sessions: the first may by chance be the one that was there, the second is not.
        self._session = secrets.randbelow(1 << 8 * SESSION_BYTES)
        for _ in range(2):
            self._session ^= 1
            self._begin()

    def close(self) -> None:
        """Close the port. The device keeps the session, which nobody can go on with."""
        self._pipe.close()

    # --- sessions --------------------------------------------------------------------------------------
    def _begin(self) -> None:
        """A new session."""
        opened = self._call(Kind.OPEN)
        version, slots, eighths = opened.payload[SESSION_BYTES : SESSION_BYTES + 3]
        if version != LINK_VERSION:
            raise SvpgError(
                f"the device speaks version {version} of the link, this program {LINK_VERSION}; rebuild the bitstream, "
                "or use the program it was built with"
            )
        self.buffers = Buffers(slots, 8 * eighths)
        self._limit = self.buffers.window

    def _resume(self) -> None:
        """The session goes on; what was on its way may be lost."""
        self._call(Kind.RESUME)
        self._ask(Kind.AGAIN)

    def _call(self, kind: Kind) -> Packet:
        """Send ``OPEN`` or ``RESUME`` until it is answered.

        Raises
        ------
        SvpgError: nobody answers, or the device has no such session.
        PipeError: the port is gone.
        """
        session = self._session.to_bytes(SESSION_BYTES, "little")
        began, wait = time.monotonic(), self._first_wait
        while True:
            self._send([Packet(kind, acknowledged=self._expected % NUMBERS, payload=session)])
            until = time.monotonic() + wait
            while data := self._read(max(0.0, until - time.monotonic())):
                for packet in self._deframer.feed(data):
                    if packet is None:
                        continue
                    if packet.kind == Kind.OPENED and packet.payload[:SESSION_BYTES] == session:
                        return packet
                    if packet.kind == Kind.CLOSED and kind == Kind.RESUME:
                        self._lost_session()
                if time.monotonic() > until:
                    break
            self._check_silence(began)
            wait = min(2 * wait, LONGEST_WAIT)

    def _lost_session(self) -> NoReturn:
        raise SvpgError(
            "the device has lost the session: it was reset or configured anew, or another program has used it; begin "
            "again, a training with --resume"
        )

    def _check_silence(self, since: float) -> None:
        """Raise if nobody has answered for too long."""
        if time.monotonic() - since > self._silence:
            raise SvpgError(f"the device has not answered for {self._silence:g} s; check cable, power and baud rate")

    # --- exchange --------------------------------------------------------------------------------------
    def exchange(self, words: NDArray[np.integer], responses: int) -> Words:
        """Send command frames and collect the responses; see :class:`golden.client.Transport`.

        Raises
        ------
        SvpgError: nobody answers any more, the device hangs, has lost the session, or answers more than was asked.
        """
        self._kept.extend(payloads(words, self.buffers.payload))
        heard = worked = time.monotonic()
        wait = self._first_wait
        while self._frames < responses or self._kept:
            before = self._progress
            try:
                self._pump()
                data = self._read(wait)
                came = self._take(data)
            except PipeError:
                self._reopen()
                heard = time.monotonic()
                continue
            now = time.monotonic()
            if came:
                heard, wait = now, self._first_wait
            if self._progress != before:
                worked = now
            elif not data or now - max(heard, worked) > wait:
                self._check_silence(heard)
                if now - worked > self._patience:
                    raise SvpgError(
                        f"the device answers on the link, but has not gone on with its work for {self._patience:g} s; "
                        "reset it"
                    )
                self._ask(Kind.AGAIN)
                wait = min(2 * wait, LONGEST_WAIT)
        if self._frames != responses:
            raise SvpgError(f"the device gives {self._frames} answers to {responses} commands; reset it")
        answer = np.concatenate([np.zeros(0, dtype=np.uint32), *self._words])
        self._words, self._frames = [], 0
        return answer

    @property
    def _progress(self) -> tuple[int, int]:
        """What changes as long as the device works."""
        return self._first, self._expected

    def _reopen(self) -> None:
        """Open a port again that is gone, and go on with the session.

        Raises
        ------
        SvpgError: it does not come back, or the session is lost.
        """
        began = time.monotonic()
        while True:
            try:
                self._pipe.reopen()
                self.traffic.reopened += 1
                self._deframer = Deframer(self.buffers.slot_bytes)
                self._resume()
                return
            except PipeError:
                if time.monotonic() - began > self._silence:
                    raise
                time.sleep(self._first_wait)

    # --- packets out -----------------------------------------------------------------------------------
    def _send(self, packets: list[Packet]) -> None:
        """Write packets, a flag between them."""
        data = b"".join(packet.encode()[:-1] for packet in packets) + packets[-1].encode()[-1:]
        self.traffic.packets_sent += len(packets)
        self.traffic.sent += len(data)
        self._pipe.write(data)

    def _pump(self) -> None:
        """Send questions, and ``DATA`` as far as the device has room; else an acknowledgement that is owed."""
        packets, self._out = self._out, []
        acknowledged = self._expected % NUMBERS
        stop = min(self._limit, self._first + len(self._kept))
        for number in range(self._next, stop):
            packets.append(Packet(Kind.DATA, number % NUMBERS, acknowledged, 0, self._kept[number - self._first]))
        if stop > self._next:
            self.traffic.repeated += max(0, min(stop, self._sent) - self._next)
            self._next, self._sent = stop, max(self._sent, stop)
        elif self._owes and not packets:
            packets = [Packet(Kind.STATUS, 0, acknowledged)]
        if packets:
            self._owes = False
            self._send(packets)

    def _ask(self, kind: Kind) -> None:
        """Ask what has come, and with ``AGAIN`` for what has not."""
        self._asked, self._is_asking = (self._asked + 1) % NUMBERS, True
        self._mark, self._back = self._next, self._first
        self.traffic.asked += 1
        self._out.append(Packet(kind, self._asked, self._expected % NUMBERS))

    # --- packets in ------------------------------------------------------------------------------------
    def _read(self, wait: float) -> bytes:
        data = self._pipe.read(wait)
        self.traffic.received += len(data)
        return data

    def _take(self, data: bytes) -> int:
        """Work on bytes that came; gives how many packets were right."""
        right = 0
        for packet in self._deframer.feed(data):
            if packet is None:
                self.traffic.damaged += 1
                self._miss()
            else:
                right += 1
                self._packet(packet)
        self.traffic.packets_received += right
        return right

    def _miss(self) -> None:
        """Something that came is lost: ask for it, once."""
        if not self._is_asking:
            self._ask(Kind.AGAIN)

    def _packet(self, packet: Packet) -> None:
        """Work on a packet."""
        if packet.kind == Kind.CLOSED:
            self._lost_session()
        if packet.kind not in (Kind.DATA, Kind.STATUS, Kind.LOST):
            return
        done = unwrapped(packet.acknowledged, self._first)
        if self._first <= done <= self._sent:
            for _ in range(done - self._first):
                self._kept.popleft()
            self._first, self._next = done, max(done, self._next)
            self._limit = max(self._limit, unwrapped(packet.limit, self._limit))
        match packet.kind:
            case Kind.DATA:
                self._data(packet)
            case Kind.STATUS if self._is_asking and packet.number == self._asked:
                self._is_asking = False
                # What was sent before the question has come by now, or never will.
                if self._first < self._mark:
                    self._next = self._first
            case Kind.LOST if packet.number == self._asked or self._first > self._back:
                # Others that were on their way tell of the same loss; they do not know of this question.
                self._next = self._first
                self._ask(Kind.ASK)

    def _data(self, packet: Packet) -> None:
        """Keep words that are the next ones."""
        ahead = unwrapped(packet.number, self._expected) - self._expected
        if ahead > 0:
            self._miss()
            return
        self._owes = True
        if ahead < 0:
            return
        words = payload_words(packet.payload)
        self._expected += 1
        self._words.append(words)
        self._frames += int(np.count_nonzero(words & LAST))
