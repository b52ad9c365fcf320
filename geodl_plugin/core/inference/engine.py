"""Computing with a network: device, precision, batch size. Needs torch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ..device import choose_device, device_label, has_fast_bfloat16
from ..errors import InputError, WorkerError, reason_of
from ..memory import is_out_of_memory, keep_freed_memory
from ..progress import Progress
from .answers import agree, as_float32, is_finite
from .journal import Journal, Notes
from .kept_networks import KeptNetworks
from .lazy_network import facts_of
from .lean_network import lean_forms
from .model import Model
from .normalizing import Normalizing
from .wrapping import form_of, innermost

if TYPE_CHECKING:
    from .openvino_network import CompiledNetwork, ReadNetwork

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
GAIN = 0.9  # it must take less than this share of float32's time
CLEAR_GAIN = 0.7  # below which no more rounds are needed
ROUNDS = 6
TRIAL_SIDE = 256  # pixels; a part of the first image tells as much as the whole
LEAST_WORK = 4_000_000  # pixels below which trying a precision costs more than it gains
LEAST_SECONDS = 2.0  # of work left, below which compiling costs more than it gains
TORCH, OPENVINO = "torch", "openvino"

# Makes answers of the network, what it says of some images, and their height and width.
Decode = Callable[[nn.Module, Any, tuple[int, int]], Sequence[Any]]


class Engine:
    """A network on a device, asked in batches.

    Of several threads one at a time computes, or as many as OpenVINO has streams, and one at a
    time decodes what it has computed.

    Args:
        network: in any state; it is set to evaluation.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: ``auto``, ``float32``, ``bfloat16`` or ``float16``.
        batch_size: images computed at a time; 0 chooses.
        progress: is told what is computed where.
        kept: where what OpenVINO reads of the network is kept.
    """

    def __init__(
        self,
        network: nn.Module,
        device: str = "auto",
        precision: str = "auto",
        batch_size: int = 0,
        progress: Progress | None = None,
        kept: KeptNetworks | None = None,
    ) -> None:
        self.device = choose_device(device)
        if precision not in ("auto", *PRECISIONS):
            raise InputError(
                f"There is no precision '{precision}'. Choose auto, {', '.join(PRECISIONS)}."
            )
        self.network = network.eval().to(self.device, memory_format=torch.channels_last)
        self.batch_size = batch_size
        self.precision = precision
        self._progress = progress or Progress()
        self._work = 0
        self._ready = False
        self._kind: np.dtype | None = None  # of the images for which it is ready
        self._settling, self._decoding = threading.Lock(), threading.Lock()
        self._computing, self._streams = threading.Semaphore(1), 1
        self.notes: Journal | Notes = Notes()
        self._compiled: CompiledNetwork | None = None
        self._kept = kept
        self._read: ReadNetwork | None = None  # instead of the network, while trying it
        self._lean: dict[str, nn.Module] = {}  # what torch computes, by the precision

    def infer(self, images: Sequence[np.ndarray], decode: Decode) -> list[Any]:
        """Compute images ``(bands, rows, cols)`` and return what ``decode`` makes of each.

        A batch that does not fit into memory is halved, and so are those that follow.

        Raises:
            WorkerError: when not even one image fits into memory.
        """
        with self._settling:
            if not self._ready or images[0].dtype != self._kind:
                self._settle(images[0])
        answers: list[Any] = []
        while len(answers) < len(images):
            part = self._next_batch(images[len(answers) :])
            try:
                answers.extend(self._compute(part, decode))
            except (MemoryError, RuntimeError) as error:
                self._halve(error, len(part))
        return answers

    @property
    def lanes(self) -> int:
        """How many threads with a batch it gains by: while some compute, one prepares or decodes.

        One alone for torch on a CPU: each thread that computes there brings threads of its own,
        and they wait for each other. One, too, before the first answer.
        """
        if not self._ready or (self._streams == 1 and self.device.type == "cpu"):
            return 1
        return self._streams + 1

    def expect(self, work: int, width: int, height: int) -> None:
        """Prepare for ``work`` images of one size; choose the batch size if it was left open.

        On a CPU small batches are as fast as large ones, and the user can cancel sooner.
        """
        self._work = work * width * height
        if self.batch_size < 1:
            pixels = (16 if self.device.type == "cpu" else 256) * 128 * 128
            self.batch_size = max(1, min(pixels // (width * height), 64))

    def normalise(self, model: Model) -> None:
        """Take the images of ``model.prepare`` from now on, too.

        Raises:
            ModelError: when the raster lacks a band that the model's function wants.
        """
        if model.runs_code:
            self.network.fit(model)
        taken = any(isinstance(each, Normalizing) for each in self.network.modules())
        if model.foreign is None and not taken:
            self.network = Normalizing(self.network, model).to(self.device)

    def go_on(self, journal: Journal | Notes) -> None:
        """Compute as the run did whose notes these are, or note in them how this one does.

        Another precision would give other bytes.
        """
        self.notes = journal
        self.precision = journal.noted("precision") or self.precision
        self.batch_size = journal.noted("batch_size") or self.batch_size
        if self._ready:
            self._note()

    def _note(self) -> str:
        """Note how is computed; return the engine's name."""
        engine = TORCH if self._compiled is None else OPENVINO
        self.notes.note("precision", self.precision)
        self.notes.note("batch_size", self.batch_size)
        self.notes.note("engine", engine)
        self.notes.note("lean", bool(self._lean))
        return engine

    def _next_batch(self, images: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """Return the first images that can be computed together: few enough, of one size."""
        shapes = [each.shape for each in images[: self.batch_size]]
        alike = next((i for i, shape in enumerate(shapes) if shape != shapes[0]), len(shapes))
        return images[:alike]

    def _compute(self, images: Sequence[np.ndarray], decode: Decode) -> Sequence[Any]:
        with torch.inference_mode():
            batch = self._tensor(images)
            with self._computing:
                answer = self._forward(batch, self.precision)
            with self._decoding:
                return decode(self.network, answer, images[0].shape[-2:])

    def _tensor(self, images: Sequence[np.ndarray]) -> torch.Tensor:
        batch = torch.from_numpy(images[0][None] if len(images) == 1 else np.stack(images))
        if self._compiled is not None or self._read is not None:
            return batch
        return batch.to(self.device).contiguous(memory_format=torch.channels_last)

    def _forward(self, batch: torch.Tensor, precision: str) -> Any:
        if self._compiled is not None:
            return self._compiled(batch)
        if self._read is not None:
            return self._read.compiled(precision)(batch)
        kind = PRECISIONS[precision]
        network = self._lean.get(precision, self.network)
        if kind is None:
            return network(batch)
        with torch.autocast(self.device.type, dtype=kind):
            answer = as_float32(network(batch))
        # What is beyond its 65,504 is no number any more, and would be background or no object.
        if kind is torch.float16 and not is_finite(answer):
            return self.network(batch)
        return answer

    def _settle(self, image: np.ndarray) -> None:
        """Choose precision and batch size by the first image, and tell them."""
        if self.batch_size < 1:
            self.expect(0, *image.shape[-2:])
        known = self.notes.noted("engine")
        if getattr(self.network, "is_compiled", False):
            known = known or TORCH
        self._compiled = None
        self._read = None if known == TORCH else self._open(image)
        self._lean = {} if self._read is not None else self._leaner(image, self.notes.noted("lean"))
        if self.precision == "auto":
            self.precision = self._fastest(image)
        if self._read is not None:
            self._compiled, self._read = self._read.compiled(self.precision), None
        elif known == OPENVINO or (known is None and self._seconds(image) > LEAST_SECONDS):
            self._compiled = self._compile(image, known == OPENVINO)
        lean = None if self._compiled is not None else self._lean.get(self.precision)
        self._lean = {} if lean is None else {self.precision: lean}
        if self._compiled is None and self.device.type == "cpu":
            keep_freed_memory()
        self._kind = image.dtype
        self._streams = getattr(self._compiled or self.network, "streams", 1)
        self._computing = threading.Semaphore(self._streams)
        self._ready = True
        engine = self._note()
        rows, cols = image.shape[-2:]
        self._progress.info(
            f"Computing on {device_label(self.device)} with {self.precision}, in batches of "
            f"{self.batch_size} images of {cols} × {rows} pixels"
            + (", by OpenVINO." if engine == OPENVINO else ".")
        )

    def _leaner(self, image: np.ndarray, known: bool | None) -> dict[str, nn.Module]:
        """Return for each precision a network that answers alike, with less work, on a CPU.

        Args:
            image: the first one.
            known: whether the run that goes on had one; ``None`` for another run.
        """
        exact = getattr(self.network, "is_exact", False)
        wanted = self._work >= LEAST_WORK if known is None else known
        if self.device.type != "cpu" or exact or not wanted:
            return {}
        return lean_forms(self.network, self._tensor([self._part(image)]))

    def _seconds(self, image: np.ndarray) -> float:
        """Return about how long torch would take for all the work on a CPU; 0 elsewhere."""
        if self.device.type != "cpu" or self._work < LEAST_WORK or self.precision == "float16":
            return 0.0
        batch = self._tensor([self._part(image)])
        with torch.inference_mode():
            self._forward(batch, self.precision)  # the first run prepares
            seconds = self._timed(batch, self.precision)
        return seconds * self._work / (batch.shape[-1] * batch.shape[-2])

    def _form(self, image: np.ndarray) -> str:
        """Return what decides, beside the model, what OpenVINO reads of the network.

        Raises:
            ImportError: when OpenVINO is not installed.
        """
        from .openvino_network import processor

        return f"{form_of(self.network)} {image.dtype} {len(image)} {processor()}"

    def _open(self, image: np.ndarray) -> ReadNetwork | None:
        """Return what another run has kept: it agreed with torch and was faster."""
        if self._kept is None or self._kept.facts() is None or self.precision == "float16":
            return None
        from .openvino_network import ReadNetwork

        try:
            form = self._form(image)
            found = self._kept.find(form)
        except ImportError:
            return None
        try:
            return None if found is None else ReadNetwork.open(*found)
        except (RuntimeError, ValueError):  # this OpenVINO does not understand it
            self._kept.drop(form)
            return None

    def _keep(self, image: np.ndarray, read: ReadNetwork) -> None:
        """Keep what OpenVINO has read for the next run of the same model."""
        if self._kept is not None:
            facts = facts_of(innermost(self.network))
            self._kept.keep(self._form(image), facts, read.structure(), read.save)

    def _compile(self, image: np.ndarray, known: bool) -> CompiledNetwork | None:
        """Return what OpenVINO makes of the network, if it agrees with torch and is faster.

        Where it is ``known`` to be, because another run has found so, it is not timed again.
        """
        self._progress.update(0.0, "Compiling the network")
        batch = self._tensor([self._part(image)])
        try:
            from .openvino_network import ReadNetwork

            read = ReadNetwork.of(self.network, batch)
            compiled = read.compiled(self.precision)
            with torch.inference_mode():
                # What was traced at one size must hold at others.
                for each in (batch, batch[..., : batch.shape[-2] * 3 // 4, :]):
                    fits = each.shape[-2] % getattr(self.network, "tile_step", 32) == 0
                    if fits and not agree(self._forward(each, "float32"), compiled(each)):
                        return None
                if not known:
                    fast, slow = _race(
                        lambda: compiled.seconds(batch),
                        lambda: self._timed(batch, self.precision),
                        ROUNDS // 2,
                    )
                    if fast >= GAIN * slow:
                        return None
        except Exception as error:  # whatever it cannot compile, torch computes
            if not isinstance(error, ImportError):
                self._progress.info(f"OpenVINO does not take this network ({reason_of(error)}).")
            return None
        self._keep(image, read)
        return compiled

    def _part(self, image: np.ndarray) -> np.ndarray:
        """Return a part of an image that tells as much of the speed as the whole."""
        side = None if getattr(self.network, "fixed_tile", None) else TRIAL_SIDE
        return image[:, :side, :side]

    def _fastest(self, image: np.ndarray) -> str:
        """Return a faster precision than float32 if it agrees with it, else float32."""
        trial = self._candidate()
        if trial is None:
            return "float32"
        with torch.inference_mode():
            batch = self._tensor([self._part(image)])
            try:
                if not agree(self._forward(batch, "float32"), self._forward(batch, trial)):
                    return "float32"
                fast, slow = _race(
                    lambda: self._timed(batch, trial),
                    lambda: self._timed(batch, "float32"),
                    ROUNDS,
                )
            except (RuntimeError, MemoryError):
                return "float32"
        return trial if fast < GAIN * slow else "float32"

    def _candidate(self) -> str | None:
        exact = getattr(self.network, "is_exact", False)
        if self._work < LEAST_WORK or self.device.type == "mps" or exact:
            return None
        if self.device.type == "cpu" and has_fast_bfloat16() is False:
            return None
        if self.device.type == "cuda" and not torch.cuda.is_bf16_supported():
            return "float16"
        return "bfloat16"

    def _timed(self, batch: torch.Tensor, precision: str) -> float:
        """Return the seconds of one run; those of the first one say little."""
        self._wait()
        start = time.perf_counter()
        self._forward(batch, precision)
        self._wait()
        return time.perf_counter() - start

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _halve(self, error: BaseException, size: int) -> None:
        if not is_out_of_memory(error):
            raise error
        if size < 2:
            raise WorkerError(
                "The memory does not suffice for one image. Use a smaller tile_size, or another "
                "device."
            ) from error
        self.batch_size = max(size // 2, 1)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        self._progress.warn(f"The memory does not suffice: batches are now {self.batch_size}.")


def _race(one: Callable[[], float], other: Callable[[], float], rounds: int) -> tuple[float, float]:
    """Return the least seconds of two ways, which run in turns: other programs disturb.

    The first of at least two rounds prepares, and more follow only while neither is clearly faster.
    """
    best = (float("inf"), float("inf"))
    for round_ in range(rounds):
        best = min(best[0], one()), min(best[1], other())
        if round_ and min(best) < CLEAR_GAIN * max(best):
            break
    return best
