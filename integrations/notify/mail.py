"""E-mail by SMTP (RFC 5321), its connection kept secret by STARTTLS (RFC 3207) or TLS from the start (RFC 8314)."""

import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final

from integrations.notify.message import Message
from radloop.domain.errors import Permanent, RefusedByPeer, Unavailable
from radloop.settings import NotifySettings

# RFC 5321 section 4.2.1: replies 4yz are transient, 5yz permanent.
PERMANENT: Final = 500


def send_mail(settings: NotifySettings, message: Message) -> None:
    """Hand a message to the mail server, for all recipients.

    Raises:
        Unavailable: the server is away, slow, or says "later".
        RefusedByPeer: it refuses for good: the sender, every recipient, the password, or to speak TLS.
        Permanent: nobody is to get mail, or the password cannot be read.
    """
    mail = compose(settings, message)
    password = _password(settings)
    try:
        with _connected(settings) as server:
            if settings.smtp_user:
                server.login(settings.smtp_user, password)
            server.send_message(mail)
    except smtplib.SMTPResponseException as error:
        raise _meaning_of(error.smtp_code) from None
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        raise _meaning_of(min(codes, default=PERMANENT)) from None
    except (smtplib.SMTPNotSupportedError, ssl.SSLCertVerificationError):
        raise RefusedByPeer("the mail server offers no TLS that could be trusted, or no login") from None
    except (smtplib.SMTPException, OSError) as error:
        raise Unavailable(f"the mail server is away ({type(error).__name__})") from None


def compose(settings: NotifySettings, message: Message) -> EmailMessage:
    """The mail. Its Message-ID is the notice's own: a second copy is shown as one.

    Raises:
        Permanent: there is no sender or no recipient.
    """
    if settings.sender is None or not settings.recipients:
        raise Permanent("nobody is to get mail")
    mail = EmailMessage(policy=SMTP)
    mail["From"] = settings.sender
    mail["To"] = ", ".join(settings.recipients)
    mail["Subject"] = message.subject
    mail["Message-ID"] = f"<{message.id}@{settings.sender.rpartition('@')[2]}>"
    # RFC 3834 section 5: no out-of-office answers to a machine.
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text)
    return mail


def _connected(settings: NotifySettings) -> smtplib.SMTP:
    host, port, seconds = settings.smtp_host or "", settings.smtp_port, settings.timeout_seconds
    if settings.smtp_security == "none":
        return smtplib.SMTP(host, port, timeout=seconds)
    context = ssl.create_default_context(cafile=settings.smtp_ca)
    if settings.smtp_security == "tls":
        return smtplib.SMTP_SSL(host, port, timeout=seconds, context=context)
    server = smtplib.SMTP(host, port, timeout=seconds)
    try:
        server.starttls(context=context)
    except BaseException:
        server.close()
        raise
    return server


def _password(settings: NotifySettings) -> str:
    if settings.smtp_password_file is None:
        return ""
    try:
        return settings.smtp_password_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise Permanent("the mail server's password cannot be read") from None


def _meaning_of(code: int) -> Unavailable | RefusedByPeer:
    if code >= PERMANENT:
        return RefusedByPeer(f"the mail server refused: {code}")
    return Unavailable(f"the mail server says later: {code}")
