"""What the chips of a training show of each class, and sentences on what they lack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..chips.problems import nothing_labelled
from ..samples.schema import Schema
from .chip_store import ChipStore
from .split import Split

_NAMED = 10  # classes in a sentence, at most


def amounts(store: ChipStore, chosen: Sequence[int], length: int) -> np.ndarray:
    """Return how many pixels, objects or chips of each output ``(length,)`` some chips show."""
    counts = (padded(store.facts(position).counts, length) for position in chosen)
    return sum(counts, np.zeros(length))


def missing(
    store: ChipStore, split: Split, schema: Schema, outputs: Sequence[str]
) -> Iterator[str]:
    """Yield sentences on classes that one side lacks, and on chips that have none."""
    unused = len(store.folder.chips) - len({*split.training, *split.validation, *split.dropped})
    if unused:
        number = "1 chip shows" if unused == 1 else f"{unused} chips show"
        yield f"{number} nothing that is learned, and no side has them."
    trained, judged = (
        amounts(store, chosen, len(outputs))[-len(schema) :]
        for chosen in (split.training, split.validation)
    )
    unknown = [name for name, amount in zip(schema.names, trained) if not amount]
    if unknown:
        yield (
            f"No training chip shows {_some(unknown)}, which the model cannot learn. Label more, "
            "or name in IGNORE_CLASSES what is not needed."
        )
    unjudged = [name for name, amount in zip(schema.names, judged) if not amount]
    if unjudged and split.unseen:
        yield f"No validation chip shows {_some(unjudged)}, of which the scores say nothing."


def strange(store: ChipStore) -> Iterator[str]:
    """Yield a sentence on values of pixels that the folder does not know."""
    folder = store.folder
    found = [store.facts(position).strange for position in range(len(folder.chips))]
    values = sorted(set().union(*found))
    if values:
        number = sum(map(bool, found))
        yield (
            f"Labels of {number} chip{'s' if number > 1 else ''} have pixels with the values "
            f"{_some(values)}, which '{folder.path.name}' does not know: they are not learned. "
            f"Its classes are: {folder.schema}."
        )


def nothing(store: ChipStore, chosen: Sequence[int]) -> str:
    """Return the refusal of training chips of which none teaches anything."""
    folder = store.folder
    facts = [store.facts(position) for position in chosen or range(len(folder.chips))]
    name, number = folder.path.name, len(facts)
    if all(each.empty for each in facts):
        return (
            f"None of the {number} training chips of '{name}' has data. Check the no-data value "
            "of the images, or export them again."
        )
    unknown = sorted({value for each in facts for value in each.strange})
    if unknown:
        return (
            f"The labels of '{name}' have pixels with the values {_some(unknown)}, but its "
            f"classes are: {folder.schema}. Correct the definition, or export the data again."
        )
    return nothing_labelled(folder, number)


def _some(names: Sequence[str | int]) -> str:
    """Return a few of the names, for a sentence."""
    few = ", ".join(f"'{name}'" if isinstance(name, str) else str(name) for name in names[:_NAMED])
    return f"{few} and {len(names) - _NAMED} more" if len(names) > _NAMED else few


def padded(counts: np.ndarray, length: int) -> np.ndarray:
    """Return counts with zeros for further outputs."""
    return np.pad(counts, (0, length - len(counts)))
