"""The command line: keys, look-ups, test messages, sealing and checking files, a reference CRO, a demo market."""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from pathlib import Path
from typing import Any

import click

from shapeshifter_uftp.addresses import AddressBook, DirectoryAddressBook
from shapeshifter_uftp.discovery import DnsAddressBook
from shapeshifter_uftp.exceptions import ShapeshifterError
from shapeshifter_uftp.sealing import (
    envelope_from_xml,
    envelope_to_xml,
    generate_key_pair,
    open_sealed,
    read_public_keys,
    seal_xml,
)
from shapeshifter_uftp.uftp import SignedMessage, TestMessage, UsefRole

__all__ = ["generate_signing_keypair", "main", "perform_lookup"]

ROLE = click.Choice([role.value for role in UsefRole], case_sensitive=False)
WHO: Any = (ROLE, str)
INPUT = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)


class _ReadableErrors(click.Group):
    """Prints our errors in one line instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ShapeshifterError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_ReadableErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="flexmeasures", message="shapeshifter_uftp, UFTP 3.0.0 and 3.1.0")
def main() -> None:
    """Trade flexibility by UFTP (Shapeshifter)."""


def _read(path: Path) -> bytes:
    return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()


def _key(text: str) -> str:
    """Read a key given as itself, or as ``@file``."""
    return Path(text[1:]).read_text(encoding="utf-8").strip() if text.startswith("@") else text


def _address_book(path: Path | None, check_dnssec: bool) -> AddressBook:
    return DirectoryAddressBook(path) if path else DnsAddressBook(check_dnssec=check_dnssec)


_book = click.option("--address-book", type=INPUT, help="JSON file of participants; without it: DNS.")
_dnssec = click.option("--dnssec/--no-dnssec", default=True, help="Whether DNS answers must be secured.")


@main.command()
@click.option("--seed", help="base64 of 32 bytes, for a key pair that can be made again.")
def keypair(seed: str | None) -> None:
    """Make a signing key pair and print it."""
    import base64  # noqa: PLC0415  only here

    pair = generate_key_pair(base64.b64decode(seed) if seed else None)
    click.echo(f"Private key (base64): {pair.private_key}")
    click.echo(f"Public key (base64):  {pair.public_key}")
    click.echo(f"For the DNS record:   {pair.published}")


@main.command()
@click.option("-d", "--domain", required=True, help="Domain of the participant.")
@click.option("-r", "--role", required=True, type=ROLE, help="Its role.")
@_book
@_dnssec
def lookup(domain: str, role: str, address_book: Path | None, dnssec: bool) -> None:
    """Look up version, endpoint and keys of a participant."""
    found = _address_book(address_book, dnssec).find(domain, UsefRole(role.upper()))
    click.echo(f"Version:    {found.version or 'unknown'}")
    click.echo(f"Endpoint:   {found.endpoint or 'unknown'}")
    click.echo(f"Public key: {found.public_key or 'unknown'}")


@main.command("send-test")
@click.option("--from", "sender", type=WHO, required=True, metavar="ROLE DOMAIN", help="Who we are.")
@click.option("--to", "recipient", type=WHO, required=True, metavar="ROLE DOMAIN", help="Whom to ask.")
@click.option("--key", required=True, help="Our private key, or @file.")
@click.option("--endpoint", help="Where to post; without it: look it up.")
@_book
@_dnssec
def send_test(
    sender: tuple[str, str],
    recipient: tuple[str, str],
    key: str,
    endpoint: str | None,
    address_book: Path | None,
    dnssec: bool,
) -> None:
    """Send a TestMessage and say whether it was stored."""
    from shapeshifter_uftp.client import CLIENTS  # noqa: PLC0415  loads the HTTP client

    roles = UsefRole(sender[0].upper()), UsefRole(recipient[0].upper())
    if roles not in CLIENTS:
        raise click.UsageError(f"No {roles[0]} talks to a {roles[1]}")
    book = _address_book(address_book, dnssec)
    with CLIENTS[roles](sender[1], _key(key), recipient[1], endpoint, address_book=book) as client:
        response = client.send_test_message(TestMessage())  # type: ignore[attr-defined]
    click.echo(f"Stored by {recipient[1]}: conversation {response.conversation_id}")


@main.command()
@click.argument("file", type=INPUT)
@click.option("--domain", required=True, help="Our domain.")
@click.option("--role", required=True, type=ROLE, help="Our role.")
@click.option("--key", required=True, help="Our private key, or @file.")
def seal(file: Path, domain: str, role: str, key: str) -> None:
    """Sign the inner message in FILE (- for standard input) and print the envelope."""
    envelope = SignedMessage(
        sender_domain=domain, sender_role=UsefRole(role.upper()), body=seal_xml(_read(file), _key(key))
    )
    click.echo(envelope_to_xml(envelope))


@main.command()
@click.argument("file", type=INPUT)
@click.option("--key", help="The sender's public key, or @file; without it: look it up.")
@_book
@_dnssec
def unseal(file: Path, key: str | None, address_book: Path | None, dnssec: bool) -> None:
    """Verify the envelope in FILE (- for standard input) and print the inner message."""
    envelope = envelope_from_xml(_read(file))
    if key is None:
        key = (
            _address_book(address_book, dnssec).find(envelope.sender_domain, envelope.sender_role).public_key
        )
    click.echo(open_sealed(envelope.body, read_public_keys(_key(key or ""))))


@main.command()
@click.argument("files", type=INPUT, nargs=-1, required=True)
@click.option("--strict", is_flag=True, help="Do not forgive the known quirks of other implementations.")
def validate(files: tuple[Path, ...], strict: bool) -> None:
    """Check messages and envelopes against the schemas of their versions."""
    from shapeshifter_uftp.reading import message_from_xml, parse, schema_errors  # noqa: PLC0415  only here

    wrong = 0
    for file in files:
        try:
            xml = _read(file)
            root = parse(xml)
            errors = schema_errors(root) if strict or root.tag == "SignedMessage" else []
            if not errors and root.tag != "SignedMessage":
                message_from_xml(xml, validate=not strict)
        except ShapeshifterError as error:
            errors = [str(error)]
        click.echo(f"{file}: {'; '.join(errors) or f'valid {root.tag}'}")
        wrong += bool(errors)
    sys.exit(1 if wrong else 0)


@main.command("run-cro")
@click.option("--domain", required=True, help="Our domain.")
@click.option("--key", required=True, help="Our private key, or @file.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, help="Port to listen on.")
@click.option("--journal", help="Where to keep messages: a path, an SQLAlchemy URL, or memory.")
@click.option(
    "--member", "members", multiple=True, help="A domain that may take part; without any: everybody."
)
@_book
@_dnssec
def run_cro(  # noqa: PLR0913, PLR0917  one parameter for each option
    domain: str,
    key: str,
    host: str,
    port: int,
    journal: str | None,
    members: tuple[str, ...],
    address_book: Path | None,
    dnssec: bool,
) -> None:
    """Run a common reference operator until it is interrupted."""
    from shapeshifter_uftp.cro import ReferenceCro  # noqa: PLC0415  loads the service

    cro = ReferenceCro(
        domain, _key(key), host=host, port=port, journal=journal, members=members or None,
        address_book=_address_book(address_book, dnssec),
    )  # fmt: skip
    cro.run_in_thread()
    click.echo(f"CRO {domain} listens on http://{cro.host}:{cro.port}{cro.path} (Ctrl-C ends)")
    cro.run()


_domain = click.option("--domain", required=True, help="Our domain.")
_role = click.option("--role", required=True, type=ROLE, help="Our role.")
_journal = click.option(
    "--journal",
    help="Where messages are kept: a path or an SQLAlchemy URL; without it: where services keep them.",
)


def _open_journal(domain: str, role: str, where: str | None) -> Any:
    from shapeshifter_uftp.service.base import default_journal_path  # noqa: PLC0415  loads the service
    from shapeshifter_uftp.store import Journal, open_database  # noqa: PLC0415

    our_role = UsefRole(role.upper())
    place: str | Path = where or default_journal_path(domain, our_role)
    if "://" not in str(place) and not Path(place).exists():
        raise click.ClickException(f"There is no journal {place}: name it with --journal.")
    try:
        return Journal(open_database(place), f"{domain} {our_role}")
    except Exception as error:
        # Every driver has its own error for what is not a database, or cannot be reached.
        raise click.ClickException(f"The journal cannot be opened: {error}") from error


@main.command()
@_domain
@_role
@_journal
@click.option(
    "--last",
    default=10,
    type=click.IntRange(1),
    show_default=True,
    help="How many undelivered or unanswered messages to list.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(domain: str, role: str, journal: str | None, last: int, as_json: bool) -> None:
    """Say what waits, what failed, could not be handled or was never answered, and which partners are faulty."""
    from shapeshifter_uftp.store import Direction, State  # noqa: PLC0415  only here

    kept = _open_journal(domain, role, journal)
    counts = {way: {state: kept.count(way, state) for state in State} for way in Direction}
    faults = [
        {"domain": f.domain, "role": f.role, "since": _instant(f.since), "reason": f.reason}
        for f in kept.partners.faulty()
    ]
    lost = [_described(entry) for entry in kept.latest(Direction.OUT, (State.FAILED, State.EXPIRED), last)]
    unhandled = [_described(entry) for entry in kept.unhandled(last)]
    kept.close()
    if as_json:
        click.echo(json.dumps({"messages": counts, "faulty": faults, "lost": lost, "unhandled": unhandled}))
        return
    click.echo(f"{'':<10}" + "".join(f"{state:>10}" for state in State))
    for way in Direction:
        click.echo(f"{way:<10}" + "".join(f"{counts[way][state]:>10}" for state in State))
    for fault in faults:
        click.echo("Faulty since {since}: {role} {domain}: {reason}".format_map(fault))
    for each in lost:
        click.echo("{at} {message} {message_id} to {role} {domain} {state}: {reason}".format_map(each))
    for each in unhandled:
        click.echo(
            "{at} {message} {message_id} of {role} {domain} {state} after {attempts} attempts: {reason}".format_map(
                each
            )
        )


def _described(entry: Any) -> dict[str, Any]:
    return {
        "at": _instant(entry.at), "message": entry.message_type, "message_id": entry.message_id,
        "role": entry.partner_role, "domain": entry.partner_domain, "state": entry.state, "reason": entry.reason,
        "attempts": entry.attempts,
    }  # fmt: skip


def _instant(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@main.command("clear-partner")
@_domain
@_role
@_journal
@click.option("--partner", type=WHO, required=True, metavar="ROLE DOMAIN", help="Who is sound again.")
def clear_partner(domain: str, role: str, journal: str | None, partner: tuple[str, str]) -> None:
    """Send to a partner again that was marked as faulty; a running service notices within seconds."""
    kept = _open_journal(domain, role, journal)
    cleared = kept.partners.clear((partner[1], UsefRole(partner[0].upper())))
    kept.close()
    if not cleared:
        raise click.ClickException(f"{partner[0]} {partner[1]} was not marked as faulty.")
    click.echo(f"What waits for {partner[0]} {partner[1]} is sent again.")


@main.command("try-again")
@_domain
@_role
@_journal
@click.option(
    "--message-id", help="The message meant; without it: all that failed or waits for its next attempt."
)
def try_again(domain: str, role: str, journal: str | None, message_id: str | None) -> None:
    """Take up again what failed, and at once what is retried; a running service notices within seconds.

    A request that was rejected in its failing stays as it is: its sender has been told, and sends a new one.
    """
    from shapeshifter_uftp.store import Direction  # noqa: PLC0415  only here

    kept = _open_journal(domain, role, journal)
    received, sent = (kept.try_again(way, time.time(), message_id) for way in (Direction.IN, Direction.OUT))
    kept.close()
    if message_id and not received + sent:
        raise click.ClickException(f"No message {message_id} failed or is retried, without being rejected.")
    click.echo(f"{received} received and {sent} sent messages are taken up again.")


@main.command()
@click.option("--period", type=click.DateTime(["%Y-%m-%d"]), help="The day to trade; without it: tomorrow.")
@click.option("--json", "as_json", is_flag=True, help="Print the events as JSON, one a line.")
def demo(period: dt.datetime | None, as_json: bool) -> None:
    """Play one trading day: aggregator, grid operator and reference operator in three processes."""
    from shapeshifter_uftp.cli.demo import play  # noqa: PLC0415  loads the service
    from shapeshifter_uftp.isp_calendar import IspCalendar  # noqa: PLC0415

    today = IspCalendar().isp_at(dt.datetime.now(dt.UTC))[0]
    day = period.date() if period else today + dt.timedelta(days=1)
    heard = play(day, _print_json if as_json else _Teller(day).tell)
    if not as_json:
        net = heard["settled"]["net"]
        click.echo(
            f"\n{net} EUR are paid to the aggregator, and it agrees: {heard['settlement answered']['disposition']}."
        )


def _print_json(scene: str, event: str, details: dict[str, Any]) -> None:
    click.echo(json.dumps({"scene": scene, "event": event, **details}))


class _Teller:
    """Prints the play for people."""

    def __init__(self, day: dt.date) -> None:
        from shapeshifter_uftp.isp_calendar import IspCalendar  # noqa: PLC0415

        self._scene = ""
        click.secho(f"{day}, a day of {IspCalendar().count(day)} quarter-hours in Amsterdam", bold=True)

    def tell(self, scene: str, event: str, details: dict[str, Any]) -> None:
        """Print one event, under the title of its scene."""
        if scene != self._scene:
            click.secho(f"\n{scene}", bold=True)
            self._scene = scene
        shown = ", ".join(f"{name} {value}" for name, value in details.items() if value is not None)
        click.echo(f"  {event:<34} {shown}")


def generate_signing_keypair() -> None:
    """Make a signing key pair and print it: the command ``shapeshifter-keypair``."""
    keypair()


def perform_lookup() -> None:
    """Look somebody up: the command ``shapeshifter-lookup``."""
    main(["lookup", *sys.argv[1:]])
