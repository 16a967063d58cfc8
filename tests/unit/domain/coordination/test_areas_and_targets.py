"""Which places lie in an area, and who sees an object with targets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexmeasures.domain.coordination import Polygon, is_visible, shown_targets
from flexmeasures.domain.errors import BadValues

# An L: the unit square from (0, 0) to (2, 2) without its upper right quarter.
L_SHAPE = Polygon(np.array([[0, 0], [2, 0], [2, 1], [1, 1], [1, 2], [0, 2]], float))


@pytest.mark.parametrize(
    ("place", "inside"),
    [
        ((0.5, 0.5), True),
        ((1.5, 0.5), True),
        ((1.5, 1.5), False),
        ((1, 1), True),
        ((0, 0), True),
        ((2, 0.5), True),
        ((1, 1.5), True),
        ((1.5, 1), True),
        ((2.5, 1), False),
        ((-1, 2), False),
        ((-1, 0), False),
    ],
)
def test_places_inside_and_on_the_border_belong_to_the_area(place, inside):
    """Inside, corners and edges belong to it; the notch and what lies in line with an edge do not."""
    longitude, latitude = (np.array([part], float) for part in place)
    assert L_SHAPE.contains(longitude, latitude).tolist() == [inside]


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(0.1, 2), st.floats(0.1, 2))
def test_a_rectangle_contains_what_its_bounds_contain(x, y, width, height):
    """For rectangles the even–odd rule is a comparison of coordinates."""
    box = Polygon(np.array([[0, 0], [width, 0], [width, height], [0, height]]))
    assert bool(box.contains(np.array([x]), np.array([y]))[0]) == (0 <= x <= width and 0 <= y <= height)


@pytest.mark.parametrize(
    "corners",
    [[[0, 0], [1, 1]], [[0, 0], [1, 1], [0, 0]], [[0, 0], [181, 0], [0, 1]], [[0, 91], [1, 0], [0, 1]]],
)
def test_what_is_not_an_area_is_refused(corners):
    """Two corners, or corners off the earth, do not make an area."""
    with pytest.raises(BadValues):
        Polygon(np.array(corners, float))


def test_an_object_without_targets_is_for_everybody():
    """A client without any grants sees it."""
    assert is_visible([], set())
    assert is_visible(None, {"a"})


def test_an_object_with_targets_is_for_those_who_were_granted_one():
    """One granted target is enough, and only granted targets are shown."""
    assert is_visible(["a", "b"], {"b", "c"})
    assert not is_visible(["a"], {"b"})
    assert shown_targets(["a", "b"], {"b", "c"}) == ["b"]


def test_asking_for_a_target_that_was_not_granted_shows_nothing():
    """A query narrows what is seen and never widens it."""
    assert not is_visible(["a"], {"b"}, asked={"a"})
    assert is_visible(["a", "b"], {"a", "b"}, asked={"a"})
    assert not is_visible(["b"], {"a", "b"}, asked={"a"})
