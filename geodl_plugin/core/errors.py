"""The errors that GeoDL raises; each message is one sentence with the value and the way out."""

from __future__ import annotations

import errno

FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


def reason_of(error: Exception, nothing: str = "") -> str:
    """Return the first line of what another library's error says, as the end of a sentence.

    Args:
        error: of any library.
        nothing: what is told of one that says nothing; default is its name.
    """
    lines = str(error).strip().splitlines() or [nothing or type(error).__name__]
    return lines[0][:200].rstrip(".:! ")


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


class FileError(GeoDLError, OSError):
    """A file or folder could not be read or written."""

    @classmethod
    def of(cls, error: OSError) -> FileError:
        """Return the error of the system as one sentence."""
        reason = error.strerror or str(error) or type(error).__name__
        if error.errno in FULL:
            return cls(f"The disk is full ({reason}). Make room, then run the same call again.")
        if error.filename is None:
            return cls(f"A file cannot be read or written: {reason}.")
        return cls(
            f"'{error.filename}' cannot be read or written: {reason}. Choose another place, or "
            "ask for the right to it."
        )


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
