"""The conformance statement says what the running configuration does."""

from pathlib import Path

from radloop.domain.enums import PeerRole
from radloop.settings import GatewaySettings, Peer, Settings, Tls
from radloop.tls import SUITES
from serving.gateway.conformance import statement
from serving.gateway.contexts import TRANSFER_SYNTAXES, storage_classes
from serving.gateway.statuses import EVENT_STATUSES, STORE_STATUSES


def test_it_names_every_class_syntax_status_and_limit() -> None:
    text = statement(Settings(home=Path("/nowhere")))
    assert all(f"| {uid} |" in text for uid in (*storage_classes(), *TRANSFER_SYNTAXES))
    assert all(f"0x{status.code:04X}" in text for status in (*STORE_STATUSES, *EVENT_STATUSES))


def test_it_follows_the_settings() -> None:
    peer = Peer(name="pacs", roles=(PeerRole.SOURCE,), ae_title="PACS1", host="127.0.0.1", commitment=True)
    gateway = GatewaySettings(ae_title="OURS", dicom_port=11199, idle_seconds=42, max_associations=7)
    text = statement(Settings(home=Path("/nowhere"), gateway=gateway, peers={"pacs": peer}))
    for words in (
        "OURS",
        "11199",
        "42 s",
        "7 per process",
        "| pacs | PACS1 |",
        "Plain TCP",
        "asked for storage commitment",
    ):
        assert words in text


def test_it_names_the_secure_transport_profile_and_whether_peers_must_show_a_certificate() -> None:
    pair = Tls(certificate=Path("/c.pem"), key=Path("/k.pem"))
    one_way, mutual = (
        statement(Settings(home=Path("/nowhere"), gateway=GatewaySettings(tls=pair.model_copy(update={"ca": ca}))))
        for ca in (None, Path("/ca.pem"))
    )
    for text in (one_way, mutual):
        assert "PS3.15 B.12" in text
        assert all(suite in text for suite in SUITES)
    assert "not asked for" in one_way
    assert "required, from the authority" in mutual
    assert "urn:dicom:ae:TITLE" in mutual
