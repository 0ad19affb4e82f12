"""The command line: assembles the commands and turns every expected error into one line.

Results go to stdout; progress and errors go to stderr. Exit status: 0 done, 1 error, 2 wrong usage,
130 interrupted.
"""

import functools
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated, ParamSpec

import typer

from heartbert.cli.analyze import analyze
from heartbert.cli.codec import codec_report, decode, text
from heartbert.cli.corpus import corpus_build, corpus_probe
from heartbert.cli.databases import databases, download, verify
from heartbert.cli.demo import demo
from heartbert.cli.diagnosis import evaluate_diagnosis
from heartbert.cli.efficiency import label_efficiency, parameter_efficiency, rivals
from heartbert.cli.evaluate import evaluate_heartbeats
from heartbert.cli.finetune import finetune
from heartbert.cli.inspect import inspect
from heartbert.cli.predict import predict
from heartbert.cli.score import score
from heartbert.cli.sleep import evaluate_sleep
from heartbert.cli.train import pretrain, train_heartbeats
from heartbert.cli.train_sleep import train_sleep
from heartbert.errors import HeartbertError

_INTERRUPTED = 130  # 128 + SIGINT, as shells report it

P = ParamSpec("P")

app = typer.Typer(
    name="heartbert",
    help="Read an electrocardiogram as text. Research software, not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("heartbert"))
        raise typer.Exit


@app.callback()
def _options(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Hold the options that come before any command."""


def one_line_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Return `command` with expected errors printed as one line on stderr instead of a traceback."""

    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            return command(*args, **kwargs)
        except HeartbertError as error:
            _print_error(str(error))
        except BrokenPipeError:
            raise  # the reader of stdout went away; typer ends quietly
        except OSError as error:
            _print_error(_os_error_text(error))
        except KeyboardInterrupt:
            typer.echo("heartbert: interrupted; result files are complete or absent", err=True)
            raise typer.Exit(_INTERRUPTED) from None
        raise typer.Exit(1)

    return guarded


corpus_app = typer.Typer(no_args_is_help=True, help="Build the corpus that an encoder is pre-trained on.")
corpus_app.command("build")(one_line_errors(corpus_build))
corpus_app.command("probe")(one_line_errors(corpus_probe))
app.add_typer(corpus_app, name="corpus")
evaluate_app = typer.Typer(no_args_is_help=True, help="Score a bundle and every baseline by a published protocol.")
evaluate_app.command("heartbeats")(one_line_errors(evaluate_heartbeats))
evaluate_app.command("sleep")(one_line_errors(evaluate_sleep))
evaluate_app.command("diagnosis")(one_line_errors(evaluate_diagnosis))
app.add_typer(evaluate_app, name="evaluate")
_COMMANDS: tuple[Callable[..., None], ...] = (
    inspect,
    analyze,
    demo,
    text,
    decode,
    codec_report,
    databases,
    download,
    verify,
    pretrain,
    train_heartbeats,
    train_sleep,
    finetune,
    predict,
    score,
    label_efficiency,
    parameter_efficiency,
    rivals,
)
for _command in _COMMANDS:
    app.command()(one_line_errors(_command))


def run() -> None:
    """Run the command line; the entry point of the installed program."""
    app()


def _print_error(message: str) -> None:
    typer.echo(f"heartbert: error: {message}", err=True)


def _os_error_text(error: OSError) -> str:
    """Say what the system refused, and for which file."""
    where = f" '{error.filename}'" if error.filename else ""
    return f"cannot read or write{where}: {error.strerror or error}"


if __name__ == "__main__":  # torchrun starts a module: torchrun --nproc-per-node 2 -m -- heartbert.cli.main pretrain
    run()
