"""Who is trained on, chosen on and scored; guarded against leaks."""

from dataclasses import dataclass

from heartbert.bundle import Bundle
from heartbert.evaluation.leakage import Examples, FittedPart, Leak, LeakKind, bundle_parts, refuse_leaks


@dataclass(frozen=True)
class Split:
    """Who is trained on, chosen on and scored.

    Attributes
    ----------
    name : str
        Empty for the main one.
    training, validation, test : tuple of Examples
        `validation` may be `test` while a model is developed.
    allowed_persons : frozenset of str
        On both sides in the split as published.
    """

    name: str
    training: tuple[Examples, ...]
    validation: tuple[Examples, ...]
    test: tuple[Examples, ...]
    allowed_persons: frozenset[str] = frozenset()

    @property
    def examples(self) -> tuple[Examples, ...]:
        """Those of all sides, each once."""
        return tuple({one.name: one for one in (*self.training, *self.validation, *self.test)}.values())


def guard_split(split: Split, bundle: Bundle, *, allow_transductive: bool) -> tuple[Leak, ...]:
    """Refuse a split that leaks; returns what was allowed, for the result.

    Settings and training epochs are chosen on the validation recordings, so scores on the same recordings are
    optimistic: allowed where they are the test, and stated.

    Raises
    ------
    LeakageError
        If it leaks.
    """
    records = tuple(one.name for one in split.validation)
    chosen = FittedPart("training epoch", records, LeakKind.CHOSEN)
    is_development = {one.name for one in split.validation} == {one.name for one in split.test}
    allowed = {
        *((LeakKind.CHOSEN,) if is_development else ()),
        *((LeakKind.TRANSDUCTIVE,) if allow_transductive else ()),
    }
    refuse_leaks(split.training, split.validation)
    return refuse_leaks(
        split.training,
        split.test,
        fitted=(chosen, *bundle_parts(bundle.manifest, with_head=False)),
        allowed=allowed,
        allowed_persons=split.allowed_persons,
    )
