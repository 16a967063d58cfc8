"""The door to which upstreams send webhooks.

Source: OpenADR 3.1.0 definition, section on webhooks (the challenge ``echo``).
"""

from __future__ import annotations

import logging

from flask import Blueprint, Response, current_app, request
from redis.exceptions import RedisError

from flexmeasures.api.problem_details import problem_response
from flexmeasures.data.database import db, redis_connection
from flexmeasures.jobs.upstreams import wake_upstream
from flexmeasures.services.upstreams.hooks import HOOKS, find_by_receiver

__all__ = ["hooks", "is_known_receiver"]

log = logging.getLogger(__name__)

hooks = Blueprint("flexmeasures_upstream_hooks", __name__, url_prefix=HOOKS)

_LONGEST_ECHO = 1000
_UNKNOWN = "Nobody is followed at this address."


@hooks.get("/<receiver>", provide_automatic_options=False)
def answer_challenge(receiver: str) -> Response:
    """Repeat the value of ``echo``, by which an upstream makes sure that we want its notifications."""
    if find_by_receiver(db.session(), receiver) is None:
        return problem_response(404, _UNKNOWN)
    value = request.args.get("echo", "")
    if len(value) > _LONGEST_ECHO:
        return problem_response(400, f"echo has {len(value)} characters; send at most {_LONGEST_ECHO}.")
    return Response(value, mimetype="text/plain", headers={"X-Content-Type-Options": "nosniff"})


@hooks.post("/<receiver>", provide_automatic_options=False)
def take_notification(receiver: str) -> Response:
    """Have the upstream asked at once; what the notification says is not read."""
    upstream_id = find_by_receiver(db.session(), receiver)
    if upstream_id is None:
        return problem_response(404, _UNKNOWN)
    try:
        wake_upstream(redis_connection(current_app), upstream_id)
    except RedisError as error:
        log.warning(
            "A notification of upstream %s waits for the next time it is asked: %s", upstream_id, error
        )
        response = problem_response(503, "The job store does not answer. Send it again.")
        response.headers["Retry-After"] = "5"
        return response
    return Response(status=204)


def is_known_receiver() -> bool:
    """Tell whether a request is for the path of an upstream, so that a large body may come."""
    receiver = (request.view_args or {}).get("receiver", "")
    return find_by_receiver(db.session(), receiver) is not None
