"""The compiled model: words in, words out, whatever the flow; what a device does wrong becomes an error for people."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from golden.errors import SvpgError
from golden.protocol import LAST
from sim import build, model
from sim.build import write_verilog
from sim.model import DeviceError, VerilatedModel, component_library
from tests.frames import Echo


@pytest.fixture(scope="module")
def library() -> Path:
    return component_library(Echo())


@pytest.fixture
def echo(library: Path) -> VerilatedModel:
    return VerilatedModel(library, patience=500)


def frames(count: int, seed: int = 0) -> np.ndarray:
    """Random frames of 1 to 9 words that the echo answers in good order."""
    rng = np.random.default_rng(seed)
    return np.concatenate([np.append(rng.integers(0, 99, rng.integers(0, 9)), LAST + 7) for _ in range(count)]).astype(
        np.uint32
    )


def answer(words: np.ndarray, before: int = 0) -> np.ndarray:
    """What the echo answers after ``before`` frames."""
    last = (words & LAST) != 0
    return words + (before + np.cumsum(last) - last).astype(np.uint32)


# --- words -----------------------------------------------------------------------------------------------


def test_words_go_through_in_order(echo: VerilatedModel) -> None:
    words = frames(100)
    assert np.array_equal(echo.exchange(words, 100), answer(words))
    assert np.array_equal(echo.exchange(words, 100), answer(words, 100)), "the device goes on where it was"


def test_random_flow_changes_the_time_and_nothing_else(echo: VerilatedModel) -> None:
    words = frames(200)
    quick = echo.cycles
    echo.exchange(words, 200)
    quick = echo.cycles - quick
    assert quick <= len(words) + 10, "a word in every cycle"
    echo.ragged = True
    spent = []
    for turn in range(1, 6):
        before = echo.cycles
        assert np.array_equal(echo.exchange(words, 200), answer(words, 200 * turn))
        spent.append(echo.cycles - before)
    assert min(spent) > 1.3 * quick and len(set(spent)) > 1


def test_equal_seeds_are_equal_cycles(library: Path) -> None:
    cycles = []
    for seed in (1, 1, 2):
        echo = VerilatedModel(library)
        echo.ragged, echo.seed = True, seed
        echo.exchange(frames(200), 200)
        cycles.append(echo.cycles)
    assert cycles[0] == cycles[1] != cycles[2]


def test_a_frame_may_come_in_pieces(echo: VerilatedModel) -> None:
    words = frames(10)
    first = echo.exchange(words[:11], int((words[:11] & LAST != 0).sum()))
    rest = echo.exchange(words[11:], 10 - int((first & LAST != 0).sum()))
    assert np.array_equal(np.concatenate([first, rest]), answer(words))


def test_nothing_is_an_exchange(echo: VerilatedModel) -> None:
    assert echo.exchange(np.zeros(0, np.uint32), 0).size == 0


def test_only_words_are_sent(echo: VerilatedModel) -> None:
    with pytest.raises(SvpgError, match="0x20000 has more than 16 bits"):
        echo.exchange(np.array([2 * LAST]), 1)


# --- instances -------------------------------------------------------------------------------------------


def test_a_reset_starts_over_in_the_middle_of_a_frame(echo: VerilatedModel) -> None:
    words = frames(20)
    partial = echo.exchange_for(words, 31)
    assert 0 < partial.taken < len(words)
    assert 0 < len(partial.words) <= 31 and np.array_equal(partial.words, answer(words)[: len(partial.words)])
    echo.reset()
    assert np.array_equal(echo.exchange(words, 20), answer(words))


def test_instances_share_nothing(library: Path) -> None:
    a, b = VerilatedModel(library), VerilatedModel(library)
    a.exchange(frames(5), 5)
    assert np.array_equal(b.exchange(frames(3), 3), answer(frames(3)))
    assert a.cycles != b.cycles


def test_instances_run_side_by_side(library: Path) -> None:
    """Each in its thread, all answers right; Python goes on meanwhile."""
    words = frames(20_000)
    results: dict[int, np.ndarray] = {}

    def work(number: int) -> None:
        results[number] = VerilatedModel(library).exchange(words, 20_000)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3 and all(np.array_equal(result, answer(words)) for result in results.values())


# --- faults ----------------------------------------------------------------------------------------------


def test_a_device_that_hangs_is_an_error_that_says_how_far_it_came(echo: VerilatedModel) -> None:
    words = np.append(frames(4), np.uint32(LAST + 0xDEAD))
    with pytest.raises(
        DeviceError, match=r"^the device is at fault after .* 4 of 5 responses: nothing .* 500 cycles"
    ) as e:
        echo.exchange(words, 5)
    assert "\n" not in str(e.value) and (e.value.taken, e.value.frames) == (len(words), 4)


@pytest.mark.parametrize(
    ("word", "wanted", "message"),
    [(0xFADE, 10**6, "withdrew a word"), (0xC4A6, 10**6, "changed a word"), (0x2222, 1, "answers more")],
)
def test_a_device_that_breaks_the_rules_of_streams_is_an_error(
    echo: VerilatedModel, word: int, wanted: int, message: str
) -> None:
    echo.ragged = True
    words = np.concatenate([[LAST + word], np.zeros(4000), [LAST]]).astype(np.uint32)
    with pytest.raises(DeviceError, match=message):
        echo.exchange(words, wanted)


# --- compilation -----------------------------------------------------------------------------------------


def test_a_design_is_compiled_once(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("compiled again")

    monkeypatch.setattr(model, "_command", never)
    assert component_library(Echo()) == library
    assert "module device(" in (library / "device.v").read_text()
    assert {path.name for path in library.iterdir()} == {"device.v", "model.so", "build.log"}


def test_a_compilation_that_fails_shows_its_log_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(build, "CACHE", tmp_path)
    with pytest.raises(SvpgError, match=r"does not compile \(verilator failed\).*\n.*syntax error"):
        model.library("broken", lambda path: path.write_text("module device(;"))  # type: ignore[arg-type,return-value]
    assert not list(tmp_path.iterdir())


def test_practice_changes_the_speed_and_nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(build, "CACHE", tmp_path)
    practised = []

    def practice(echo: VerilatedModel) -> None:
        practised.append(echo.exchange(frames(50), 50))

    folder = model.library("echo", lambda path: write_verilog(Echo(), path, model.DESIGN), practice=practice)
    assert np.array_equal(practised, [answer(frames(50))])
    assert np.array_equal(VerilatedModel(folder).exchange(frames(100), 100), answer(frames(100)))
    # One compiled for the profile would be slower for ever.
    assert b".gcda" not in (folder / model.LIBRARY).read_bytes()
    assert "-fprofile-use" in (folder / "build.log").read_text()


@pytest.mark.slow
def test_practice_that_fails_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(build, "CACHE", tmp_path)
    with pytest.raises(DeviceError, match="nothing has moved"):
        model.library(
            "echo",
            lambda path: write_verilog(Echo(), path, model.DESIGN),
            practice=lambda echo: VerilatedModel.exchange(echo, frames(1), 2),
        )
    assert not list(tmp_path.iterdir())


# --- waves -----------------------------------------------------------------------------------------------


def test_waves_need_a_model_made_for_them(echo: VerilatedModel, tmp_path: Path) -> None:
    with pytest.raises(SvpgError, match="waves cannot be recorded"):
        echo.record(tmp_path / "echo.fst")


@pytest.mark.slow
def test_waves_hold_the_exchange(tmp_path: Path) -> None:
    echo = VerilatedModel(component_library(Echo(), waves=True))
    echo.exchange(frames(3), 3)
    echo.record(tmp_path / "echo.fst")
    assert np.array_equal(echo.exchange(frames(50), 50), answer(frames(50), 3))
    echo.stop_recording()
    size = (tmp_path / "echo.fst").stat().st_size
    echo.exchange(frames(50), 50)
    assert size == (tmp_path / "echo.fst").stat().st_size > 1000
    with pytest.raises(SvpgError, match="cannot be written"):
        echo.record(tmp_path / "no" / "echo.fst")
