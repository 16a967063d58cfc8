"""Where an instance keeps its data."""

from pathlib import Path

from flexmeasures.instance import find_instance_path


def test_the_instance_folder_is_the_one_that_was_named(tmp_path):
    """The environment variable names the folder, which need not exist."""
    assert find_instance_path({"FLEXMEASURES_INSTANCE_PATH": str(tmp_path / "new")}) == tmp_path / "new"


def test_the_instance_folder_may_be_in_the_home_folder():
    """A tilde stands for the home folder, and the path becomes absolute."""
    path = find_instance_path({"FLEXMEASURES_INSTANCE_PATH": "~/fm"})
    assert path == Path.home().resolve() / "fm"


def test_a_checkout_has_its_instance_beside_it():
    """Without being named, the folder of a source checkout is in the checkout."""
    for environ in ({}, {"FLEXMEASURES_INSTANCE_PATH": ""}):
        assert find_instance_path(environ) == Path(__file__).parents[2] / "instance"
