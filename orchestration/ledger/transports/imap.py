"""What partners answer by mail: attachments of unread mails in a mailbox of ours, each put into the
`in` folder of the partner whose address the mail is from, once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.procurement.messages import MessageError
from models.safe_names import legible, name_of
from orchestration.ledger import folders, mail_in
from orchestration.ledger.partners import Partner
from orchestration.ledger.transports import base, imap_session
from orchestration.ledger.transports.base import Fetched, Missed, TransportError
from orchestration.ledger.transports.imap_session import LARGEST_MAIL, Head, Mailbox

SEEN, FLAGGED = "\\Seen", "\\Flagged"
#: Mails that are fetched whole in one session; the rest waits for the next.
MOST_MAILS = 100
#: A larger mail is fetched behind the others, so that none waits for what takes long.
LARGE = 1024 * 1024
#: Senders that a line about what is left names.
MOST_NAMED = 5


def by_mailbox(partners: Sequence[Partner]) -> list[list[Partner]]:
    """The partners that answer by mail, those of one mailbox together."""
    groups: dict[tuple[str, str], list[Partner]] = {}
    for partner in partners:
        if partner.inbox and partner.place is not None:
            groups.setdefault((partner.inbox, partner.inbox_secret), []).append(partner)
    return list(groups.values())


def fetch(partners: Sequence[Partner]) -> Fetched:
    """Bring what is attached to unread mails of these partners, all of one mailbox, into their
    folders; then, and only then, a mail is marked as seen.

    Cut short in between, it is fetched again under the same names, by its Message-ID and its bytes,
    and changes nothing. A mail of nobody's, and a letter with nothing attached, are left as they
    are. Raises TransportError where the mailbox is not reached: what came before that stays.
    """
    found = Fetched()
    whose = {address: partner for partner in partners for address in partner.writes_from}
    where = partners[0].inbox
    with imap_session.opened(where, base.secret(partners[0].inbox_secret)) as mailbox:
        heads, older = mailbox.unread()
        if older:
            found.left.append(f"{where}: {older} older unread mails were not looked at")
        for mail in sorted(_theirs(heads, whose, found), key=_Letter.turn)[:MOST_MAILS]:
            _take(mailbox, mail, found)
    return found


@dataclass(frozen=True)
class _Letter:
    """A mail of a partner's that may have something attached."""

    partner: Partner
    head: Head
    message_id: str

    def turn(self) -> tuple[bool, int]:
        """When it is fetched: the oldest first, large ones behind the others."""
        return self.head.size > LARGE, self.head.uid


def _theirs(heads: Sequence[Head], whose: Mapping[str, Partner], found: Fetched) -> list[_Letter]:
    """The mails to fetch; of the others one line says whose they are."""
    theirs: list[_Letter] = []
    left: dict[str, list[str]] = {}
    for head in heads:
        said = mail_in.head(head.lines)
        sender = mail_in.sender(said)
        partner = whose.get(sender)
        if partner is None:
            left.setdefault("from nobody that it is for", []).append(sender or "no one sender")
        elif partner.vouched_by and not mail_in.is_vouched(said, partner.vouched_by):
            why = f"that {partner.vouched_by} does not vouch for"
            left.setdefault(why, []).append(sender)
        elif mail_in.is_letter(said):
            left.setdefault("with nothing attached", []).append(sender)
        else:
            theirs.append(_Letter(partner, head, str(said.get("Message-ID", "")).strip()))
    for why, senders in left.items():
        named = list(dict.fromkeys(senders))
        more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
        who = ", ".join(legible(name, 80) for name in named[:MOST_NAMED])
        mails = "1 mail" if len(senders) == 1 else f"{len(senders)} mails"
        where = next(iter(whose.values())).inbox
        found.left.append(f"{where}: {mails} {why} ({who}{more}), left unread")
    return theirs


def _take(mailbox: Mailbox, mail: _Letter, found: Fetched) -> None:
    """Put what is attached to a mail into its partner's folder, and mark the mail as seen; what a
    person has to look at is flagged. What is wrong with one mail or one folder keeps no other
    mail waiting."""
    about = legible(f"mail {mail.message_id or mail.head.uid}", 200)
    partner_id = mail.partner.partner_id
    try:
        body = b"" if mail.head.size > LARGEST_MAIL else mailbox.whole(mail.head.uid)
        if not body:
            size = f"{mail.head.size:,} bytes, {LARGEST_MAIL:,} may be fetched"
            raise MessageError(f"its mailbox does not hand it out ({size})")
        kept = _keep(mail, mail_in.attached(body))
    except MessageError as error:
        mailbox.mark(mail.head.uid, FLAGGED)
        why = f"{about} was not taken, and is flagged in {mail.partner.inbox}: {error}"
        found.missed.append(Missed(partner_id, why, about))
        return
    except TransportError as error:  # it stays unread, and is fetched when the folder is mended
        found.missed.append(Missed(partner_id, f"{about} cannot be kept: {error}", about))
        return
    if not kept:
        whose = f"{about} of {legible(partner_id)}"
        found.left.append(f"{mail.partner.inbox}: {whose} has nothing to take, flagged")
    mailbox.mark(mail.head.uid, SEEN if kept else FLAGGED)


def _keep(mail: _Letter, attached: Sequence[tuple[str, bytes]]) -> int:
    """Put attachments into the partner's folder, each under a name of ours; how many there are.

    The name begins with the mail's number, so that older ones are heard first; what follows is the
    mail and the bytes, and is put there once. Raises TransportError where the folder cannot be
    written.
    """
    place = mail.partner.place
    assert place is not None  # noqa: S101  by_mailbox
    try:
        heard = (*folders.names(place, folders.IN), *folders.names(place, folders.TAKEN))
    except OSError as error:
        raise TransportError(f"{place}: {error.strerror or error}") from error
    for suffix, body in attached:
        digest = hashlib.sha256(body).hexdigest()[:16]
        name = f"{name_of(mail.message_id)}-{digest}.{suffix}"
        if not any(known.endswith(f"-{name}") for known in heard):
            base.keep(place, folders.IN, f"{mail.head.uid:010d}-{name}", body)
    return len(attached)
