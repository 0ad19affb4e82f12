"""The command line: results to stdout, progress to stderr."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table


def print_table(rows: Sequence[Sequence[str]], header: Sequence[str] | None = None) -> None:
    """Print rows to stdout: aligned in a terminal, otherwise one line each with tabs between the cells."""
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        for row in [header, *rows] if header else rows:
            typer.echo("\t".join(_printable(cell).strip() for cell in row))
        return
    table = Table(*(header or [""] * len(rows[0])), box=None, show_header=header is not None, pad_edge=False)
    for row in rows:
        table.add_row(*(_printable(cell) for cell in row))
    console.print(table)


@contextmanager
def stage_progress() -> Iterator[Callable[[str, float], None]]:
    """Yield a function that shows a stage's progress (name, fraction 0 to 1) on stderr in a terminal."""
    console = Console(stderr=True, markup=False, highlight=False)
    columns = (
        TextColumn("{task.description:<16}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("starting", total=1.0)

        def show(stage: str, fraction: float) -> None:
            progress.update(task, description=stage, completed=fraction)

        yield show


def _printable(text: str) -> str:
    """Return text from a file with ? for control characters, which could steer the terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)
