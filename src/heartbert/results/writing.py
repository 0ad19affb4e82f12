"""What a person reads: all result files of one analysed lead, in one folder."""

from pathlib import Path

from heartbert.analysis import Analysis
from heartbert.files import replacing_file
from heartbert.results import plots
from heartbert.results.annotations import write_wfdb
from heartbert.results.hypnogram_files import write_sleep_results
from heartbert.results.report import write_report
from heartbert.results.tables import write_beats_csv, write_embeddings, write_summary_json

# As `write_sleep_results` names them.
_SLEEP_FILES = ("hypnogram.png", "hypnogram.csv", "hypnogram.edf", "beats.st", "sleep.json")


def write_results(analysis: Analysis, folder: Path) -> list[Path]:
    """Write the report, the plot, the annotations and the tables of one analysed lead.

    Each file is either complete or, if writing stops, as it was before. The report comes last, so that a new
    report means that all other files are new.

    Parameters
    ----------
    analysis : Analysis
    folder : Path
        Created if needed; files of the same names are replaced, others stay. Files of a night that was staged before
        are removed where sleep was not staged now: they may be of another recording.

    Returns
    -------
    paths : list of Path
        What was written: report.html, ecg.png, beats.dat, beats.hea, beats.atr, beats.csv,
        embeddings.parquet, summary.json; and where sleep was staged hypnogram.png, hypnogram.csv, hypnogram.edf,
        beats.st, sleep.json.
    """
    report, plot = folder / "report.html", folder / "ecg.png"
    tables = {
        folder / "beats.csv": write_beats_csv,
        folder / "embeddings.parquet": write_embeddings,
        folder / "summary.json": write_summary_json,
    }
    wfdb_paths = write_wfdb(analysis, folder)
    for path, write in tables.items():
        write(analysis, path)
    with replacing_file(plot) as temporary:
        temporary.write_bytes(plots.png_bytes(plots.draw_overview(analysis)))
    sleep_paths = _write_sleep(analysis, folder)
    write_report(analysis, report)
    return [report, plot, *wfdb_paths, *tables, *sleep_paths]


def _write_sleep(analysis: Analysis, folder: Path) -> list[Path]:
    """Write the files of a staged night, the stages as annotations of the record ``beats``; else remove older ones."""
    if analysis.sleep is None:
        for name in _SLEEP_FILES:
            (folder / name).unlink(missing_ok=True)
        return []
    staged = analysis.sleep
    return write_sleep_results(
        staged.predictions, folder, "beats", fs=analysis.channel.fs, least_probability=staged.predictions.min_confidence
    )
