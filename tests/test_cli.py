"""The command line: exit status, what goes to stdout and what to stderr."""

import subprocess
import sys
from datetime import datetime
from io import StringIO
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from rich.console import Console

from heartbert.analysis import Analysis, Embeddings
from heartbert.cli import main, printing
from heartbert.errors import RecordFormatError
from heartbert.predictions.labels import BeatPredictions
from heartbert.records.demo import demo_record
from heartbert.records.record import ArraySource, Channel, Record

FS = 360.0


def channel_named(name, *, kind="ecg", unit="mV"):
    """Return two seconds of a channel."""
    signal = np.sin(np.arange(720, dtype=np.float32))
    return Channel(name, FS, unit, signal.size, kind, ArraySource(signal))


def record_with(*channels, name="100", start=None):
    """Return a record with the given channels."""
    return Record(name, "subject-1", channels, start, Path("100.hea"))


class FakeHeartBert:
    """Finds two beats in any lead and remembers how it was called."""

    loaded: Path | None = None

    @classmethod
    def load(cls, bundle=None):
        """Remember the bundle."""
        cls.loaded = bundle
        return cls()

    def wants_sleep(self, channel, when):
        """Stage no sleep."""
        return False

    def analyze(self, record, *, lead=None, leads="one", r_peaks=None, min_confidence=0.0, progress=None):
        """Return two beats and report progress on the way."""
        channel = record.lead(lead)
        for fraction in (0.0, 0.5, 1.0):
            progress("embeddings", fraction)
        rows = np.array([[0.9, 0.025, 0.025, 0.025, 0.025], [0.1, 0.0, 0.9, 0.0, 0.0]], dtype=np.float32)
        return Analysis(
            record=record,
            channel=channel,
            beats=BeatPredictions(np.array([100, 400]), channel.fs, rows),
            windows=Embeddings(np.zeros(1), np.ones(1), np.ones(1, dtype=np.int64), np.ones((1, 4), np.float32)),
            unscorable=(),
            scale_low=-1.0,
            scale_high=1.0,
            n_clipped_samples=0,
            n_samples_360hz=720,
            seconds_by_stage={"embeddings": 0.1},
            bundle_name="test-bundle",
            heartbeat_scores={"macro_f1": 0.5},
        )


@pytest.fixture
def heartbert(monkeypatch, capsys):
    """Return a function that runs the command line in this process: exit status, stdout, stderr."""
    pipeline = ModuleType("heartbert.pipeline")
    pipeline.HeartBert = FakeHeartBert
    monkeypatch.setitem(sys.modules, "heartbert.pipeline", pipeline)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["heartbert", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_info:
            main.run()
        captured = capsys.readouterr()
        return exit_info.value.code or 0, captured.out, captured.err

    return call


@pytest.fixture
def reads(monkeypatch):
    """Return a function that makes `read_record` return or raise something, and the list of its calls."""
    calls = []

    def arrange(result):
        def read(path, *, fs=None, unit=None):
            calls.append((path, fs, unit))
            if isinstance(result, BaseException):
                raise result
            return result

        monkeypatch.setattr("heartbert.records.read_record", read)
        return calls

    return arrange


def test_analyze_writes_results_and_prints_summary_files_and_disclaimer(heartbert, reads, tmp_path):
    """One command from a recording to a report, and the output can be piped."""
    calls = reads(record_with(channel_named("MLII")))

    status, out, err = heartbert("analyze", "100", "-o", tmp_path / "out", "--fs", "360", "--unit", "mV")

    assert (status, err) == (0, "")
    assert calls == [(Path("100"), 360.0, "mV")]
    assert "beats\t2\n" in out
    assert "V ventricular ectopic\t1 (50.0 %)\n" in out
    assert f"written\t{tmp_path / 'out' / 'report.html'}\n" in out
    assert "not a medical device" in out.splitlines()[-1]
    assert len(list((tmp_path / "out").iterdir())) == 8


def test_analyze_takes_the_named_lead_and_bundle(heartbert, reads, tmp_path):
    """Choices of the user reach the analysis."""
    reads(record_with(channel_named("MLII"), channel_named("V5")))

    status, out, _ = heartbert("analyze", "100", "-o", tmp_path, "--lead", "v5", "--bundle", tmp_path / "bundle")

    assert status == 0
    assert "lead\tV5 (mV, 360 Hz)" in out
    assert FakeHeartBert.loaded == tmp_path / "bundle"


def test_analyze_prints_an_expected_error_in_one_line(heartbert, reads, tmp_path):
    """A traceback seen by a user is a bug."""
    reads(record_with(channel_named("MLII")))

    status, out, err = heartbert("analyze", "100", "-o", tmp_path, "--lead", "aVR")

    assert (status, out) == (1, "")
    assert err == "heartbert: error: record '100' has no lead 'aVR'; it has 'MLII'. Choose one with lead=...\n"


@pytest.mark.parametrize(
    ("raised", "status", "line"),
    [
        (RecordFormatError("x.txt is no recording"), 1, "heartbert: error: x.txt is no recording\n"),
        (
            PermissionError(13, "Permission denied", "/data/x"),
            1,
            "heartbert: error: cannot read or write '/data/x': Permission denied\n",
        ),
        (
            OSError(28, "No space left on device"),
            1,
            "heartbert: error: cannot read or write: No space left on device\n",
        ),
        (KeyboardInterrupt(), 130, "heartbert: interrupted; result files are complete or absent\n"),
    ],
)
def test_each_kind_of_failure_has_its_status_and_line(heartbert, reads, tmp_path, raised, status, line):
    """Scripts rely on the status, people on the line."""
    reads(raised)

    assert heartbert("analyze", "x", "-o", tmp_path) == (status, "", line)


def test_a_closed_pipe_ends_the_command_quietly(heartbert, reads):
    """`heartbert inspect x | head -1` is no error."""
    reads(BrokenPipeError(32, "Broken pipe"))

    status, _, err = heartbert("inspect", "x")

    assert (status, err) == (1, "")


@pytest.mark.parametrize(
    "arguments", [["analyze", "100"], ["analyze"], ["analyse", "100"], ["inspect", "x", "--fs", "a"]]
)
def test_wrong_usage_exits_with_2(heartbert, arguments):
    """Usage errors differ from failures of the work itself."""
    status, out, err = heartbert(*arguments)

    assert (status, out) == (2, "")
    assert "Usage" in err


def test_inspect_lists_channels_and_the_lead_that_would_be_taken(heartbert, reads):
    """Before an analysis one wants to know what is in the file."""
    channels = channel_named("ABP", kind="other", unit="mmHg"), channel_named("V5"), channel_named("MLII")
    reads(record_with(*channels, start=datetime(2001, 2, 3, 4, 5, 6)))

    status, out, _ = heartbert("inspect", "100.hea")

    assert status == 0
    assert "start\t2001-02-03 04:05:06\n" in out
    assert "channel\tkind\tfs\tunit\tduration\nABP\tother\t360 Hz\tmmHg\t2.0 s\n" in out
    assert "lead taken by default\tMLII\n" in out


def test_inspect_says_when_no_channel_is_an_ecg(heartbert, reads):
    """The list of channels is what helps then, so it is printed all the same."""
    reads(record_with(channel_named("ABP", kind="other")))

    status, out, _ = heartbert("inspect", "100.hea")

    assert status == 0
    assert "start\tnot stored in the file\n" in out
    assert "lead taken by default\tnone: record '100' has no channel" in out


def test_inspect_prints_no_control_characters_from_a_file(heartbert, reads):
    """A channel name must not steer the reader's terminal."""
    reads(record_with(channel_named("EC\x1b[2JG")))

    _, out, _ = heartbert("inspect", "100.hea")

    assert "EC?[2JG\t" in out


def test_demo_analyses_five_minutes_and_says_where_they_come_from(heartbert, tmp_path):
    """The excerpt may have been trained on, which a reader of good-looking results must know."""
    status, out, err = heartbert("demo", "-o", tmp_path)

    assert status == 0
    assert "duration\t0:05:00 (300.0 s)" in out
    assert "record 208" in err
    assert "not how good" in err


def test_demo_record_is_five_minutes_in_millivolts():
    """The published excerpt has 108,000 samples between -3.5 and 3.7 mV."""
    channel = demo_record().lead()

    samples = channel.read()

    assert (channel.name, channel.unit, channel.duration_s) == ("MLII", "mV", 300.0)
    assert samples.min() == pytest.approx(-3.485)
    assert samples.max() == pytest.approx(3.65)


def test_version_is_printed(heartbert, monkeypatch):
    """A report of a problem starts with the version."""
    monkeypatch.setattr(main, "version", lambda name: "1.2.3")

    assert heartbert("--version") == (0, "1.2.3\n", "")


def test_tables_are_aligned_in_a_terminal(monkeypatch):
    """People read columns, programs read tabs."""
    screen = StringIO()
    monkeypatch.setattr(
        printing,
        "Console",
        lambda **options: Console(file=screen, force_terminal=True, color_system=None, **options),
    )

    printing.print_table([("beats", "12"), ("[red]", "x")])
    printing.print_table([("MLII", "ecg")], header=("channel", "kind"))

    lines = [line.rstrip() for line in screen.getvalue().splitlines()]
    assert lines == ["beats  12", "[red]  x", "channel  kind", "MLII     ecg"]


def test_help_loads_neither_torch_nor_matplotlib():
    """The help must come at once; importing torch alone takes seconds."""
    code = (
        "import sys; from heartbert.cli.main import app; app(['--help'], standalone_mode=False); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'matplotlib', 'pandas', 'wfdb', 'numpy')))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "analyze" in done.stdout
