"""The command line: `heartbert demo`, the whole path on five minutes of a real recording."""

import typer

from heartbert.cli.analyze import BundlePath, OutputFolder, analyze_record

_ORIGIN = (
    "The demo reads five minutes of MIT-BIH record 208, lead MLII. That record is commonly used for "
    "training: the demo shows what results look like, not how good they are."
)


def demo(output: OutputFolder, bundle: BundlePath = None) -> None:
    """Analyse five minutes of MIT-BIH record 208, which come with a dependency: nothing is downloaded."""
    from heartbert.records.demo import demo_record

    typer.echo(_ORIGIN, err=True)
    analyze_record(demo_record(), output, lead=None, bundle=bundle)
