"""Runs the sections of a long benchmark so that none can lose what the others found.

A section is a function that yields rows. Each has a process of its own and a budget of seconds. A row is kept as soon
as it is yielded: a section that fails, hangs or crashes the device ends alone, and its rows so far are in the table.
"""

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

Row = dict[str, Any]


class Section(NamedTuple):
    """Rows of a table.

    Attributes:
        rows: ``options -> rows``: columns and their values.
        seconds: Time limit.
        title: Title of the table.
        alone: Whether nothing else may run meanwhile, because it is about speed.
    """

    rows: Callable[[Any], Iterator[Row]]
    seconds: float
    title: str
    alone: bool = False


def run(sections: Mapping[str, Section], options: Any, results: dict[str, Any], out: Path) -> list[str]:
    """Run sections, first those that must be alone, then the others side by side if there are cores for it.

    Args:
        sections: By name.
        options: Of every section.
        results: What is known already; the rows are added to it.
        out: A folder for ``results.json``, written after each section, and ``log.txt``, what the sections print.

    Returns:
        The names of those that did not end well.
    """
    out.mkdir(parents=True, exist_ok=True)
    results["sections"], failed = {}, []
    for alone, workers in ((True, 1), (False, max(1, (os.cpu_count() or 1) // 4))):
        with ThreadPoolExecutor(workers) as pool:
            chosen = {name: section for name, section in sections.items() if section.alone == alone}
            waiting = {pool.submit(measured, section, options, out, name): name for name, section in chosen.items()}
            for done in as_completed(waiting):
                name = waiting[done]
                found = results["sections"][name] = done.result()
                (out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
                print(f"\n## {name}\n\n{sections[name].title}\n\n{table(found['rows'])}", flush=True)
                if errors := sum("error" in row for row in found["rows"]):
                    print(f"\nrows with an error: {errors}", flush=True)
                if found["problem"]:
                    print(f"\nnot complete: {found['problem']}", flush=True)
                    failed.append(name)
    return failed


def measured(section: Section, options: Any, out: Path, name: str) -> dict[str, Any]:
    """Run one section in a process of its own: its rows, how long it took, and what went wrong, "" if nothing did."""
    file, start = out / f"{name}.jsonl", time.perf_counter()
    file.unlink(missing_ok=True)
    process = get_context("spawn").Process(target=record, args=(section.rows, options, file, out / "log.txt"))
    process.start()
    process.join(section.seconds)
    problem = ""
    if process.is_alive():
        process.kill()
        with suppress(ProcessLookupError):  # it had not got that far
            os.killpg(process.pid, signal.SIGKILL)  # all that it has started
        process.join()
        problem = f"stopped after {section.seconds:.0f} s"
    elif process.exitcode:
        problem = f"it ended with code {process.exitcode}, and log.txt says why"
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    file.unlink(missing_ok=True)
    return {"seconds": round(time.perf_counter() - start, 1), "problem": problem, "rows": rows}


def record(rows: Callable[[Any], Iterator[Row]], options: Any, file: Path, log: Path) -> None:
    """Write the rows of a section into a file, one a line, and what it prints into another."""
    os.setpgrp()  # so that all that it starts can be ended with it
    printed = log.open("a")
    for stream in (sys.stdout, sys.stderr):
        os.dup2(printed.fileno(), stream.fileno())
    with file.open("a") as lines:
        for row in rows(options):
            print(json.dumps(row), file=lines, flush=True)


def attempts(cases: Mapping[str, Callable[[], Row]]) -> Iterator[Row]:
    """A row of each case, or the error in its place."""
    for name, case in cases.items():
        try:
            yield {"": name, **case()}
        except Exception as error:
            traceback.print_exc()
            yield {"": name, "error": f"{type(error).__name__}: {error}".splitlines()[0][:200]}


def table(rows: list[Row]) -> str:
    """Rows as a table in Markdown, with a column for each name that occurs."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, ["---"] * len(names), *([cell(row.get(name)) for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return "" if value is None else str(value).replace("|", "/")
