"""A plugin for FlexMeasures."""

from flask import Blueprint

__version__ = "0.1.0"

__settings__ = {
    "OUR_CLIENT_GREETING": {
        "description": "The words with which the plugin greets.",
        "parse_as": str,
        "default": "Hello",
    },
}

# FlexMeasures registers the Blueprint that is called after the plugin.
our_client_bp = Blueprint("our_client", __name__, template_folder="templates")
our_client_bp.cli.help = "Our client's commands."

# These modules add their parts to the Blueprint, or register themselves.
from our_client import commands, endpoints, forecasting, pages, scheduling  # noqa: E402, F401
