"""The platform with the plugin, on servers that are started for the tests."""

import tempfile

import pytest

from flexmeasures.app import create
from flexmeasures.data.database import db, prepare, redis_connection
from flexmeasures.testing import make_cast


@pytest.fixture(scope="session")
def app():
    """Make the platform; it finds the plugin, which is installed."""
    with tempfile.TemporaryDirectory(prefix="fm-") as folder:
        made = create("testing", settings={"FLEXMEASURES_INSTANCE_PATH": folder})
        prepare(made)
        yield made
        with made.app_context():
            db.session.remove()
            db.engine.dispose()
        redis_connection(made).connection_pool.disconnect()
        made.extensions["embedded"].services.leave()


@pytest.fixture(scope="session")
def cast(app):
    """People with assets and a market: see flexmeasures.testing."""
    with app.app_context():
        made = make_cast(db.session)
        db.session.commit()
    return made
