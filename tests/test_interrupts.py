"""Requests to end are interrupts, but for those that whoever started the program wants it to ignore."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from host.interrupts import interruptible

ENDS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def handlers() -> Iterator[dict[int, Callable[..., Any] | int | None]]:
    """What a program begins with; what the test runner has set, which ``nohup`` may have changed, comes back."""
    before = {number: signal.getsignal(number) for number in ENDS}
    usual = {number: signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL for number in ENDS}
    for number, handler in usual.items():
        signal.signal(number, handler)
    yield usual
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDS, ids=lambda number: number.name)
def test_every_request_to_end_is_an_interrupt(number: signal.Signals, handlers: dict[int, Any]) -> None:
    with pytest.raises(KeyboardInterrupt), interruptible():
        os.kill(os.getpid(), number)
        signal.pause()
    assert {number: signal.getsignal(number) for number in ENDS} == handlers


def test_a_closed_terminal_ends_nothing_that_was_started_with_nohup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with interruptible():
        os.kill(os.getpid(), signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
