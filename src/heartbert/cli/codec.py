"""The command line: `heartbert text`, `decode` and `codec-report`, the codec alone."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from heartbert.cli.analyze import BundlePath, FsHz, LeadName, RecordPath, UnitName
from heartbert.cli.corpus import Excluded, Settings, read_names
from heartbert.cli.printing import print_table, stage_progress
from heartbert.files import shipped_bundle

if TYPE_CHECKING:
    from heartbert.results.codec_text import TextFacts

AlphabetName = Literal["heartbert", "published"]
Alphabet = Annotated[
    AlphabetName,
    typer.Option("--alphabet", help="Letters: those of heartbert, or chr(65) to chr(164) as in the published code."),
]
AlphabetOfText = Annotated[
    AlphabetName | None,
    typer.Option("--alphabet", help="Letters of the text; by default what its side file says, else heartbert."),
]
CodebookBundle = Annotated[
    Path | None,
    typer.Option(
        "--bundle", help="Bundle whose codebook decodes; by default what the side file says, else that in use."
    ),
]


def text(
    record: RecordPath,
    output: Annotated[Path, typer.Option("--output", "-o", help="Text file to write; FILE.json is written beside it.")],
    lead: LeadName = None,
    fs: FsHz = None,
    unit: UnitName = None,
    bundle: BundlePath = None,
    alphabet: Alphabet = "heartbert",
) -> None:
    """Write a lead as text: a letter for each sample at 360 Hz, a line for each window."""
    from heartbert.preprocessing import load_preprocessing
    from heartbert.records import read_record
    from heartbert.results.codec_text import side_file, write_text

    with _bundle_folder(bundle) as folder:
        codec = load_preprocessing(folder)
    facts = write_text(read_record(record, fs=fs, unit=unit), codec, output, lead=lead, alphabet=alphabet)
    print_table([*_text_rows(facts), ("written", str(output)), ("written", str(side_file(output)))])


def decode(
    source: Annotated[Path, typer.Argument(metavar="TEXT", help="Text file, lines ending in a line feed.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Signal to write: .csv or .npy.")],
    bundle: CodebookBundle = None,
    alphabet: AlphabetOfText = None,
) -> None:
    """Turn text back into a signal at 360 Hz: in mV where its side file is there, else in [0, 1]."""
    from heartbert.preprocessing import load_preprocessing
    from heartbert.results.codec_text import choose_decoder, decode_text, read_facts

    facts = read_facts(source)
    values = None
    if facts is None or bundle is not None:
        with _bundle_folder(bundle) as folder:
            values = load_preprocessing(folder).codebook.values
    n_samples = decode_text(source, choose_decoder(facts, values, alphabet), output)
    amplitudes = "0 to 1, as there is no side file" if facts is None else facts.unit
    print_table([("samples", f"{n_samples:,} at 360 Hz"), ("amplitudes", amplitudes), ("written", str(output))])


def codec_report(
    data: Annotated[
        list[Path],
        typer.Argument(metavar="FOLDER...", help="Databases, named as published; all is fitted on the first."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")],
    config: Settings = "small",
    bundle: BundlePath = None,
    exclude: Excluded = None,
    max_records: Annotated[
        int | None, typer.Option("--max-records", min=1, help="Recordings a database at most, evenly spread.")
    ] = None,
    vocabularies: Annotated[
        str, typer.Option("--vocabularies", help="Sizes of tokenizers to train, with commas; empty for none.")
    ] = "1000,4096,16000,52000",
    training_samples: Annotated[
        int, typer.Option("--training-samples", min=1, help="Samples that tokenizers are trained on, about.")
    ] = 20_000_000,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that read recordings.")] = 1,
) -> None:
    """Measure what scalings, quantisers and vocabularies do to databases, and write it on one page."""
    from heartbert.evaluation.codec import signal_path
    from heartbert.evaluation.codec_databases import measure_codec
    from heartbert.evaluation.codec_plan import SHIPPED, CodecPlan, choose_records
    from heartbert.evaluation.codec_tokens import Coder
    from heartbert.preprocessing import load_preprocessing
    from heartbert.results.codec_page import DISCLAIMER, headline_rows, write_codec_report
    from heartbert.signals.filtering import BandPass
    from heartbert.signals.scaling import ScalingRule
    from heartbert.tokens import load_tokenizer
    from heartbert.training.config import read_config
    from heartbert.training.corpus_building import find_records

    settings = read_config(config)
    signal = settings.signal
    folders = [(folder.absolute().name, find_records(folder)) for folder in data]
    with _bundle_folder(bundle) as folder:
        shipped = Coder(SHIPPED, load_preprocessing(folder), (load_tokenizer(folder),), None)
    plan = CodecPlan(
        choose_records(folders, excluded=read_names(exclude), most=max_records),
        signal_path(BandPass(signal.low_hz, signal.high_hz), ScalingRule(signal.scaling, signal.span)),
        settings.codebook.n_levels,
        settings.tokenizer.window_samples,
        _sizes(vocabularies),
        training_samples,
        workers,
    )
    with stage_progress() as progress:
        measurement = measure_codec(plan, shipped, progress=progress)
        paths = write_codec_report(measurement, output)
    print_table(headline_rows(measurement))
    print_table([("written", str(path)) for path in paths])
    typer.echo(DISCLAIMER)


def _bundle_folder(bundle: Path | None) -> AbstractContextManager[Path]:
    """Give the folder of a bundle, by default the one that ships with heartbert."""
    if bundle is not None:
        return nullcontext(bundle)
    return shipped_bundle()


def _text_rows(facts: "TextFacts") -> list[tuple[str, str]]:
    return [
        ("lead", f"{facts.lead} ({facts.unit})"),
        ("letters", f"{facts.n_samples:,} ({facts.n_samples / facts.fs:,.1f} s at {facts.fs:g} Hz)"),
        ("lines", f"{facts.n_windows:,} of {facts.window_samples:,} letters at most"),
        ("amplitude range", f"{facts.scale_low:.3g} to {facts.scale_high:.3g} {facts.unit}"),
        ("clipped samples", f"{facts.n_clipped:,} ({facts.n_clipped / max(facts.n_samples, 1):.2%})"),
        ("not scorable", f"{facts.unscorable_s:,.1f} s, written all the same"),
        ("alphabet", facts.alphabet),
    ]


def _sizes(vocabularies: str) -> tuple[int, ...]:
    """Read sizes of vocabularies from numbers with commas between them."""
    try:
        return tuple(sorted({int(size) for size in vocabularies.split(",") if size.strip()}))
    except ValueError:
        raise typer.BadParameter(
            f"'{vocabularies}' is no list of whole numbers such as 1000,4096.", param_hint="--vocabularies"
        ) from None
