"""The errors that GeoDL raises; each message is one sentence with the value and the way out."""

from __future__ import annotations


class GeoDLError(Exception):
    """The root of all errors whose message is meant for the user."""


class InputError(GeoDLError, ValueError):
    """A parameter has a value that cannot be used."""


class OutsideError(InputError):
    """What limits the work, an extent or a mask say, does not meet the raster."""


class RasterError(GeoDLError, OSError):
    """A raster could not be opened, read or written."""


class VectorError(GeoDLError, OSError):
    """A vector layer could not be opened, read or written."""


class TrainingDataError(GeoDLError, ValueError):
    """A training-data folder cannot be used."""


class UnknownClassError(TrainingDataError):
    """A label names a class that its folder does not know."""


class BandCountError(TrainingDataError):
    """A chip has other bands than the rest of its folder."""


class ModelError(GeoDLError, ValueError):
    """A model definition or package cannot be used."""


class MissingLibraryError(GeoDLError, ImportError):
    """A library that the task needs is not installed."""


class WorkerError(GeoDLError, RuntimeError):
    """The worker process could not start, or ended without a result."""


class CancelledError(GeoDLError):
    """The user cancelled the run."""

    def __init__(self, message: str = "Cancelled.") -> None:
        super().__init__(message)
