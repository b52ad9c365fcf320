"""What is settled before a training: chips, split, normalisation and the network's shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..chips.folder import ChipFolder
from ..chips.problems import check_classes, teachable
from ..errors import TrainingDataError
from ..models.registry import ModelType, NetworkSpec, Task
from ..progress import Phase
from ..samples.schema import Schema, pixel_names
from .augmentation_settings import settings_of
from .bands import chosen_bands, colour_bands
from .chip_store import ChipStore
from .classes import SEVERAL_LABELS, learned, weights_of
from .collection import Collection, open_collection
from .contents import amounts, missing, nothing, padded, strange
from .network_choice import choose_kind, choose_network
from .normalization import Normalization, measure
from .options import TrainingOptions
from .own_sizes import of_own_sizes
from .places import Places, find_places
from .pretrained import Pretrained, read_pretrained
from .split import Split, split_apart, split_chips


@dataclass(frozen=True)
class Preparation:
    """What is settled before a training.

    Attributes:
        folder, store: the chips.
        kind: the model type.
        schema: the classes that are trained.
        split: which chips train and which validate.
        normalization: of the pixels.
        spec: the network's shape.
        augmentation: its settings.
        notes: sentences for the user.
        class_weights: of the network's outputs, none where all weigh alike.
        pretrained: the model to go on from, if there is one.
        own_sizes: whether each chip is an object of its own size, seen as a whole.
    """

    folder: ChipFolder
    store: ChipStore
    kind: ModelType
    schema: Schema
    split: Split
    normalization: Normalization
    spec: NetworkSpec
    augmentation: dict[str, Any]
    notes: tuple[str, ...]
    class_weights: tuple[float, ...] | None = None
    pretrained: Pretrained | None = None
    own_sizes: bool = False

    @property
    def bands(self) -> tuple[int, ...]:
        """Positions, from 0, of the chips' bands that the network takes."""
        return self.store.bands

    @property
    def band_names(self) -> tuple[str, ...]:
        """Names of the bands that the network takes."""
        return tuple(self.folder.band_names[band] for band in self.bands)

    @property
    def colours(self) -> tuple[int, int, int]:
        """Which of the network's bands are red, green and blue."""
        return colour_bands(self.band_names)

    @property
    def several_labels(self) -> bool:
        """Whether a chip may have several classes."""
        return self.folder.format == SEVERAL_LABELS

    @property
    def encoder_knows(self) -> bool:
        """Whether the encoder starts from weights that mean something."""
        return _knows(self.spec, self.pretrained)

    def arranges_bands(self, scheme: str) -> bool:
        """Return whether the encoder's weights are not to be those of three bands as they are.

        They may be for other bands, or for these in another order, or not be wanted for any.

        Args:
            scheme: what further bands start from, as ``weight_init_scheme`` of the options.
        """
        return self.spec.weights != "none" and (
            self.spec.band_count != 3 or self.colours != (0, 1, 2) or scheme == "ALL_RANDOM"
        )

    def has_new_bands(self, scheme: str) -> bool:
        """Return whether the encoder's weights say nothing of some bands.

        Args:
            scheme: as of :meth:`arranges_bands`.
        """
        if self.pretrained is not None:
            known = [each is not None for each in self.pretrained.sources(self.band_names)]
            # Where names say nothing of any band, these are those of the model.
            replaced = any(known) and not all(known)
            return replaced or self.spec.band_count > self.pretrained.band_count
        new = self.spec.band_count > 3 or scheme == "ALL_RANDOM"
        return new and self.arranges_bands(scheme)


def prepare(options: TrainingOptions, phase: Phase) -> Preparation:
    """Open the chips and settle what follows from them and the options.

    Raises:
        InputError: when an option does not fit the data.
        ModelError: when there is no model to go on from.
        TrainingDataError: when the folder cannot be used.
    """
    collection = open_collection(options.input)
    folder = collection.folder
    pretrained = read_pretrained(options.pretrained_model)
    kind = choose_kind(options, folder, pretrained)
    options.monitor_of(kind.task)
    options.loss_of(kind.task)
    schema, store = _open_store(options, folder, kind.task)
    outputs = output_names(schema, kind.task)
    places = _places(store, collection, phase)
    split = _split(options, kind.task, store, places, outputs, collection)
    facts = [store.facts(position) for position in split.training]
    shown = amounts(store, split.training, len(outputs))
    if not shown[-len(schema) :].any():  # there may be background before
        raise TrainingDataError(nothing(store, split.training))
    class_weights = weights_of(options.class_weights, shown, outputs, kind.task)
    sizes = np.concatenate([each.sizes for each in facts])
    all_shapes = [store.facts(position).shape for position in range(len(folder.chips))]
    own_sizes = of_own_sizes(folder, kind.task, all_shapes)
    shapes = [each.shape for each in facts]
    spec, notes = choose_network(
        options, folder, kind, pretrained, len(store.bands), len(schema), sizes, shapes, own_sizes
    )
    looks = not kind.task.finds_objects or _knows(spec, pretrained)
    return Preparation(
        folder=folder,
        store=store,
        kind=kind,
        schema=schema,
        split=split,
        normalization=measure(_images(store, split.training)),
        spec=spec,
        augmentation=settings_of(
            options.augmentation, options.augmentation_parameters, folder.reference_system, looks
        ),
        notes=(
            split.describe(),
            *_unused(options, split),
            *missing(store, split, schema, outputs),
            *strange(store),
            *collection.notes,
            *places.notes,
            *notes,
            *_weighed(outputs, class_weights),
            *_turned_only(options, kind, looks),
        ),
        class_weights=class_weights,
        pretrained=pretrained,
        own_sizes=own_sizes,
    )


def _open_store(
    options: TrainingOptions, folder: ChipFolder, task: Task
) -> tuple[Schema, ChipStore]:
    """Return the classes that are trained, and the chips as a network of this task reads them."""
    schema, ignores = learned(_schema(folder), options.ignore_classes, task)
    store = ChipStore(
        folder,
        schema.values,
        outlines=task is Task.INSTANCES,
        dates=task is Task.CHANGE,
        background=not ignores,
        bands=chosen_bands(options.extract_bands, folder.band_names),
    )
    return schema, store


def _knows(spec: NetworkSpec, pretrained: Pretrained | None) -> bool:
    return spec.weights != "none" or pretrained is not None


def _places(store: ChipStore, collection: Collection, phase: Phase) -> Places:
    """Read all chips and return where they lie."""
    folder = store.folder
    phase.total = len(folder.chips)
    footprints = []
    for position, chip in enumerate(folder.chips):
        store.facts(position)
        footprints.append(folder.footprint(chip))
        phase.step()
    bounds, systems, placed, corners = zip(*footprints)
    names = [chip.name for chip in folder.chips]
    return find_places(bounds, systems, collection.sources, placed, names, corners)


def _images(store: ChipStore, chosen: Sequence[int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pixels and validity of images; two dates are two images of the same bands."""
    bands = len(store.bands)
    for position in chosen:
        sample = store[position]
        for first in range(0, len(sample.pixels), bands):
            yield sample.pixels[first : first + bands], sample.valid


def output_names(schema: Schema, task: Task) -> list[str]:
    """Return the names of a network's outputs: those of pixels start with the background."""
    with_background = task in (Task.PIXELS, Task.CHANGE)
    return pixel_names(schema.names) if with_background else list(schema.names)


def _split(
    options: TrainingOptions,
    task: Task,
    store: ChipStore,
    places: Places,
    outputs: Sequence[str],
    collection: Collection,
) -> Split:
    """Split the chips; those that show nothing that is learned have no side.

    To a detector a chip without objects shows the background.
    """
    facts = [store.facts(position) for position in range(len(places.bounds))]
    used = [place for place, each in enumerate(facts) if each.taught or task.finds_objects]
    there = places.of(used)
    if collection.validation:
        apart = set(collection.validation)
        chosen = [index for index, place in enumerate(used) if place in apart]
        if not chosen:
            raise TrainingDataError(
                f"No validation chip of '{store.folder.path.name}' has a class that is learned. "
                "Validate on other chips or change IGNORE_CLASSES (now "
                f"'{options.ignore_classes}')."
            )
        split = split_apart(there.clashes, chosen).of(used)
        if not split.training:
            raise TrainingDataError(
                f"Every training chip of '{store.folder.path.name}' shares ground with a "
                "validation chip, so that none is left to learn from. Validate on chips of "
                "another place."
            )
        return split
    contents = np.array([padded(facts[place].counts, len(outputs)) for place in used])
    share, seed = options.validation_percentage, options.seed
    return split_chips(there.bounds, share, seed, contents, there.clashes).of(used)


def _unused(options: TrainingOptions, split: Split) -> Iterator[str]:
    """Yield a sentence where the share of the chips that validate says nothing."""
    share = options.validation_percentage
    if split.by_user and share != TrainingOptions.validation_percentage:
        yield (
            f"VALIDATION_PERCENTAGE={share:g} is not used: the chips of the validation folder "
            "validate."
        )


def _weighed(outputs: Sequence[str], class_weights: tuple[float, ...] | None) -> Iterator[str]:
    """Yield a sentence that tells the classes' weights, where they have any."""
    if class_weights is not None:
        told = ", ".join(f"{name} {weight:.3g}" for name, weight in zip(outputs, class_weights))
        yield f"Class weights: {told}."


def _turned_only(options: TrainingOptions, kind: ModelType, looks: bool) -> Iterator[str]:
    """Yield a sentence where augmentation by default leaves the chips' looks as they are."""
    if options.augmentation == "DEFAULT" and not looks:
        yield (
            f"Chips are turned and mirrored only, for {kind.name} starts from random weights; "
            "AUGMENTATION=CUSTOM changes their looks too."
        )


def _schema(folder: ChipFolder) -> Schema:
    """Return the classes to train; the value 0 of pixels is the background, no class."""
    schema = teachable(folder)
    check_classes(folder, schema)
    return schema
