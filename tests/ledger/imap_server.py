"""Debian's own dovecot on loopback, with a mailbox that a test puts mail into."""

from __future__ import annotations

import getpass
import grp
import imaplib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

#: Debian puts it where not every shell looks.
DOVECOT = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
USER, WORDS = "buying@us.example", "correct horse"


@dataclass(frozen=True)
class Imap:
    """A running server: where it is reached in the clear and encrypted, and whom to trust."""

    plain: int
    tls: int
    authority: Path

    @property
    def address(self) -> str:
        return f"imap://buying%40us.example@127.0.0.1:{self.plain}/INBOX"

    @property
    def encrypted(self) -> str:
        return f"imaps://buying%40us.example@localhost:{self.tls}"

    @contextmanager
    def opened(self, folder: str = "INBOX") -> Iterator[imaplib.IMAP4]:
        with imaplib.IMAP4("127.0.0.1", self.plain, timeout=10) as box:
            box.login(USER, WORDS)
            assert box.select(folder)[0] == "OK"
            yield box

    def put(self, mail: EmailMessage | bytes) -> None:
        with self.opened() as box:
            body = mail if isinstance(mail, bytes) else mail.as_bytes()
            assert box.append("INBOX", "", imaplib.Time2Internaldate(time.time()), body)[0] == "OK"

    def unread(self) -> int:
        return self._count("UNSEEN")

    def flagged(self) -> int:
        return self._count("FLAGGED")

    def _count(self, word: str) -> int:
        with self.opened() as box:
            return len(box.search(None, word)[1][0].split())

    def clear(self) -> None:
        with self.opened() as box:
            box.uid("STORE", "1:*", "+FLAGS", "(\\Deleted)")
            box.expunge()


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as door:
        return door.getsockname()[1]


def _certificate(folder: Path) -> Path:
    """A key and a certificate of our own for localhost."""
    made = folder / "tls.pem"
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    kind = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", str(folder / "tls.key"), "-out", str(made), "-days", "2"]
    subprocess.run(["openssl", *kind, *name, *files], check=True, capture_output=True)
    return made


def _answers(server: Imap, process: subprocess.Popen[bytes]) -> bool:
    """Whether it signs people in within ten seconds: it listens before it can."""
    for _ in range(100):
        with suppress(OSError, imaplib.IMAP4.error), server.opened():
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.1)
    return False


@contextmanager
def dovecot() -> Iterator[Imap]:
    """A server of its own, of this user, ended when it is not needed any more."""
    assert DOVECOT is not None
    folder = Path(tempfile.mkdtemp(prefix="imap-"))
    folder.chmod(0o755)  # its own user reads there
    me = getpass.getuser()
    reader = pwd.getpwnam("mail" if me == "root" else me)  # no mailbox is root's
    mail = folder / "mail"
    mail.mkdir()
    os.chown(mail, reader.pw_uid, reader.pw_gid)
    made = Imap(_free(), _free(), _certificate(folder))
    users = folder / "users"
    users.write_text(f"{USER}:{{PLAIN}}{WORDS}:{reader.pw_uid}:{reader.pw_gid}::{mail}\n")
    users.chmod(0o644)  # whatever our umask: the one who signs people in is another user
    inside = me if me != "root" else "dovecot"
    login = me if me != "root" else "dovenull"
    (folder / "dovecot.conf").write_text(
        f"""
protocols = imap
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
default_internal_user = {inside}
default_internal_group = {grp.getgrgid(pwd.getpwnam(inside).pw_gid).gr_name}
default_login_user = {login}
first_valid_uid = 1
auth_failure_delay = 0
listen = 127.0.0.1
ssl = yes
ssl_cert = <{folder}/tls.pem
ssl_key = <{folder}/tls.key
mail_location = maildir:~/Maildir
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = passwd-file
  args = {folder}/users
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {made.plain}
  }}
  inet_listener imaps {{
    port = {made.tls}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
"""
    )
    process = subprocess.Popen([DOVECOT, "-F", "-c", str(folder / "dovecot.conf")])
    try:
        assert _answers(made, process), (folder / "log").read_text()
        yield made
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
        shutil.rmtree(folder)
