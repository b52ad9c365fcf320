"""What all tests of networks share."""

from __future__ import annotations

import torch

# Tiny networks gain nothing from threads, which only disturb what else runs here.
torch.set_num_threads(1)
