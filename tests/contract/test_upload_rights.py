"""To which sensors somebody may upload files."""

from sqlalchemy import select

from flexmeasures.data.database import db
from flexmeasures.data.tables import Role, User
from flexmeasures.services.upload_readings import list_targets


def test_who_may_read_everything_uploads_nothing_for_others(app, cast):
    """A reader of the whole platform sees all assets, and yet may add nothing to them; an admin may."""
    with app.app_context():
        reader = db.session.scalars(select(User).where(User.email == cast.roleless_email)).one()
        reader.roles.append(Role(name="admin-reader"))
        db.session.commit()
        assert list_targets(db.session, reader) == []
        admin = db.session.get_one(User, cast.admin_id)
        assert {cast.foreign_asset, cast.market} <= {one.sensor.id for one in list_targets(db.session, admin)}
