"""The face that all readers of networks give: images in, named tensors out. Needs torch."""

from __future__ import annotations

from torch import Tensor, nn

Answer = dict[str, Tensor]  # in the order of the network's outputs


class Ask(nn.Module):
    """A network that takes images ``(b, bands, rows, cols)`` as float32.

    Attributes:
        is_compiled: whether another library computes, on the CPU.
        streams: how many threads it answers at the same time.
        fixed: the side of the only images it takes, 0 for any.
        batch: how many images it takes at a time, 0 for any number.
        channels_last: whether its answers have their channels at the end.
        from_zero: whether the labels that it answers with count from 0.
    """

    is_compiled = False
    streams = 1
    fixed = 0
    batch = 0
    channels_last = False
    from_zero = False

    def forward(self, images: Tensor) -> Answer:
        """Return the outputs by their names."""
        raise NotImplementedError
