"""``python -m flexmeasures`` is the command ``flexmeasures``."""

from flexmeasures.cli import main

main()
