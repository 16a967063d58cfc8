"""Which place is nearest."""

from flexmeasures.domain.places import Coordinates, nearest_first


def test_a_degree_of_longitude_is_shorter_in_the_north():
    """At 60 degrees north, 1.9 degrees of longitude (× cos 60° = 0.95) are nearer than 1 degree of latitude."""
    assert nearest_first([Coordinates(61, 10), Coordinates(60, 11.9)], Coordinates(60, 10)) == [1, 0]


def test_the_date_line_is_no_distance():
    """Places on both sides of 180 degrees are neighbours."""
    assert nearest_first([Coordinates(0, 170), Coordinates(0, -179)], Coordinates(0, 179)) == [1, 0]


def test_of_equally_near_places_the_first_stays_first():
    """The order is stable, and of no places it is empty."""
    assert nearest_first([Coordinates(1, 0), Coordinates(-1, 0), Coordinates(1, 0)], Coordinates(0, 0)) == [
        0,
        1,
        2,
    ]
    assert nearest_first([], Coordinates(0, 0)) == []
