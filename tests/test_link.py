"""The link over a serial line: its packets, and what it makes of a line that damages them (docs/link.md)."""

from __future__ import annotations

import random
import re
import zlib
from pathlib import Path

import numpy as np
import pytest

from golden.errors import SvpgError
from golden.link import (
    CONTROLS,
    CRC_RESIDUE,
    ESCAPE,
    FLAG,
    FULL_FIT,
    KIND_MEANINGS,
    LINK_VERSION,
    NUMBERS,
    Buffers,
    Deframer,
    Kind,
    Packet,
    payload_words,
    payloads,
    stuff,
    unstuff,
    unwrapped,
)
from golden.link_client import LinkTransport, PipeError
from golden.link_server import LinkServer
from golden.protocol import EVERYTHING, LAST, Command
from golden.server import FrameServer
from sim.faults import FAULTS, FaultyPipe
from tests.links import SMALL, GoldenPipe, mix

INFO = np.array([Command.INFO | LAST], dtype=np.uint32)


def server(buffers: Buffers | None = None) -> LinkServer:
    return LinkServer(FrameServer(SMALL), buffers)


def answers(device: LinkServer, *packets: Packet) -> list[Packet | None]:
    """What a device sends because of some packets."""
    sent = device.take(b"".join(packet.encode() for packet in packets))
    return list(Deframer(device.buffers.slot_bytes).feed(sent))


def opened(buffers: Buffers | None = None, session: int = 7) -> LinkServer:
    """A device with a session."""
    device = server(buffers)
    answers(device, Packet(Kind.OPEN, payload=session.to_bytes(2, "little")))
    return device


# --- packets -------------------------------------------------------------------------------------------
def test_a_stuffed_packet_holds_no_flag_and_comes_back() -> None:
    rng = random.Random(0)
    for _ in range(300):
        body = bytes(rng.choice((FLAG, ESCAPE, FLAG ^ 0x20, ESCAPE ^ 0x20, rng.randrange(256))) for _ in range(40))
        assert FLAG not in stuff(body) and unstuff(stuff(body)) == body


def test_the_crc_is_that_of_ethernet_and_leaves_a_residue() -> None:
    body = Packet(Kind.DATA, 1, 2, 3, b"123456789").body
    assert body[-4:] == zlib.crc32(body[:-4]).to_bytes(4, "little")
    assert zlib.crc32(b"123456789") == 0xCBF43926 and zlib.crc32(body) == CRC_RESIDUE


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_packets_are_found_wherever_the_stream_is_cut_and_whatever_lies_between(size: int) -> None:
    rng = random.Random(size)
    packets = [Packet(rng.randrange(256), 1, 2, 3, rng.randbytes(rng.randrange(100))) for _ in range(100)]
    noise = [bytes(rng.choice((1, 2, 0xFF)) for _ in range(rng.choice((0, 0, 1, 3, 400)))) for _ in packets]
    line = b"".join(n + packet.encode() for n, packet in zip(noise, packets, strict=True))
    deframer = Deframer(256)
    found = [packet for at in range(0, len(line), size) for packet in deframer.feed(line[at : at + size])]
    assert [packet for packet in found if packet is not None] == packets
    assert found.count(None) == sum(bool(n) for n in noise)


def test_every_single_fault_in_a_packet_is_noticed() -> None:
    line = Packet(Kind.DATA, 3, 1, 0, bytes(range(0x70, 0x90))).encode()
    for at in range(1, len(line) - 1):
        wrong = [line[:at] + line[at + 1 :], line[:at]]
        wrong += [line[:at] + bytes([line[at] ^ 1 << bit]) + line[at + 1 :] for bit in range(8)]
        wrong += [line[:at] + bytes([byte]) + line[at:] for byte in (0, line[at], ESCAPE, FLAG, 0xFF)]
        for stream in wrong:
            # A flag that is put in at the very beginning or end is an empty packet, and does no harm.
            found = list(Deframer(256).feed(stream + bytes([FLAG])))
            assert found == [None] * len(found) or stream.replace(bytes([FLAG]), b"") == line.strip(bytes([FLAG]))


def test_a_packet_longer_than_a_slot_is_damaged() -> None:
    fits, too_long = (Packet(Kind.DATA, payload=bytes(size - FULL_FIT)) for size in (64, 65))
    assert list(Deframer(64).feed(fits.encode() + too_long.encode())) == [fits, None]


@pytest.mark.parametrize("most", [24, 25, 120, 248])
def test_words_come_back_from_payloads_that_end_anywhere(most: int) -> None:
    rng = np.random.default_rng(most)
    for count in (0, 1, 2, most // 2, 500):
        for share in (0.0, 0.1, 1.0):
            words = (rng.integers(0, LAST, count) | (rng.random(count) < share) * LAST).astype(np.uint32)
            parts = payloads(words, most)
            assert all(0 < len(part) <= most for part in parts)
            assert np.array_equal(np.concatenate([words[:0], *map(payload_words, parts)]), words)


def test_a_chunk_beyond_its_payload_is_cut_and_ends_no_frame() -> None:
    assert payload_words(bytes((0x82, 1, 0, 2, 0))).tolist() == [1, 2]
    assert payload_words(bytes((0x80, 1))).tolist() == []
    assert payload_words(bytes((0x80, 1, 0, 0))).tolist() == [1 | LAST]


def test_numbers_are_told_apart_half_a_round_to_either_side() -> None:
    for near in (0, 5, 255, 256, 1000):
        for count in range(max(0, near - NUMBERS // 2), near + NUMBERS // 2):
            assert unwrapped(count % NUMBERS, near) == count


def test_every_kind_has_a_meaning() -> None:
    assert set(KIND_MEANINGS) == set(Kind) > set(CONTROLS)


@pytest.mark.parametrize("sizes", [{"slots": 2}, {"slots": 6}, {"slot_bytes": 16}, {"slot_bytes": 512}])
def test_other_buffers_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(SvpgError, match="give a power of two"):
        Buffers(**sizes)


# --- the device ----------------------------------------------------------------------------------------
def test_a_device_without_a_session_says_so() -> None:
    assert answers(server(), Packet(Kind.ASK, 5)) == [Packet(Kind.CLOSED, 0, 0, 7)]
    assert answers(server(), Packet(Kind.RESUME, payload=b"\1\0")) == [Packet(Kind.CLOSED, 0, 0, 7)]


def test_a_session_is_opened_once_and_resumed_as_it_is() -> None:
    device = opened(Buffers(4, 128), session=7)
    one = Packet(Kind.DATA, 0, payload=payloads(INFO, 120)[0])
    answers(device, one)
    for kind in (Kind.OPEN, Kind.RESUME):
        assert answers(device, Packet(kind, payload=b"\7\0")) == [Packet(Kind.OPENED, 0, 1, 4, bytes((7, 0, 1, 4, 16)))]
    assert answers(device, Packet(Kind.RESUME, payload=b"\10\0")) == [Packet(Kind.CLOSED, 0, 1, 4)]
    assert answers(device, Packet(Kind.OPEN, payload=b"\10\0")) == [
        Packet(Kind.OPENED, 0, 0, 3, bytes((8, 0, 1, 4, 16)))
    ]


def test_a_packet_that_comes_twice_counts_once() -> None:
    device = opened()
    one = Packet(Kind.DATA, 0, payload=payloads(INFO, 248)[0])
    (answer,) = answers(device, one)
    assert answer is not None and answer.kind == Kind.DATA and (answer.number, answer.acknowledged) == (0, 1)
    assert answers(device, one) == [Packet(Kind.STATUS, 0, 1, 8)]


def test_a_gap_and_damage_are_reported_and_nothing_behind_a_gap_is_kept() -> None:
    device = opened()
    assert answers(device, Packet(Kind.DATA, 1, payload=b"")) == [Packet(Kind.LOST, 0, 0, 7)]
    assert device.take(bytes((FLAG, 1, 2, 3, FLAG))) == Packet(Kind.LOST, 0, 0, 7).encode()
    assert device.damaged == 2


def test_answers_are_kept_until_they_are_acknowledged_and_then_the_core_goes_on() -> None:
    device = opened(Buffers(4, 32))
    asked = [Packet(Kind.DATA, i, payload=payloads(INFO, 24)[0]) for i in range(3)]
    # An answer takes six packets of eleven words; four fit.
    first = answers(device, *asked)
    assert [packet.number for packet in first if packet and packet.kind == Kind.DATA] == [0, 1, 2, 3]
    again = answers(device, Packet(Kind.AGAIN, 9, 2))
    assert again[0] == Packet(Kind.STATUS, 9, 3, again[0].limit)
    assert [packet.number for packet in again[1:]] == [2, 3, 4, 5]
    assert again[1:3] == [p for p in first if p and p.kind == Kind.DATA][2:] or again[1].payload == first[2].payload


def test_an_acknowledgement_of_what_was_never_sent_is_ignored() -> None:
    device = opened()
    assert answers(device, Packet(Kind.ASK, 1, 200)) == [Packet(Kind.STATUS, 1, 0, 7)]
    assert len(answers(device, Packet(Kind.DATA, 0, 200, payload=payloads(INFO, 248)[0]))) == 1


# --- both ----------------------------------------------------------------------------------------------
def test_a_frame_longer_than_all_buffers_passes() -> None:
    transport = LinkTransport(GoldenPipe(server(Buffers(4, 32))))
    words = np.arange(1000, dtype=np.uint32)
    words[0], words[-1] = 0xFF, 0xFF | LAST
    assert transport.exchange(words, 1).tolist() == [0x01FF | LAST]


def test_a_host_that_begins_again_finds_a_device_without_half_a_frame() -> None:
    device = server()
    LinkTransport(GoldenPipe(device))
    device.take(Packet(Kind.DATA, 0, payload=payloads(np.array([Command.LOAD, 1, 2]), 248)[0]).encode())
    answer = LinkTransport(GoldenPipe(device)).exchange(INFO, 1)
    assert np.array_equal(answer, FrameServer(SMALL).exchange(INFO))


def test_a_device_that_was_reset_is_not_taken_for_the_old_one() -> None:
    pipe = GoldenPipe(server())
    transport = LinkTransport(pipe)
    pipe.server = server()
    with pytest.raises(SvpgError, match=r"lost the session.*begin again"):
        transport.exchange(INFO, 1)


class Silent(GoldenPipe):
    """A line on which nothing comes."""

    def read(self, wait: float) -> bytes:
        """Nothing."""
        return b""


def test_silence_is_told_with_what_to_check() -> None:
    with pytest.raises(SvpgError, match=r"not answered for 0.05 s; check cable, power and baud rate"):
        LinkTransport(Silent(server()), silence=0.05, wait=0.01)


class Gone(GoldenPipe):
    """A port that goes when it is told to, and comes back if it is told to."""

    def __init__(self, device: LinkServer, comes_back: bool) -> None:
        super().__init__(device)
        self.gone, self.comes_back = False, comes_back

    def write(self, data: bytes) -> None:
        """Works while it is there."""
        if self.gone:
            raise PipeError("the port is gone")
        super().write(data)

    def reopen(self) -> None:
        """In vain, or not."""
        super().reopen()
        self.gone = not self.comes_back


def test_a_port_that_does_not_come_back_is_told() -> None:
    pipe = Gone(server(), comes_back=False)
    transport = LinkTransport(pipe, silence=0.05, wait=0.01)
    pipe.gone = True
    with pytest.raises(PipeError, match="the port is gone"):
        transport.exchange(INFO, 1)


def test_a_device_that_another_host_has_used_meanwhile_is_not_resumed() -> None:
    pipe = Gone(server(), comes_back=True)
    transport = LinkTransport(pipe)
    LinkTransport(GoldenPipe(pipe.server))
    pipe.gone = True
    with pytest.raises(SvpgError, match="lost the session"):
        transport.exchange(INFO, 1)


class Hanging(LinkServer):
    """A device whose core does not answer."""

    def _work(self) -> bytes:
        return b""


def test_a_core_that_hangs_is_told_from_a_dead_link() -> None:
    transport = LinkTransport(GoldenPipe(Hanging(FrameServer(SMALL))), patience=0.05, wait=0.001)
    with pytest.raises(SvpgError, match="answers on the link, but has not gone on"):
        transport.exchange(INFO, 1)


def test_a_device_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("golden.link_server.LINK_VERSION", 9)
    with pytest.raises(SvpgError, match="speaks version 9 of the link, this program 1"):
        LinkTransport(GoldenPipe(server()))


@pytest.mark.parametrize(
    ("buffers", "share", "cut_every", "seed"),
    [(Buffers(), 0.01, 150, 1), pytest.param(Buffers(4, 32), 0.2, 50, 2, marks=pytest.mark.slow)],
)
def test_mixed_transactions_over_a_bad_line_are_those_of_a_good_one(
    buffers: Buffers, share: float, cut_every: int, seed: int
) -> None:
    device = server(buffers)
    pipe = FaultyPipe(GoldenPipe(device), share, seed, cut_every)
    transport = LinkTransport(pipe)
    result = mix(SMALL, EVERYTHING, transport, 10_000, seed, batch=8)
    assert (result.wrong, result.wrong_words) == (0, 0)
    assert result.transactions.total() == 10_000 and set(result.transactions) > {command.name for command in Command}
    assert set(pipe.faults) == {*FAULTS, "port"} and pipe.faults["port"] == transport.traffic.reopened >= 5
    assert transport.traffic.repeated > 0 and transport.traffic.damaged > 0 and device.damaged > 0


def test_the_document_has_every_kind() -> None:
    text = (Path(__file__).parents[1] / "docs" / "link.md").read_text(encoding="utf-8")
    block = text.partition("<!-- kinds -->")[2].partition("<!-- /kinds -->")[0]
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| (.+) \|$", block, re.MULTILINE)
    assert rows == [(str(int(kind)), kind.name, says) for kind, says in KIND_MEANINGS.items()]
    assert f"# Link, version {LINK_VERSION}" in text
