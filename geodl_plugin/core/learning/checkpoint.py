"""What a training keeps after each epoch, so that an interrupted one can go on.

Everything lies in one file of a hidden folder in the output folder. It is written under
another name first, so that a run killed at any moment leaves a whole one. A lock beside it keeps
other runs out of the folder meanwhile.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback

from ..errors import InputError
from ..locks import lock
from ..replacing import replace
from .options import TrainingOptions
from .preparation import Preparation
from .ranks import own_rank

FOLDER = ".geodl-training"
FILE = "last.ckpt"
_LOCK = "lock"
_OWN = "geodl"  # our entry in Lightning's checkpoint
_FORMAT = 2  # of all that is kept, of the callbacks too: one more whenever it changes
# A run may go on with other values of these.
_FREE = ("output", "resume")


@dataclass(frozen=True)
class Interrupted:
    """A training that did not come to its end.

    Attributes:
        path: of its checkpoint.
        epochs: how many are finished.
        options: by name.
        data: the mark of the training data.
        facts: what was settled when it started.
    """

    path: Path
    epochs: int
    options: dict[str, Any]
    data: str
    facts: dict[str, Any]


class Keeper(Callback):
    """Keeps the state of the training after each epoch; it must be the last callback.

    Args:
        options: of the training.
        data: the mark of the training data.
        facts: what else is needed to go on, as JSON values, with the ``seconds`` spent before.

    Attributes:
        kept: the training as it was kept last.
    """

    def __init__(self, options: TrainingOptions, data: str, facts: Mapping[str, Any]) -> None:
        self.kept: Interrupted | None = None
        self._path = checkpoint_path(options.output)
        self._options = plain_options(options)
        self._data = data
        self._facts = dict(facts)
        self._began = time.monotonic()

    def on_save_checkpoint(
        self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add what Lightning does not know."""
        epochs = trainer.current_epoch + 1
        seconds = self._facts["seconds"] + time.monotonic() - self._began
        facts = {**self._facts, "seconds": seconds}
        self.kept = Interrupted(self._path, epochs, self._options, self._data, facts)
        checkpoint[_OWN] = {
            "format": _FORMAT,
            "epochs": epochs,
            "options": self._options,
            "data": self._data,
            "facts": facts,
        }

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Write the checkpoint; raise :class:`InputError` when the folder cannot be written.

        On a full disk nothing is left but the one of the epoch before.
        """
        partial = _partial(self._path)
        try:
            if trainer.is_global_zero:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            trainer.save_checkpoint(partial)
            if trainer.is_global_zero:
                replace(partial, self._path)
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink()
            # Not the whole error: it names the temporary file that Lightning copies.
            raise InputError(
                f"The folder '{self._path.parents[1]}' cannot be written: "
                f"{error.strerror or error}."
            ) from error


def checkpoint_path(output: str) -> Path:
    """Return where a training into an output folder keeps its state."""
    return Path(output).expanduser().absolute() / FOLDER / FILE


def _partial(path: Path) -> Path:
    """Return the name that a checkpoint has while it is written."""
    return path.with_suffix(".part")


@contextlib.contextmanager
def alone(output: str) -> Iterator[None]:
    """Let no other run train into an output folder inside the block.

    Raises:
        InputError: when another one does, or the folder cannot be written.
    """
    if own_rank():  # the first process has seen to it
        yield
        return
    folder = checkpoint_path(output).parent
    new, ours = not folder.parent.exists(), False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / _LOCK).open("ab")
    except OSError as error:
        raise InputError(f"The folder '{folder.parent}' cannot be written: {error}.") from error
    try:
        with file:
            ours = lock(file)
            if not ours:
                raise InputError(
                    f"Another training writes into '{folder.parent}'. Wait for its end, or "
                    "choose another OUTPUT."
                )
            yield
    finally:
        if ours:
            _leave(folder, new)


def _leave(folder: Path, new: bool) -> None:
    """Remove the lock, and the folders around it where nothing else is in them."""
    with contextlib.suppress(OSError):
        (folder / _LOCK).unlink()
        folder.rmdir()
        if new:
            folder.parent.rmdir()


def plain_options(options: TrainingOptions) -> dict[str, Any]:
    """Return the options that must be the same for a run to go on."""
    values = dataclasses.asdict(options)
    return {name: value for name, value in values.items() if name not in _FREE}


def mark(preparation: Preparation) -> str:
    """Return a short text that changes when the training data do, their labels too."""
    store, chips = preparation.store, preparation.folder.chips
    known = [store.facts(position) for position in range(len(chips))]
    facts = (
        [chip.name for chip in chips],
        [(each.counts.tolist(), each.sizes.tolist()) for each in known],
        preparation.split,
        preparation.normalization,
        preparation.spec,
        preparation.schema,
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def find_interrupted(options: TrainingOptions) -> Interrupted | None:
    """Return the interrupted training in the output folder that the options go on with.

    Raises:
        InputError: when there is one of other options or another version, or a damaged one.
    """
    path = checkpoint_path(options.output)
    if not options.resume or not path.is_file():
        return None
    try:
        # It may come from anywhere with its folder: no code in it may run.
        own = torch.load(path, map_location="cpu", weights_only=True)[_OWN]
        found = Interrupted(path, int(own["epochs"]), own["options"], own["data"], own["facts"])
        format_ = own.get("format")
    except Exception as error:  # A damaged file fails in many ways.
        raise InputError(
            f"The interrupted training in '{options.output}' cannot be read. "
            "Set RESUME=false to start anew."
        ) from error
    if format_ != _FORMAT:
        raise InputError(
            f"The interrupted training in '{options.output}' is of another version of GeoDL, "
            "with which it can go on. With this one, set RESUME=false to start anew."
        )
    if not own_rank():  # the first process has checked, and told the others what it has settled
        _refuse_others(found, plain_options(options))
    return found


def _refuse_others(found: Interrupted, wanted: dict[str, Any]) -> None:
    """Raise :class:`InputError` when a training was started with other options."""
    differing = [name for name in wanted if found.options.get(name) != wanted[name]]
    if differing:
        was = ", ".join(f"{each.upper()}={found.options.get(each)}" for each in differing)
        now = ", ".join(f"{each.upper()}={wanted[each]}" for each in differing)
        raise InputError(
            f"The output folder holds a training interrupted after epoch {found.epochs} that "
            f"was started with {was}, not {now}. Start it as before to go on, or set "
            "RESUME=false to start anew."
        )


def refuse_other_data(found: Interrupted, data: str) -> None:
    """Raise :class:`InputError` when the training data are not what they were."""
    if found.data != data:
        raise InputError(
            f"The training data have changed since the training in the output folder was "
            f"interrupted after epoch {found.epochs}. Set RESUME=false to start anew."
        )


def discard(output: str) -> None:
    """Remove what a training into an output folder has kept."""
    path = checkpoint_path(output)
    for each in (path, _partial(path)):
        with contextlib.suppress(OSError):
            each.unlink()
