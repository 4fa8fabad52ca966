"""Run a study's cases side by side, remember each finished one, go on where it was interrupted."""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from golden.errors import SvpgError
from golden.files import append_line, write_atomically

Result = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One run of a study: ``function(**arguments)`` returns a JSON object.

    Parameters
    ----------
    name: row (or curve) of the table; cases of several seeds share it.
    function: module-level function.
    arguments: JSON values.
    local: further arguments on which the result does not depend, such as folders.
    settings: what else the result depends on, as text: resolved settings, the digest of a file.
    """

    name: str
    function: Callable[..., Result]
    arguments: dict[str, Any] = field(default_factory=dict)
    local: dict[str, Any] = field(default_factory=dict)
    settings: str = ""

    @property
    def key(self) -> str:
        """Identity of the case in the journal."""
        identity = [self.name, self.function.__qualname__, self.arguments, self.settings]
        text = json.dumps(identity, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Finished:
    """A case with its result."""

    case: Case
    result: Result


def run_cases(cases: Sequence[Case], journal: Path, workers: int) -> list[Finished]:
    """Results of all cases in their order; those that ``journal`` (JSON lines) holds are not run again.

    Without workers nothing is run, and the results are those that the journal holds.

    Raises
    ------
    SvpgError: the journal is damaged or cannot be written.
    """
    journal.parent.mkdir(parents=True, exist_ok=True)
    done = _read(journal)
    if not workers:
        return [Finished(case, done[case.key]) for case in cases if case.key in done]
    waiting = [case for case in cases if case.key not in done]
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, context, _prepare_worker, (os.getpid(),)) as pool:
        futures = {pool.submit(case.function, **case.arguments, **case.local): case for case in waiting}
        try:
            finished = concurrent.futures.as_completed(futures)
            for future in tqdm(
                finished,
                total=len(cases),
                initial=len(cases) - len(waiting),
                unit="run",
                disable=not sys.stderr.isatty(),
            ):
                case = futures[future]
                done[case.key] = future.result()
                append_line(journal, json.dumps({"key": case.key, "name": case.name, "result": done[case.key]}))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [Finished(case, done[case.key]) for case in cases]


def _prepare_worker(parent: int) -> None:
    """One thread for arithmetic, and one that ends the worker when its parent is gone (killed without a chance)."""
    import torch

    torch.set_num_threads(1)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _read(journal: Path) -> dict[str, Result]:
    if not journal.exists():
        return {}
    done: dict[str, Result] = {}
    lines = journal.read_text(encoding="utf-8").split("\n")
    if lines[-1]:
        # An interrupted write left half a line; that case runs again.
        lines.pop()
        write_atomically(journal, lambda stream: stream.write("".join(f"{line}\n" for line in lines).encode()))
    for number, line in enumerate(lines, 1):
        if line:
            try:
                entry = json.loads(line)
                done[entry["key"]] = entry["result"]
            except (ValueError, KeyError, TypeError) as error:
                raise SvpgError(
                    f"{journal}: line {number} is damaged ({error}); delete the file to start anew"
                ) from error
    return done


def grouped(finished: Sequence[Finished]) -> dict[str, list[Finished]]:
    """Finished cases by name, in order of first appearance."""
    groups: dict[str, list[Finished]] = {}
    for item in finished:
        groups.setdefault(item.case.name, []).append(item)
    return groups


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def write_report(path: Path, text: str) -> None:
    """Write a Markdown report whole or not at all."""
    write_atomically(path, lambda stream: stream.write((text.rstrip() + "\n").encode()))


def missing(wanted: Sequence[Case], finished: Sequence[Finished]) -> str:
    """A paragraph on the runs that are not there."""
    done = {item.case.key for item in finished}
    lacking: dict[str, int] = {}
    for case in wanted:
        lacking[case.name] = lacking.get(case.name, 0) + (case.key not in done)
    rows = [f"{name.replace('|', ', ')}: {count}" for name, count in lacking.items() if count]
    return f"Seeds that have not been run: {'; '.join(rows)}." if rows else "All seeds have been run."
