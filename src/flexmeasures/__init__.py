"""FlexMeasures: measure, forecast, schedule, trade and coordinate energy flexibility.

Importing this package loads nothing else; use ``flexmeasures.app.create`` for the web application.
"""

from flexmeasures._version import __version__

__all__ = ["__version__"]
