"""Going on from a trained model, also with other classes or bands. Weights need torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..chips.folder import NUMBERED
from ..errors import InputError, ModelError
from ..models.registry import ModelType, NetworkSpec, build_network, model_type
from ..packages.archive import open_package, peek_definition
from ..packages.definition import understood

if TYPE_CHECKING:
    from torch import Tensor, nn

_INSIDE = "network."  # where a network that scales its images has the other one
# Rows of these outputs are grouped by class, not by what is told of each.
_GROUPED_BY_CLASS = ("bbox_pred.weight", "bbox_pred.bias")


@dataclass(frozen=True)
class Pretrained:
    """What is known of a model to go on from.

    Attributes:
        model: as the user named it.
        name: for people.
        kind: its type.
        backbone: name of its encoder.
        arguments: of its type.
        classes: names in the order of the network's indices.
        chip_size: side of what it saw, in pixels.
        resize_to: side of what its network saw inside, 0 the same.
        band_count: how many bands it takes.
        bands: their names; empty where they are not known.
    """

    model: str
    name: str
    kind: ModelType
    backbone: str
    arguments: dict[str, Any]
    classes: tuple[str, ...]
    chip_size: int
    resize_to: int = 0
    band_count: int = 3
    bands: tuple[str, ...] = ()

    @property
    def seen(self) -> int:
        """Side of what its network saw inside, in pixels."""
        return self.resize_to or self.chip_size

    def sources(self, names: Sequence[str]) -> list[int | None]:
        """Return which of its bands those of other images are, by their names, none for others.

        Names that only count the bands say nothing.
        """
        known = [each.strip().lower() for each in self.bands]
        wanted = [each.strip().lower() for each in names]
        return [
            known.index(each) if each in known and not NUMBERED.fullmatch(each) else None
            for each in wanted
        ]


def read_pretrained(model: str) -> Pretrained | None:
    """Return what is known of a model, none when none is named.

    Raises:
        ModelError: when there is no such model, or it was not trained by GeoDL.
    """
    if not model.strip():
        return None
    definition = peek_definition(model.strip())
    facts = definition.geodl
    if not facts.get("architecture"):
        raise ModelError(
            f"'{definition.name}' was not made by GeoDL's tool 'Train model', so that no training "
            "can go on from it. Choose a model that was."
        )
    with understood(definition.name):
        return Pretrained(
            model=model.strip(),
            name=definition.name,
            kind=model_type(str(facts["architecture"])),
            backbone=str(facts.get("backbone") or ""),
            arguments=dict(facts.get("arguments") or {}),
            classes=definition.schema.names,
            chip_size=int(facts.get("chip_size") or definition.tile_size),
            resize_to=int(facts.get("resize_to") or 0),
            band_count=definition.band_count,
            bands=_bands(facts.get("band_names"), definition.extract_bands),
        )


def _bands(names: Any, taken: Sequence[int]) -> tuple[str, ...]:
    """Return the names of the bands that a network takes of images with bands of these names."""
    known = names if isinstance(names, list) else []
    return tuple(str(known[place]) for place in taken) if max(taken, default=0) < len(known) else ()


def transfer(
    network: nn.Module,
    spec: NetworkSpec,
    pretrained: Pretrained,
    classes: Sequence[str],
    bands: Sequence[str],
) -> str:
    """Give a new network the weights of a trained one; return a sentence that tells what fitted.

    Outputs of classes of the same name keep their weights, those of others start anew. In a
    first convolution bands of the same name keep theirs, and others get repeated ones; all are
    rescaled where there are more or fewer.

    Raises:
        ModelError: when the weights cannot be read or none of them fits.
    """
    from ..models.networks.weights import first_convolution, repeat_bands

    weights = _moved(_weights_of(pretrained), _resized(pretrained), _resized(spec))
    own = network.state_dict()
    heads = {} if tuple(classes) == pretrained.classes else _heads(spec, own)
    first, sources = first_convolution(network.encoder), pretrained.sources(bands)
    seeing = next((f"{name}.weight" for name, each in network.named_modules() if each is first), "")
    fitting: dict[str, Tensor] = {}
    for name, target in own.items():
        value = weights.get(name)
        if value is None:
            continue
        if name in heads:
            value = _rows(value, target, heads[name], pretrained.classes, classes, name)
        elif name == seeing and len(sources) == target.shape[1]:
            value = repeat_bands(value, target.shape[1], sources)
        elif value.dim() == 4 and value.shape != target.shape:
            value = repeat_bands(value, target.shape[1])
        if value is not None and value.shape == target.shape:
            fitting[name] = value.to(target.dtype)
    if len(fitting) < len(own) / 2:
        raise ModelError(
            f"Only {len(fitting)} of {len(own)} tensors of '{pretrained.name}' fit the network. "
            "Choose a model that was trained with the same MODEL_ARGUMENTS."
        )
    network.load_state_dict(fitting, strict=False)
    known = [name for name in classes if name in pretrained.classes]
    new = [name for name in classes if name not in pretrained.classes]
    return (
        f"The training goes on from '{pretrained.name}': {len(fitting)} of {len(own)} tensors "
        f"fit; classes it knows: {', '.join(known) or 'none'}; new: {', '.join(new) or 'none'}."
        + _moved_bands(bands, sources)
    )


def _moved_bands(names: Sequence[str], sources: Sequence[int | None]) -> str:
    """Return a sentence on the bands that have another place in the model."""
    moved = [name for place, name in enumerate(names) if sources[place] not in (None, place)]
    told = f" Bands that have another place there keep their weights: {', '.join(moved)}."
    return told if moved else ""


def _weights_of(pretrained: Pretrained) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    with open_package(pretrained.model) as package:
        try:
            # Not mapped: Windows would not remove what was unpacked while there are weights.
            return load(package.file(package.definition.model_file).read_bytes())
        except (OSError, SafetensorError) as error:
            raise ModelError(
                f"The weights of '{pretrained.name}' cannot be read: {error}. Get it again."
            ) from error


def _resized(network: NetworkSpec | Pretrained) -> bool:
    """Return whether a network stands inside one that scales its images."""
    return bool(network.resize_to) and network.resize_to != network.chip_size


def _moved(weights: dict[str, Tensor], before: bool, after: bool) -> dict[str, Tensor]:
    """Return weights by the names they have inside, or outside, of a network that scales."""
    if before and not after:
        return {name[len(_INSIDE) :]: value for name, value in weights.items()}
    if after and not before:
        return {_INSIDE + name: value for name, value in weights.items()}
    return weights


def _heads(spec: NetworkSpec, own: dict[str, Tensor]) -> dict[str, int]:
    """Return the tensors that depend on the number of classes, with their rows a class.

    The one output of a sigmoid cannot be another class's: it has no rows to copy.
    """
    if spec.arguments.get("sigmoid"):
        other = build_network(
            dataclasses.replace(
                spec, arguments={**spec.arguments, "sigmoid": False}, weights="none"
            )
        ).state_dict()
        return {name: 0 for name, value in own.items() if other[name].shape != value.shape}
    wider = dataclasses.replace(spec, class_count=spec.class_count + 1, weights="none")
    other = build_network(wider).state_dict()
    return {
        name: other[name].shape[0] - value.shape[0]
        for name, value in own.items()
        if value.dim() and name in other and other[name].shape != value.shape
    }


def _rows(
    old: Tensor,
    new: Tensor,
    rows: int,
    old_classes: Sequence[str],
    classes: Sequence[str],
    name: str,
) -> Tensor | None:
    """Return the new outputs with the rows of the old ones where the class is the same.

    Args:
        old, new: weights or biases, the outputs in the first axis.
        rows: how many outputs each class has, one an anchor.
        old_classes, classes: names by index.
        name: of the tensor.
    """
    if rows < 1 or old.shape[1:] != new.shape[1:] or old.shape[0] % rows or new.shape[0] % rows:
        return None
    extra = new.shape[0] // rows - len(classes)
    if extra < 0 or old.shape[0] // rows - len(old_classes) != extra:
        return None
    # One more than the classes, or than the classes and four numbers of a box: the background.
    lead = 1 if extra in (1, 5) else 0
    pairs = [(place, place) for place in range(lead)]
    pairs += [
        (lead + old_classes.index(each), lead + place)
        for place, each in enumerate(classes)
        if each in old_classes
    ]
    tail = extra - lead
    pairs += [(lead + len(old_classes) + i, lead + len(classes) + i) for i in range(tail)]
    by_class = name.endswith(_GROUPED_BY_CLASS)
    result = new.detach().clone()
    target = _grouped(result, rows, by_class)
    source = _grouped(old.to(result.dtype), rows, by_class)
    for before, after in pairs:
        target[:, after] = source[:, before]
    return result


def _grouped(outputs: Tensor, rows: int, by_class: bool) -> Tensor:
    """Return a view ``(rows, outputs a row, …)`` of outputs."""
    rest = outputs.shape[1:]
    if by_class:
        return outputs.view(-1, rows, *rest).transpose(0, 1)
    return outputs.view(rows, -1, *rest)


def refuse_other(what: str, wanted: Any, pretrained: Pretrained, has: Any) -> None:
    """Raise :class:`InputError` when an option asks for another network than the model has."""
    if wanted != has:
        raise InputError(
            f"{what}={wanted}, but PRETRAINED_MODEL '{pretrained.name}' has {has}. "
            f"Leave {what} as it is by default, or choose another model."
        )
