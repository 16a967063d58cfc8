"""Mail through the SMTP server of the settings ``MAIL_...``."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any

from flask import Blueprint, Flask, current_app
from flask_security import MailUtil

from flexmeasures.auth.hosts import require_own_host
from flexmeasures.domain.errors import PeerUnreachable

__all__ = ["SmtpMailUtil", "send_mails", "together"]

TIMEOUT = 10.0
"""Time limit of each step of the mail server [s]; somebody waits for the answer."""

_templates = Blueprint("flexmeasures_mail", __name__, template_folder="templates")

# Setting: Flask-Security's own template, and ours, which greets by name and has the link on a line of its own.
_TEMPLATES = {
    "SECURITY_EMAIL_TEMPLATE_PASSWORD_RESET": (
        "security/email/reset_instructions",
        "mail/reset_instructions",
    ),
    "SECURITY_EMAIL_TEMPLATE_PASSWORD_RESET_NOTICE": ("security/email/reset_notice", "mail/reset_notice"),
}

_outbox: ContextVar[list[EmailMessage] | None] = ContextVar("outbox", default=None)


class SmtpMailUtil(MailUtil):
    """Mail of Flask-Security; pass it to ``Security`` as ``mail_util_cls``."""

    def __init__(self, app: Flask) -> None:
        super().__init__(app)
        app.register_blueprint(_templates)
        for setting, (theirs, ours) in _TEMPLATES.items():
            if app.config.get(setting, theirs) == theirs:
                app.config[setting] = ours

    def send_mail(  # type: ignore[override]  # hints of ours
        self,
        template: str,
        subject: str,
        recipient: str,
        sender: str | tuple[str, str],
        body: str | None,
        html: str | None,
        **kwargs: Any,
    ) -> None:
        """Send a mail that Flask-Security has rendered, at once or when `together` ends.

        Raises:
            BadRequest: If it was asked for under a name that is not ours: it may hold a link made of that name.
        """
        require_own_host()
        message = EmailMessage()
        message["Subject"] = str(subject)
        message["From"] = _address(sender)
        message["To"] = recipient
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain="flexmeasures")
        message.set_content(body or "")
        if html:
            message.add_alternative(html, subtype="html")
        outbox = _outbox.get()
        if outbox is None:
            send_mails(current_app.config, [message])
        else:
            outbox.append(message)


@contextmanager
def together() -> Iterator[None]:
    """Send the mails that are written in a block when it ends, over one connection; none if it fails.

    Raises:
        PeerUnreachable: If the mail server does not take them.
    """
    messages: list[EmailMessage] = []
    token = _outbox.set(messages)
    try:
        yield
    finally:
        _outbox.reset(token)
    send_mails(current_app.config, messages)


def send_mails(config: Mapping[str, Any], messages: Sequence[EmailMessage]) -> None:
    """Hand mails to the mail server.

    Args:
        config: With the settings ``MAIL_...``.
        messages: Complete with sender and recipients.

    Raises:
        PeerUnreachable: If it cannot be reached, or does not take them.
    """
    if not messages:
        return
    server = f"{config['MAIL_SERVER']}:{config['MAIL_PORT']}"
    try:
        with _connect(config) as connection:
            for message in messages:
                connection.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise PeerUnreachable(
            f"The mail server {server} does not take mail ({type(error).__name__}). "
            "See the settings MAIL_SERVER, MAIL_PORT and the others whose names start with MAIL."
        ) from error


def _connect(config: Mapping[str, Any]) -> smtplib.SMTP:
    host, port = config["MAIL_SERVER"], config["MAIL_PORT"]
    secure = ssl.create_default_context()
    connection: smtplib.SMTP
    if config["MAIL_USE_SSL"]:
        connection = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT, context=secure)
    else:
        connection = smtplib.SMTP(host, port, timeout=TIMEOUT)
    try:
        if config["MAIL_USE_TLS"]:
            connection.starttls(context=secure)
        if config["MAIL_USERNAME"]:
            connection.login(config["MAIL_USERNAME"], config["MAIL_PASSWORD"] or "")
    except BaseException:
        connection.close()
        raise
    return connection


def _address(sender: str | tuple[str, str]) -> Address | str:
    """Write a sender as shown name and address."""
    if isinstance(sender, str):
        return sender
    name, address = sender
    return Address(str(name), addr_spec=str(address))
