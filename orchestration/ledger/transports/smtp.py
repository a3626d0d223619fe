"""A mail server of ours: orders leave as e-mails to the partner's mailbox."""

from __future__ import annotations

import asyncio
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from models.safe_names import name_of
from orchestration.home.addresses import is_loopback
from orchestration.ledger.partners import Partner
from orchestration.ledger.transports import base
from orchestration.ledger.transports.base import Envelope, TransportError


class Smtp:
    """The transport of partners whose address is smtp://user@host:port or smtps://… .

    Beyond this machine every word is encrypted, and the server's certificate is checked.
    """

    def deliver(self, envelope: Envelope, partner: Partner) -> None:
        """Send the message; a resend has the same Message-ID, so that a mailbox can tell. A mailbox
        or message refused for good (5xx) is final."""
        try:
            import aiosmtplib  # noqa: PLC0415  an extra: only who has partners by mail needs it
        except ImportError as error:
            needed = "mail needs aiosmtplib: pip install 'stockhouse[partners]'"
            raise TransportError(needed) from error
        try:
            asyncio.run(_send(envelope, partner))
        except TimeoutError as error:
            late = f"not done within {base.TIMEOUT_SECONDS:g} s"
            raise TransportError(f"{partner.address}: {late}") from error
        except aiosmtplib.SMTPRecipientsRefused as error:
            final = all(one.code >= 500 for one in error.recipients)
            why = "; ".join(f"{one.code} {one.message}" for one in error.recipients)
            raise TransportError(f"{partner.mailbox} was refused: {why}", final) from error
        except (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPDataError) as error:
            raise TransportError(f"{partner.address}: {error}", error.code >= 500) from error
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise TransportError(f"{partner.address}: {error or type(error).__name__}") from error

    def fetch(self, partner: Partner) -> None:
        """Nothing: the partner's mail is put into its folder by whoever keeps our mailbox."""


async def _send(envelope: Envelope, partner: Partner) -> None:
    import aiosmtplib  # noqa: PLC0415

    url = urlsplit(partner.address)
    is_tls, is_here = url.scheme == "smtps", is_loopback(url.hostname or "")
    async with asyncio.timeout(base.TIMEOUT_SECONDS):
        await aiosmtplib.send(
            _mail(envelope, partner),
            sender=partner.sender,
            recipients=[partner.mailbox],
            hostname=url.hostname,
            port=url.port or (465 if is_tls else 587),
            username=unquote(url.username) if url.username else None,
            password=base.secret_of(partner),
            use_tls=is_tls,
            start_tls=None if is_here or is_tls else True,
            timeout=base.TIMEOUT_SECONDS,
        )


def _mail(envelope: Envelope, partner: Partner) -> bytes:
    """The message as it was decided: an e-mail as it is, any other format as an attachment."""
    if partner.writer.media_type == "message/rfc822":
        return envelope.body
    mail = EmailMessage()
    mail["Subject"] = f"{envelope.document_type} {envelope.order_id}"
    mail["To"], mail["From"] = partner.mailbox, partner.sender
    ours = name_of(partner.ours.id).lower()
    mail["Message-ID"] = f"<{name_of(envelope.order_id)}.{envelope.control}@{ours}>"
    kind, _, subtype = partner.writer.media_type.partition("/")
    name = envelope.file_name(partner)
    mail.add_attachment(envelope.body, maintype=kind, subtype=subtype, filename=name)
    return mail.as_bytes()
