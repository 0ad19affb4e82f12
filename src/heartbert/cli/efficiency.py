"""The command line: what an encoder is worth with few labels, for its parameters, and against other encoders."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args

import typer

from heartbert.cli.printing import print_table, stage_progress
from heartbert.errors import ConfigError

if TYPE_CHECKING:
    from heartbert.protocols.comparison import ComparisonTask
    from heartbert.protocols.comparison_heartbeats import HeartbeatSource
    from heartbert.protocols.comparison_sleep import SleepSource
    from heartbert.protocols.diagnosis_rows import RowSettings
    from heartbert.training.config import HeartbeatsConfig
    from heartbert.training.sleep_config import SleepConfig

Number = TypeVar("Number", int, float)
Task = Literal["heartbeats", "sleep"]
CurveTask = Literal["heartbeats", "sleep", "diagnosis"]
RUNS_FOLDER = "runs"
TaskArgument = Annotated[Task, typer.Argument(metavar="TASK", help=f"One of {', '.join(get_args(Task))}.")]
CurveTaskArgument = Annotated[
    CurveTask, typer.Argument(metavar="TASK", help=f"One of {', '.join(get_args(CurveTask))}.")
]
DataArgument = Annotated[
    Path, typer.Argument(metavar="DATA", help="Folder of the database: mitdb, slpdb for sleep, ptb-xl for diagnosis.")
]
WorkOption = Annotated[
    Path,
    typer.Option("--work", help="Folder of embeddings and single runs; an interrupted measurement continues there."),
]
OutputOption = Annotated[Path, typer.Option("--output", "-o", help="JSON file of the result; plots go beside it.")]
SeedsOption = Annotated[int, typer.Option("--seeds", min=1, help="Trainings of each row, from different seeds.")]
SidesOption = Annotated[
    Literal["test", "validation"],
    typer.Option(
        "--sides",
        help="heartbeats: score DS2, or the validation records inside DS1 without opening DS2. diagnosis: fold 10, 9.",
    ),
]
BeatsOption = Annotated[
    Literal["reference", "detected"],
    typer.Option("--beats", help="heartbeats: beats placed by the annotators or by our detector."),
]
EpochsOption = Annotated[
    int | None, typer.Option("--training-epochs", min=1, help="Passes over the training examples at most.")
]
FoldsOption = Annotated[int, typer.Option("--folds", min=2, help="sleep: folds of persons left out.")]
TransductiveOption = Annotated[
    bool,
    typer.Option(
        "--allow-transductive", help="heartbeats: accept an encoder that saw test signals; the result says so."
    ),
]
RecordsOption = Annotated[
    str | None, typer.Option("--records", help="heartbeats: use these records only, with commas; for a quick look.")
]
MinutesOption = Annotated[
    float | None, typer.Option("--minutes", min=0.1, help="heartbeats: use the first minutes of every record only.")
]


def label_efficiency(
    task: CurveTaskArgument,
    data: DataArgument,
    work: WorkOption,
    output: OutputOption,
    fractions: Annotated[
        str, typer.Option("--fractions", help="Shares of subjects and of labels, with commas, up to 1.")
    ] = "0.01,0.05,0.1,0.25,0.5,1",
    axes: Annotated[
        Literal["both", "subjects", "labels"],
        typer.Option("--axes", help="Share of the training subjects, of the labels of each, or one after the other."),
    ] = "subjects",
    without: Annotated[
        list[str] | None,
        typer.Option(
            "--without",
            help="heartbeats: leave out a row, as networks on the raw signal, which take hours; several times.",
        ),
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="Folder of a bundle; by default the one that ships.")
    ] = None,
    seeds: SeedsOption = 5,
    sides: SidesOption = "validation",
    beats: BeatsOption = "reference",
    epochs: EpochsOption = None,
    folds: FoldsOption = 4,
    allow_transductive: TransductiveOption = False,
    records: RecordsOption = None,
    minutes: MinutesOption = None,
) -> None:
    """Measure how much the frozen encoder and every baseline need to learn: scores by share of the training data."""
    from heartbert.pipeline import HeartBert
    from heartbert.protocols.comparison_diagnosis import open_diagnosis
    from heartbert.protocols.comparison_heartbeats import curve_rows, open_heartbeats
    from heartbert.protocols.comparison_plots import draw_label_efficiency, write_svg
    from heartbert.protocols.comparison_sleep import open_sleep
    from heartbert.protocols.label_efficiency import AXES, CurveSettings, measure_label_efficiency
    from heartbert.protocols.run_store import write_json

    settings = CurveSettings(numbers(fractions, float), seeds, AXES if axes == "both" else (axes,))
    loaded = HeartBert.load(bundle).bundle
    with stage_progress() as progress:
        opened: ComparisonTask
        if task == "heartbeats":
            source = _beats(data, work, (sides, beats, records, minutes), allow_transductive=allow_transductive)
            chosen = curve_rows(without or ())
            opened = open_heartbeats(loaded, source, heads=_heads(loaded, epochs), rows=chosen, progress=progress)
        elif task == "diagnosis":
            trained = _diagnosis(epochs)
            opened = open_diagnosis(
                data, work / "inputs", bundle=bundle, side=sides, settings=trained, progress=progress
            )
        else:
            opened = open_sleep(loaded, _nights(data, work, folds), config=_sleep(epochs), progress=progress)
        result = measure_label_efficiency(opened, settings, work / RUNS_FOLDER, progress=progress)
    write_json(output, {"task": task, **result})
    write_svg(draw_label_efficiency(result), output.with_suffix(".svg"))
    for axis, points in result["axes"].items():
        header = (f"share of {axis}", *(f"{point['share']:.0%}" for point in points))
        rows = [(row, *(_cell(point["scores"][row]) for point in points)) for row in points[0]["scores"]]
        print_table(rows, header=header)
        for missing in _missing(points):
            typer.echo(missing)
        typer.echo(result["claims"][axis]["sentence"])
    print_table([("written", str(output))])


def parameter_efficiency(
    task: TaskArgument,
    data: DataArgument,
    work: WorkOption,
    output: OutputOption,
    bundles: Annotated[
        list[Path] | None,
        typer.Option(
            "--bundle", help="Folder of a bundle, several times for several encoders; by default the shipped."
        ),
    ] = None,
    heads: Annotated[str, typer.Option("--heads", help="LSTM units of the head, with commas.")] = "8,32,64,128",
    frozen: Annotated[
        str,
        typer.Option("--frozen", help="heartbeats: layers that stay frozen while those above learn; hours on a CPU."),
    ] = "",
    lora: Annotated[
        str, typer.Option("--lora", help="heartbeats: ranks of low-rank additions that learn; hours on a CPU.")
    ] = "",
    tuning_epochs: Annotated[
        int, typer.Option("--tuning-epochs", min=1, help="Passes over the training beats in which an encoder learns.")
    ] = 3,
    footprint_s: Annotated[
        float, typer.Option("--footprint-seconds", min=1.0, help="Length of the lead on which cost is measured.")
    ] = 60.0,
    seeds: SeedsOption = 5,
    sides: SidesOption = "validation",
    beats: BeatsOption = "reference",
    epochs: EpochsOption = None,
    folds: FoldsOption = 4,
    allow_transductive: TransductiveOption = False,
    records: RecordsOption = None,
    minutes: MinutesOption = None,
) -> None:
    """Measure what head sizes, layers that learn and encoders cost (parameters, operations, time, memory) and score."""
    from heartbert.files import shipped_bundle
    from heartbert.pipeline import HeartBert
    from heartbert.protocols.comparison_plots import draw_parameter_efficiency, write_svg
    from heartbert.protocols.parameter_efficiency import measure_parameter_efficiency
    from heartbert.protocols.parameter_variants import VariantChoices, heartbeat_variants, sleep_variants
    from heartbert.protocols.run_store import write_json

    with shipped_bundle() as shipped, stage_progress() as progress:
        folders = tuple(bundles or [shipped])
        sizes = (numbers(heads, int), numbers(frozen, int), numbers(lora, int))
        choices = VariantChoices(folders, *sizes, tuning_epochs=tuning_epochs, footprint_s=footprint_s)
        opened: ComparisonTask
        if task == "heartbeats":
            source = _beats(data, work, (sides, beats, records, minutes), allow_transductive=allow_transductive)
            settings = None if epochs is None else _heads(HeartBert.load(folders[0]).bundle, epochs)
            opened, variants = heartbeat_variants(choices, source, heads=settings, progress=progress)
        else:
            nights = _nights(data, work, folds)
            opened, variants = sleep_variants(choices, nights, config=_sleep(epochs), progress=progress)
        result = measure_parameter_efficiency(opened, variants, work / RUNS_FOLDER, n_seeds=seeds, progress=progress)
    write_json(output, {"task": task, **result})
    write_svg(draw_parameter_efficiency(result), output.with_suffix(".svg"))
    header = ("what", "setting", "bundle", "learn", "in all", "Mflop/s", "ms", "MB", result["score"], "front by")
    print_table([_variant(row) for row in result["rows"]], header=header)
    print_table([("written", str(output))])


def rivals(
    task: TaskArgument,
    data: DataArgument,
    work: WorkOption,
    output: OutputOption,
    bundles: Annotated[
        list[Path] | None,
        typer.Option(
            "--bundle",
            help="Folder of a bundle, several times for several codecs; the first is ours, by default the shipped.",
        ),
    ] = None,
    encoders: Annotated[
        list[str] | None,
        typer.Option(
            "--encoder", help="NAME=FOLDER of a downloaded encoder: hubert-ecg, chronos, moment; several times."
        ),
    ] = None,
    seeds: SeedsOption = 5,
    sides: SidesOption = "validation",
    beats: BeatsOption = "reference",
    epochs: EpochsOption = None,
    folds: FoldsOption = 4,
    allow_transductive: TransductiveOption = False,
    records: RecordsOption = None,
    minutes: MinutesOption = None,
) -> None:
    """Compare encoders of a lead by the same split and the same head, and with networks and features without them."""
    from heartbert.pipeline import HeartBert
    from heartbert.protocols.rival_encoders import SignalEncoder, load_rival
    from heartbert.protocols.rivals import Rivals, compare_rivals, heartbeat_rivals, sleep_rivals
    from heartbert.protocols.rivals_page import write_rivals_page
    from heartbert.protocols.run_store import write_json

    found: dict[str, SignalEncoder] = {}
    for given in encoders or []:
        name, _, folder = given.partition("=")
        found[f"{name} ({Path(folder).name})"] = load_rival(name, Path(folder))
    loaded = [HeartBert.load(folder).bundle for folder in bundles] if bundles else [HeartBert.load().bundle]
    compared = Rivals({_bundle_name(loaded, number): one for number, one in enumerate(loaded)}, found)
    with stage_progress() as progress:
        opened: ComparisonTask
        if task == "heartbeats":
            source = _beats(data, work, (sides, beats, records, minutes), allow_transductive=allow_transductive)
            heads = _heads(loaded[0], epochs)
            opened = heartbeat_rivals(compared, source, heads=heads, progress=progress)
        else:
            opened = sleep_rivals(compared, _nights(data, work, folds), config=_sleep(epochs), progress=progress)
        result = compare_rivals(opened, work / RUNS_FOLDER, n_seeds=seeds, unknown=tuple(found), progress=progress)
    page = output.with_suffix(".html")
    write_rivals_page(result, page)
    write_json(output, {"task": task, **result})
    rows = [(row["name"], _cell(row["score"]), _cell(row["ours_less_this"])) for row in result["rows"]]
    print_table(rows, header=("row", result["score"], "ours less this"))
    typer.echo(result["sentence"])
    print_table([("written", str(page)), ("written", str(output))])


def numbers(text: str, kind: type[Number]) -> tuple[Number, ...]:
    """Read numbers with commas between them; nothing gives none.

    Raises
    ------
    ConfigError
        If one of them is no number of that kind.
    """
    try:
        return tuple(kind(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ConfigError(f"'{text}' is no list of numbers ({error}); write them as 1,2,3.") from error


def _bundle_name(bundles: Sequence[Any], number: int) -> str:
    """Return the name of a bundle for the table; a number tells two of one name apart."""
    names = [one.name for one in bundles]
    return f"{names[number]}" if names.count(names[number]) == 1 else f"{names[number]}, {number + 1}"


def _beats(
    data: Path, work: Path, chosen: tuple[Any, Any, str | None, float | None], *, allow_transductive: bool
) -> "HeartbeatSource":
    from heartbert.protocols.comparison_heartbeats import HeartbeatSource

    sides, beats, records, minutes = chosen
    names = None if records is None else tuple(name.strip() for name in records.split(","))
    return HeartbeatSource(data, sides, beats, names, minutes, allow_transductive, work / "embeddings")


def _nights(data: Path, work: Path, folds: int) -> "SleepSource":
    from heartbert.protocols.comparison_sleep import SleepSource

    return SleepSource(data, folds, work / "embeddings")


def _heads(bundle: Any, epochs: int | None) -> "HeartbeatsConfig":
    from dataclasses import replace

    from heartbert.protocols.beat_table import head_settings

    settings = head_settings(bundle)
    return settings if epochs is None else replace(settings, n_training_epochs=epochs)


def _sleep(epochs: int | None) -> "SleepConfig":
    from heartbert.training.sleep_config import SleepConfig

    return SleepConfig(n_networks=1) if epochs is None else SleepConfig(n_networks=1, n_training_epochs=epochs)


def _diagnosis(epochs: int | None) -> "RowSettings":
    from heartbert.protocols.diagnosis_rows import RowSettings

    return RowSettings() if epochs is None else RowSettings().with_epochs(epochs)


def _missing(points: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        f"{point['share']:.0%}: class {name} is missing in {number} of {len(point['drawn']['n_labels'])} draws"
        for point in points
        for name, number in point["drawn"]["draws_without_class"].items()
    ]


def _variant(row: Mapping[str, Any]) -> tuple[str, ...]:
    costs = (f"{row['mflops']:.1f}", f"{row['latency_ms']:.2f}", f"{row['peak_mb']:.0f}")
    sizes = (f"{row['n_trainable']:,}", f"{row['n_total']:,}")
    return (row["kind"], row["label"], row["bundle"], *sizes, *costs, _cell(row["score"]), ", ".join(row["pareto"]))


def _cell(estimate: Mapping[str, Any]) -> str:
    return f"{estimate['mean']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"
