"""Mail and webhook against real sockets: what arrives, how it is kept secret, and what each refusal means."""

import hashlib
import hmac
import json
import ssl
from pathlib import Path

import pytest

from integrations.notify import SIGNATURE, TIMESTAMP, Message, post, send_mail
from radloop.domain.errors import Permanent, RefusedByPeer, Unavailable
from radloop.settings import NotifySettings
from tests.peers.certificates import Certificates, certificates
from tests.peers.hook import webhook
from tests.peers.mail import MailServer, mail_server

MESSAGE = Message("no_1", "radloop: something moved", "Software 2.0 on Ümlaut.\n", {"alarm": "al_1", "n": 60})


def by_mail(server: MailServer, **changes: object) -> NotifySettings:
    facts: dict[str, object] = {
        "smtp_host": "127.0.0.1",
        "smtp_port": server.port,
        "smtp_security": "none",
        "sender": "radloop@example.org",
        "recipients": ("it@example.org", "ml@example.org"),
        "timeout_seconds": 5.0,
    }
    return NotifySettings.model_validate({**facts, **changes})


def tls_of(made: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    return context


def by_hook(url: str, folder: Path, secret: str = "s3cret") -> NotifySettings:
    file = folder / "secret"
    file.write_text(secret + "\n")
    return NotifySettings(webhook=url, webhook_secret_file=file, timeout_seconds=5.0)


def test_a_mail_reaches_every_recipient_with_the_notices_own_id() -> None:
    with mail_server() as server:
        send_mail(by_mail(server), MESSAGE)
    (mail,) = server.mails
    assert (mail["Subject"], mail["Message-ID"]) == (MESSAGE.subject, "<no_1@example.org>")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert "Ümlaut" in mail.get_payload(decode=True).decode()  # type: ignore[union-attr]
    assert len(server.recipients) == 2


def test_starttls_encrypts_and_logs_in_and_a_server_without_it_gets_nothing(tmp_path: Path) -> None:
    made = certificates(tmp_path)
    password = tmp_path / "password"
    password.write_text("pass\n")
    secret = {
        "smtp_security": "starttls",
        "smtp_ca": made.ca,
        "smtp_user": "radloop",
        "smtp_password_file": password,
    }
    with mail_server(tls_of(made)) as server:
        send_mail(by_mail(server, **secret), MESSAGE)
    assert (server.secret, server.logins) == ([True], [("radloop", "pass")])
    with mail_server() as plain, pytest.raises(RefusedByPeer):
        send_mail(by_mail(plain, **secret), MESSAGE)
    assert (plain.mails, plain.logins) == ([], [])


def test_a_certificate_of_another_authority_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    theirs, other = certificates(tmp_path), certificates(tmp_path / "other")
    with mail_server(tls_of(theirs)) as server, pytest.raises(RefusedByPeer):
        send_mail(by_mail(server, smtp_security="starttls", smtp_ca=other.ca), MESSAGE)
    assert server.mails == []


@pytest.mark.parametrize(
    ("verb", "reply", "error"),
    [
        ("RCPT", "550 no such user", RefusedByPeer),
        ("RCPT", "450 later", Unavailable),
        ("MAIL", "552 no", RefusedByPeer),
        ("MAIL", "421 closing", Unavailable),
        ("DATA", "554 no", RefusedByPeer),
    ],
)
def test_what_a_mail_servers_refusal_means(verb: str, reply: str, error: type[Exception]) -> None:
    with mail_server() as server:
        server.refuse[verb] = reply
        with pytest.raises(error):
            send_mail(by_mail(server), MESSAGE)
    assert server.mails == []


def test_nobody_there_is_unavailable(tmp_path: Path) -> None:
    with mail_server() as server:
        settings = by_mail(server)
    with pytest.raises(Unavailable):
        send_mail(settings, MESSAGE)
    with webhook() as hook:
        gone = by_hook(hook.url, tmp_path)
    with pytest.raises(Unavailable):
        post(gone, MESSAGE)


def test_a_webhook_gets_json_whose_signature_holds_with_the_secret_alone(tmp_path: Path) -> None:
    with webhook() as hook:
        post(by_hook(hook.url, tmp_path), MESSAGE)
    (body,), (headers,) = hook.bodies, hook.headers
    said = json.loads(body)
    assert (said["id"], said["alarm"], said["n"]) == ("no_1", "al_1", 60)
    signed = headers[TIMESTAMP].encode() + b"." + body
    assert headers[SIGNATURE] == "sha256=" + hmac.new(b"s3cret", signed, hashlib.sha256).hexdigest()
    assert headers[SIGNATURE] != "sha256=" + hmac.new(b"other", signed, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("status", "error"),
    [(500, Unavailable), (503, Unavailable), (429, Unavailable), (404, RefusedByPeer), (302, RefusedByPeer)],
)
def test_what_a_webhooks_answer_means(tmp_path: Path, status: int, error: type[Exception]) -> None:
    with webhook() as hook:
        hook.answers = [status]
        with pytest.raises(error):
            post(by_hook(hook.url, tmp_path), MESSAGE)
    assert len(hook.bodies) == 1


def test_without_a_secret_nothing_is_posted(tmp_path: Path) -> None:
    with webhook() as hook, pytest.raises(Permanent, match="secret"):
        post(by_hook(hook.url, tmp_path, secret=""), MESSAGE)
    assert hook.bodies == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"smtp_host": "mail.example.org"},
        {"webhook": "http://127.0.0.1/x"},
        {"smtp_host": "mail.example.org", "smtp_security": "none", "sender": "a@b.c", "recipients": ("d@e.f",)},
        {"sender": "no address"},
    ],
)
def test_settings_that_could_not_be_kept_secret_or_delivered_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"needs|only|pattern"):
        NotifySettings.model_validate(wrong)
