"""A cluster for the tests of what its workers compute."""

from __future__ import annotations

from collections.abc import Iterator

import dask
import pytest
from distributed import LocalCluster


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a cluster of two processes, which know the networks of the tests.

    A cluster gives up a worker that is not back 15 s after its death, which is less than a busy
    machine takes to start one.
    """
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1h"}),
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0",
            preload=["tests.unit.inference.support"],
        ) as cluster,
    ):
        yield cluster.scheduler_address
