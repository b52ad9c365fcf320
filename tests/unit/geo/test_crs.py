"""Coordinate reference systems: which are the same."""

from __future__ import annotations

import pytest

from geodl_plugin.core.geo.crs import same_crs, spatial_reference


@pytest.mark.parametrize("code", [4326, 4258, 3035, 31467, 2326, 32633, 2263])
def test_a_system_is_the_same_in_the_words_of_esri(code: int) -> None:
    """They have x before y where EPSG has y before x; files with a .prj are such."""
    system = spatial_reference(f"EPSG:{code}")
    other = system.ExportToWkt(["FORMAT=WKT1_ESRI"])
    assert same_crs(system.ExportToWkt(), other)
    assert same_crs(other, system.ExportToWkt())


@pytest.mark.parametrize("codes", [(4326, 4258), (31467, 31468), (32633, 32733), (3035, 3034)])
def test_neighbours_are_not_the_same(codes: tuple[int, int]) -> None:
    assert not same_crs(*(spatial_reference(f"EPSG:{code}").ExportToWkt() for code in codes))
