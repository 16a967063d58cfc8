"""Pages, in the frame of the platform."""

from flask import current_app
from flask_security import login_required

from flexmeasures.ui.utils.view_utils import render_flexmeasures_template
from our_client import our_client_bp


@our_client_bp.get("/our_client/metrics")
@login_required
def metrics():
    """Show a greeting."""
    greeting = current_app.config["OUR_CLIENT_GREETING"]
    return render_flexmeasures_template("our_client/metrics.html", greeting=greeting)
