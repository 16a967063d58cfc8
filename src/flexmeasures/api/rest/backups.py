"""For simulations: bring the database back to a backup. In play mode only; elsewhere there is no such service."""

from __future__ import annotations

from flask import Blueprint, Response, abort, current_app, request
from sqlalchemy.orm import Session

from flexmeasures.api.door import json_response
from flexmeasures.api.openapi.operation import Answer, documented
from flexmeasures.api.openapi.shapes import STRING, an_object, component, one_of
from flexmeasures.api.rest.answers import FORBIDDEN
from flexmeasures.api.rest.door import in_transaction, read_arguments, read_json, sender
from flexmeasures.api.usef.statuses import NO_BACKUP, PROCESSED, UNRECOGNIZED_BACKUP
from flexmeasures.api.usef.versions import VERSIONS
from flexmeasures.domain.errors import NotFound
from flexmeasures.services.backups import backup_folder, restore_backup

__all__ = ["blueprint"]

blueprint = Blueprint("flexmeasures_api_play", __name__, url_prefix="/api")


@documented(
    FORBIDDEN
    | {
        200: Answer(
            "PROCESSED",
            an_object(type=one_of("RestoreDataResponse"), status=one_of("PROCESSED"), message=STRING),
        ),
        400: Answer(
            "NO_BACKUP, UNRECOGNIZED_BACKUP; or the body is not JSON",
            {"anyOf": [component("Refusal"), component("NotJson")]},
        ),
        404: Answer("The platform is not in play mode.", component("Error")),
    },
    body=an_object(backup={**STRING, "description": "Name of the backup."}),
)
@in_transaction
def restore_data(session: Session) -> Response:
    """Replace all data by those of a backup; for admins."""
    if current_app.config["FLEXMEASURES_MODE"].strip() != "play":
        abort(404)
    sender("admin")
    body = read_json(request)
    name = {**read_arguments(request), **(body if isinstance(body, dict) else {})}.get("backup")
    if not isinstance(name, str) or not name:
        raise NO_BACKUP('Name one: {"backup": "demo_v0"}.')
    folder = backup_folder(current_app.config["FLEXMEASURES_DB_BACKUP_PATH"], current_app.instance_path)
    try:
        restore_backup(session, folder, name)
    except NotFound as error:
        raise UNRECOGNIZED_BACKUP(str(error)) from None
    return json_response(
        {
            "type": "RestoreDataResponse",
            "status": PROCESSED.name,
            "message": f"{PROCESSED.message} Database restored to {name}.",
        }
    )


# The documentation writes the path with a version before it; clients of the old server had to write it without.
blueprint.add_url_rule("/restoreData", view_func=restore_data, methods=["PUT"])
for prefix in VERSIONS:
    blueprint.add_url_rule(f"/{prefix}/restoreData", view_func=restore_data, methods=["PUT"])
