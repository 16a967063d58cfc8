"""Connections to the database that end while nobody uses them."""

import psycopg
from sqlalchemy import text
from sqlalchemy.engine import make_url

from flexmeasures.data.database import db


def test_a_connection_that_the_server_closed_is_replaced(app):
    """After a restart of the server the next request gets a new connection instead of an error."""
    url = make_url(app.config["SQLALCHEMY_DATABASE_URI"]).set(drivername="postgresql")
    with app.app_context():
        before = db.session.scalar(text("select pg_backend_pid()"))
        db.session.remove()
        with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as other:
            other.execute("select pg_terminate_backend(%s, 5000)", (before,))
        assert db.session.scalar(text("select pg_backend_pid()")) != before


def test_a_connection_that_lives_is_used_again(app):
    """No new connection is made for each request."""

    def server_process():
        db.session.remove()
        return db.session.scalar(text("select pg_backend_pid()"))

    with app.app_context():
        uses = 3 * db.engine.pool.size()
        assert len({server_process() for _ in range(uses)}) <= db.engine.pool.size()
