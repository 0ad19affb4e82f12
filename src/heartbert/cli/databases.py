"""The command line: `heartbert databases`, `download` and `verify`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heartbert.cli.printing import print_table, stage_progress

if TYPE_CHECKING:
    from heartbert.databases import Database

Only = Annotated[
    str | None,
    typer.Option("--only", metavar="PATTERN", help="Only files whose path or name matches, such as '*.hea'."),
]

# Files of each kind that are printed by name.
_N_NAMED = 20


def databases(
    slug: Annotated[str | None, typer.Argument(metavar="[SLUG]", help="Published slug, for all about it.")] = None,
) -> None:
    """List the open databases, or tell all about one: licence, labels, and what to beware of."""
    from heartbert.databases import DATABASES, find_database

    if slug is not None:
        _print_database(find_database(slug))
        return
    rows = [
        (
            one.slug,
            str(one.n_leads),
            _number(one.hours, ",.1f"),
            _number(one.n_subjects),
            f"{one.n_records:,}",
            one.licence,
            _size(one.size_bytes),
        )
        for one in DATABASES
    ]
    print_table(rows, header=("slug", "leads", "hours", "subjects", "recordings", "licence", "size"))


def download(
    slug: Annotated[str, typer.Argument(help="Published slug; 'heartbert databases' lists them.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the files; continued if it has some.")],
    url: Annotated[str | None, typer.Option("--url", help="Address of a mirror of the database's folder.")] = None,
    only: Only = None,
    connections: Annotated[int, typer.Option("--connections", min=1, max=16, help="Files fetched at a time.")] = 4,
) -> None:
    """Fetch a database from PhysioNet; run it again to continue, and to replace damaged files."""
    from heartbert.databases import download as fetch
    from heartbert.databases import find_database
    from heartbert.databases.transfers import Connections

    database = find_database(slug)
    print_table(_licence_rows(database))
    with stage_progress() as progress:
        done = fetch(
            database, output, url=url, only=only, connections=Connections(n_parallel=connections), progress=progress
        )
    rows = [
        ("fetched", f"{done.n_fetched:,} files, {_size(done.n_bytes)}"),
        ("already there", f"{done.n_present:,} files"),
        ("checked", "SHA-256 of every file" if done.has_sums else "length only: the source has no checksums"),
        ("written", str(done.folder)),
    ]
    print_table(rows)


def verify(
    folder: Annotated[Path, typer.Argument(help="Folder of a database.")],
    only: Only = None,
) -> None:
    """Check that the files of a database are there and whole; exit status 1 if not."""
    from heartbert.databases import verify as check

    with stage_progress() as progress:
        found = check(folder, only=only, progress=progress)
    rows = [("compared with", found.method), ("good", f"{found.n_good:,} of {found.n_listed:,}")]
    rows += [(what, f"{n:,}") for what, n in (("missing", len(found.missing)), ("damaged", len(found.damaged)))]
    rows += [("extra", f"{len(found.extra):,}")]
    rows += [("without checksum", f"{found.n_unstated:,}")] if found.n_unstated else []
    print_table(rows)
    _print_names("missing", found.missing)
    damaged = [f"{one.name}: expected {one.expected}, found {one.found}" for one in found.damaged]
    _print_names("damaged", damaged)
    _print_names("extra", found.extra)
    if not found.is_good:
        raise typer.Exit(1)


def _print_names(what: str, names: "tuple[str, ...] | list[str]") -> None:
    rows = [(what, name) for name in names[:_N_NAMED]]
    if len(names) > _N_NAMED:
        rows.append((what, f"and {len(names) - _N_NAMED:,} more"))
    if rows:
        print_table(rows)


def _print_database(database: "Database") -> None:
    facts = [
        ("slug", f"{database.slug} {database.version}"),
        ("title", database.title),
        ("recordings", f"{database.n_records:,}"),
        ("subjects", _number(database.n_subjects)),
        ("leads", f"{database.n_leads} at {database.fs:g} Hz"),
        ("hours", _number(database.hours, ",.1f")),
        ("size", _size(database.size_bytes)),
        ("labels", database.labels),
        *_licence_rows(database),
        ("cite", database.citation),
        ("files", database.url),
        ("also named", ", ".join(database.also_named)),
    ]
    print_table(facts)
    typer.echo()
    print_table([("beware", trap) for trap in database.traps])


def _licence_rows(database: "Database") -> list[tuple[str, str]]:
    rows = [("licence", f"{database.licence}, doi:{database.doi}")]
    return [*rows, ("note", database.licence_note)] if database.licence_note else rows


def _number(value: float | None, form: str = ",") -> str:
    return "-" if value is None else format(value, form)


def _size(n_bytes: int | None) -> str:
    """Write a number of bytes with the largest unit that leaves at least 1."""
    if n_bytes is None:
        return "-"
    size, units = float(n_bytes), ["B", "kB", "MB", "GB", "TB"]
    while size >= 999.5 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.3g} {units[0]}"
