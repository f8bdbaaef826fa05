"""Telling people that something needs them: by mail (RFC 5321) and by webhook. Never anything of a patient."""

from integrations.notify.mail import send_mail
from integrations.notify.message import Message
from integrations.notify.webhook import SIGNATURE, TIMESTAMP, post, signature

__all__ = ["SIGNATURE", "TIMESTAMP", "Message", "post", "send_mail", "signature"]
