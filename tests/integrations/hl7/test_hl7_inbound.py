"""Reading what a RIS sends, and answering it."""

import contextlib

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from hypothesis import example, given
from hypothesis import strategies as st

from integrations.hl7 import (
    Decoder,
    MessageKind,
    acknowledge,
    acknowledge_unreadable,
    frame,
    kind_of,
    parse,
    read_order,
    read_patient_update,
    refusal_of,
)
from integrations.hl7.acknowledgements import read_acknowledgement
from integrations.hl7.message import Delimiters, escape, unescape
from radloop.domain.enums import Urgency
from radloop.domain.errors import TooLarge, Unparsable
from radloop.domain.records import Code

HEADER = "MSH|^~\\&|RIS|HOSP|RADLOOP|RAD|20240101120000||ORM^O01|MSG1|P|2.3"
PATIENT = "PID|1||XX1^^^LAB^LR~P100^^^HOSP&1.2.3&ISO^MR||Phantom^Ann||19700101|F"
ORM = "\r".join(
    [HEADER, PATIENT, "PV1|1|O", "ZRX|anything^goes|here", "ORC|NW|PL1^RIS|FI1^RIS||||^^^^^A",
     "OBR|1|PL1^RIS|FI1^RIS|36643-5^XR Chest 2 Views^LN||||||||||||||ACC1|RP1||||||||^^^^^S", "QQQ|unknown", "DG1|1"]
)  # fmt: skip
OMI = "\r".join(
    ["MSH|^~\\&|RIS|HOSP|RADLOOP|RAD|20240101120000||OMI^O23^OMI_O23|MSG2|P|2.5.1|||AL|NE||UNICODE UTF-8", PATIENT,
     "ORC|NW|PL1||", "TQ1|1||||||||S^Stat^HL70485", "OBR|1|PL1||CXR^Thorax^99RIS",
     "IPC|ACC1^RIS|RP1^RIS|1.2.3^RIS|SPS1^RIS|DX",
     "ORC|NW|PL2||", "TQ1|1||||||||R", "OBR|2|PL2||MRH^Sch\u00e4del^99RIS", "IPC|ACC2|RP2|1.2.4|SPS2|MR"]
)  # fmt: skip


def read(text: str, charset: str = "utf-8"):
    return parse(text.encode(charset))


def test_an_orm_order_is_read_through_whatever_surrounds_it() -> None:
    (order,) = read_order(read(ORM))
    assert (order.accession_number, order.placer_number, order.filler_number) == ("ACC1", "PL1", "FI1")
    assert (order.patient_id, order.issuer) == ("P100", "HOSP")
    assert order.priority is Urgency.URGENT, "ORC-7.6 comes before OBR-27.6"
    assert order.procedure == Code("36643-5", "LN", "XR Chest 2 Views")


def test_an_omi_message_may_carry_several_orders() -> None:
    first, second = read_order(read(OMI))
    assert (first.accession_number, first.priority) == ("ACC1", Urgency.CRITICAL)
    assert (second.accession_number, second.priority) == ("ACC2", Urgency.ROUTINE)
    assert second.procedure == Code("MRH", "99RIS", "Sch\u00e4del")


@pytest.mark.parametrize("line_end", ["\r", "\n", "\r\n"])
@pytest.mark.parametrize("last", ["", "\r", "\n", "\r\n\r\n"])
def test_any_line_end_ends_a_segment(line_end: str, last: str) -> None:
    assert read_order(read(ORM.replace("\r", line_end) + last)) == read_order(read(ORM))


@pytest.mark.parametrize(
    ("place", "value"),
    [("OBR|1|||||||||||||||||A18", "A18"), ("OBR|1||||||||||||||||||A19", "A19"), ("OBR|1||F3", "F3"),
     ("ORC|NW||F3\rOBR|1", "F3"), ("OBR|1|P2", "P2"), ("OBR|1|P2|F3|||||||||||||||A18\rIPC|I1", "I1"),
     ("OBR|1|P2\rOBX|1", "P2")],
)  # fmt: skip
def test_the_accession_number_is_found_where_systems_put_it(place: str, value: str) -> None:
    (order,) = read_order(read(f"{HEADER}\r{PATIENT}\r{place}"))
    assert order.accession_number == value


@pytest.mark.parametrize(
    ("segments", "expected"),
    [("ORC|NW|P|||||^^^^^S\rOBR|1", Urgency.CRITICAL), ("ORC|NW|P\rOBR|1||||A", Urgency.URGENT),
     ("ORC|NW|P\rOBR|1||||STAT", Urgency.CRITICAL), ("ORC|NW|P\rTQ1|1||||||||R\rOBR|1||||S", Urgency.ROUTINE),
     ("ORC|NW|P\rOBR|1", Urgency.ROUTINE), ("ORC|NW|P\rOBR|1||||T", Urgency.ROUTINE)],
)  # fmt: skip
def test_priorities_follow_the_table(segments: str, expected: Urgency) -> None:
    (order,) = read_order(read(f"{HEADER}\r{PATIENT}\r{segments}"))
    assert order.priority is expected


def test_a_cancelled_order_is_no_order() -> None:
    assert read_order(read(ORM.replace("ORC|NW", "ORC|CA"))) == ()


@pytest.mark.parametrize(
    "text",
    [HEADER, f"{HEADER}\r{PATIENT}", f"{HEADER}\r{PATIENT}\rORC|NW\rOBR|1", f"{HEADER}\rPID|1\rORC|NW|P1\rOBR|1",
     f"{HEADER}\rORC|NW|P1\rOBR|1"],
)  # fmt: skip
def test_an_order_that_nothing_can_be_matched_by_is_unparsable(text: str) -> None:
    with pytest.raises(Unparsable):
        read_order(read(text))


def test_a_universal_id_stands_in_for_a_missing_namespace() -> None:
    (order,) = read_order(read(ORM.replace("HOSP&1.2.3&ISO", "&1.2.3&ISO")))
    assert order.issuer == "1.2.3"


def test_a_patient_update_is_read_and_shows_nothing_when_printed() -> None:
    message = read(f"{HEADER.replace('ORM^O01', 'ADT^A08')}\rEVN|A08\r{PATIENT}")
    update = read_patient_update(message)
    assert kind_of(message) is MessageKind.PATIENT_UPDATE
    assert (update.patient_id, update.issuer, update.family_name, update.sex) == ("P100", "HOSP", "Phantom", "F")
    assert "P100" not in f"{update!r}{message!r}"


@pytest.mark.parametrize(
    ("event", "code"), [("ADT^A40", "201"), ("ADT^A18", "201"), ("ADT^A01", "200"), ("SIU^S12", "200"), ("X", "200")]
)
def test_what_we_do_not_take_is_refused_with_its_reason(event: str, code: str) -> None:
    refusal = refusal_of(read(HEADER.replace("ORM^O01", event)))
    assert refusal is not None
    assert (refusal.code, refusal.reason_code) == ("AR", code)


@pytest.mark.parametrize("event", ["ORM^O01", "OMI^O23", "ADT^A08"])
def test_what_we_take_is_not_refused(event: str) -> None:
    assert refusal_of(read(HEADER.replace("ORM^O01", event))) is None


@pytest.mark.parametrize(
    ("declared", "charset"),
    [("UNICODE UTF-8", "utf-8"), ("8859/1", "latin-1"), ("8859/2", "iso8859-2"), ("ASCII", "latin-1"), ("", "latin-1"),
     ("", "utf-8")],
)  # fmt: skip
def test_the_declared_character_set_is_honoured(declared: str, charset: str) -> None:
    text = f"{HEADER}||||||{declared}\rPID|1||P||M\u00fcller"
    message = read(text, charset)
    assert message.first("PID").value(5) == "M\u00fcller"
    acknowledge(message, "AE", "207", "internal error").decode(charset)


def test_bytes_that_break_the_declared_character_set_are_unparsable() -> None:
    with pytest.raises(Unparsable):
        read(f"{HEADER}||||||UNICODE UTF-8\rPID|1||P||M\u00fcller", "latin-1")


@pytest.mark.parametrize(
    "data",
    [b"", b"MSH", b"PID|1", b"MSH|^~\\&|A", b"MSH|||||||||", b"MSHaaaaaaaaaaaaaa", b"MSH|^^^^|A|B|C|D|E||ORM^O01|1",
     b"MSH|^~\\&|A|B|C|D|E||ORM^O01||P", b"MSH|^~\\&|A|B|C|D|E||ORM^O01|1|P\rnot a segment",
     b"MSH|^~\\&|A|B|C|D|E||ORM^O01|1|P|2.5||||||KLINGON"],
)  # fmt: skip
def test_what_is_no_message_is_unparsable(data: bytes) -> None:
    with pytest.raises(Unparsable):
        parse(data)


def test_an_acknowledgement_names_the_message_and_reads_with_hl7apy() -> None:
    data = acknowledge(read(ORM), "AA")
    message = parse_message(data.decode(), validation_level=VALIDATION_LEVEL.TOLERANT)
    assert (message.msa.msa_1.value, message.msa.msa_2.value) == ("AA", "MSG1")
    assert message.msh.msh_9.to_er7() == "ACK^O01^ACK"
    assert (message.msh.msh_5.value, message.msh.msh_3.value) == ("RIS", "RADLOOP")
    assert message.msh.msh_12.value == "2.3"
    assert 0 < len(message.msh.msh_10.value) <= 20
    assert b"ERR" not in data


def test_a_refusal_carries_its_reason() -> None:
    data = acknowledge(read(ORM), "AE", "207", "ledger is away | try again")
    assert b"ERR|||207^ledger is away \\F\\ try again^HL70357|E" in data
    assert read_acknowledgement(data).error_codes == ("207",)


def test_in_enhanced_mode_without_application_acknowledgement_the_accept_code_is_said() -> None:
    assert read_acknowledgement(acknowledge(read(OMI), "AA")).code == "CA"
    assert read_acknowledgement(acknowledge(read(OMI), "AR", "200")).code == "CR"


def test_unreadable_bytes_are_refused_all_the_same() -> None:
    acknowledgement = read_acknowledgement(acknowledge_unreadable())
    assert (acknowledgement.code, acknowledgement.control_id) == ("AR", "")


texts = st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=40)


@given(texts)
@example("a|b^c~d\\e&f\rOBX|1\n\x0b\x1c")
def test_escaped_text_comes_back_and_never_ends_a_field(text: str) -> None:
    escaped = escape(text, Delimiters())
    assert not set(escaped) & set("|^~&\r\n\x0b\x1c")
    assert unescape(escaped, Delimiters()) == "".join(c if c.isprintable() else " " for c in text)


@given(st.lists(st.binary(max_size=50).filter(lambda b: b"\x0b" not in b and b"\x1c" not in b), max_size=5), st.data())
def test_messages_come_out_whole_however_the_network_cuts_them(messages: list[bytes], data: st.DataObject) -> None:
    stream, decoder, found = b"".join(map(frame, messages)), Decoder(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += decoder.feed(stream[:size])
        stream = stream[size:]
    assert found == messages
    assert not decoder.partial


@given(st.binary(max_size=200))
@example(b"\x0b\x0b\x1c\r")
def test_any_bytes_are_framed_messages_or_refused(data: bytes) -> None:
    with contextlib.suppress(Unparsable):
        for message in Decoder().feed(data):
            assert b"\x0b" not in message


@pytest.mark.parametrize("data", [b"MSH|", b"\x0ba\x1c\rgarbage", b"GET / HTTP/1.1\r\n", b"\x0ba\x0bb\x1c\r"])
def test_bytes_outside_a_frame_are_refused(data: bytes) -> None:
    with pytest.raises(Unparsable):
        Decoder().feed(data)


def test_line_ends_between_frames_do_not_matter() -> None:
    assert Decoder().feed(b"\r\n\x0ba\x1c\r\n\x0bb\x1c\r\r\n") == [b"a", b"b"]


def test_a_message_longer_than_the_limit_is_refused_before_it_is_held() -> None:
    decoder = Decoder(limit=100)
    assert decoder.feed(frame(b"x" * 100)) == [b"x" * 100]
    with pytest.raises(TooLarge):
        decoder.feed(b"\x0b" + b"x" * 102)


@given(st.binary(max_size=300))
@example(ORM.encode())
@example(b"MSH|^|A|B|C|D|E||ORM^O01|1|P\rPID|1||a~b\\c&d\rOBR|1|2")
def test_any_bytes_are_a_message_or_unparsable(data: bytes) -> None:
    for given_bytes in (data, HEADER.encode() + b"\r" + data):
        try:
            message = parse(given_bytes)
        except Unparsable:
            continue
        acknowledgement = read_acknowledgement(acknowledge(message, "AE", "207", "x"))
        assert acknowledgement.control_id == message.control_id
        with contextlib.suppress(Unparsable):
            read_order(message)
        with contextlib.suppress(Unparsable):
            read_patient_update(message)
