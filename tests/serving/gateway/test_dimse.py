"""Our DIMSE codec against pynetdicom's, and against bytes that are none."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ, N_EVENT_REPORT_RQ, DIMSEMessage
from pynetdicom.dimse_primitives import C_ECHO, C_STORE, N_EVENT_REPORT
from pynetdicom.pdu import P_DATA_TF

from radloop.domain.errors import TooLarge, Unparsable
from serving.gateway.dimse import EVENT_LIMIT, PDU_HEADER, Assembler, Message, Operation, read_command, response

UIDS = st.from_regex(r"[0-2](\.[1-9][0-9]{0,8}){1,5}", fullmatch=True)


def pdus_of(message: object, most: int) -> list[bytes]:
    return [P_DATA_TF(primitive).encode() for primitive in message.encode_msg(5, most)]  # type: ignore[attr-defined]


def store_request(sop_class: str, sop_uid: str, data: bytes) -> C_STORE_RQ:
    request = C_STORE()
    request.MessageID, request.Priority = 77, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = sop_class, sop_uid
    request.DataSet = io.BytesIO(data)
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    return message


def event_report(data: bytes, event_type: int = 1) -> N_EVENT_REPORT_RQ:
    request = N_EVENT_REPORT()
    request.MessageID, request.EventTypeID = 77, event_type
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
    request.EventInformation = io.BytesIO(data)
    message = N_EVENT_REPORT_RQ()
    message.primitive_to_message(request)
    return message


def assembled(pdus: list[bytes], most: int = 1 << 20) -> list[Message]:
    assembler = Assembler(most)
    return [message for pdu in pdus for message in assembler.take(memoryview(pdu))]


@given(UIDS, UIDS, st.binary(min_size=1, max_size=5000), st.integers(32, 6000))
def test_a_request_is_read_as_pynetdicom_wrote_it_however_it_is_cut(cls: str, uid: str, data: bytes, most: int) -> None:
    (message,) = assembled(pdus_of(store_request(cls, uid, data), most))
    assert message.data is not None
    assert bytes(message.data) == data
    command = message.command
    assert (command.operation, command.message_id, command.sop_class_uid, command.sop_uid) == (
        Operation.C_STORE,
        77,
        cls,
        uid,
    )
    assert message.context_id == 5


@given(UIDS, UIDS, st.sampled_from([0x0000, 0xA700, 0xA900, 0xC000]))
def test_pynetdicom_reads_our_response(cls: str, uid: str, status: int) -> None:
    (message,) = assembled(pdus_of(store_request(cls, uid, b"12"), 16384))
    pdu = P_DATA_TF()
    pdu.decode(response(message, status))
    decoded = DIMSEMessage()
    assert decoded.decode_msg(pdu.to_primitive())
    answer = decoded.message_to_primitive()
    assert isinstance(answer, C_STORE)
    assert (answer.Status, answer.MessageIDBeingRespondedTo) == (status, 77)
    assert (answer.AffectedSOPClassUID, answer.AffectedSOPInstanceUID) == (cls, uid)
    assert decoded.context_id == 5


def test_an_echo_has_no_data() -> None:
    request = C_ECHO()
    request.MessageID, request.AffectedSOPClassUID = 3, "1.2.840.10008.1.1"
    echo = C_ECHO_RQ()
    echo.primitive_to_message(request)
    (message,) = assembled(pdus_of(echo, 16384))
    assert (message.command.operation, message.data) == (Operation.C_ECHO, None)


@given(st.integers(0, 0xFFFF), st.sampled_from([0x0000, 0x0110, 0x0115]))
def test_an_event_report_is_read_and_its_response_repeats_the_event_type(event_type: int, status: int) -> None:
    (message,) = assembled(pdus_of(event_report(b"event!", event_type), 16384))
    assert (message.command.operation, message.command.event_type) == (Operation.N_EVENT_REPORT, event_type)
    assert bytes(message.data or b"") == b"event!"
    pdu, decoded = P_DATA_TF(), DIMSEMessage()
    pdu.decode(response(message, status))
    assert decoded.decode_msg(pdu.to_primitive())
    answer = decoded.message_to_primitive()
    assert isinstance(answer, N_EVENT_REPORT)
    assert (answer.Status, answer.MessageIDBeingRespondedTo, answer.EventTypeID) == (status, 77, event_type)
    assert answer.AffectedSOPInstanceUID == "1.2.840.10008.1.20.1.1"


def test_event_information_has_a_limit_of_its_own() -> None:
    (message,) = assembled(pdus_of(event_report(bytes(EVENT_LIMIT + 2)), 1 << 20), most=1 << 30)
    assert message.data is None
    assert message.command.has_data


def test_two_messages_in_a_row_do_not_mix() -> None:
    pdus = [*pdus_of(store_request("1.2", "1.3", b"first!"), 64), *pdus_of(store_request("1.2", "1.4", b"second"), 64)]
    assert [bytes(message.data or b"") for message in assembled(pdus)] == [b"first!", b"second"]


def test_a_data_set_beyond_the_limit_is_let_go_and_its_message_still_ends() -> None:
    (message,) = assembled(pdus_of(store_request("1.2", "1.3", bytes(10_000)), 1000), most=5000)
    assert message.data is None
    assert message.command.has_data


def test_a_command_set_without_end_is_refused() -> None:
    assembler = Assembler(1 << 20)
    fragment = bytes(60_000)
    pdu = PDU_HEADER.pack(4, len(fragment) + 6) + (len(fragment) + 2).to_bytes(4, "big") + b"\x01\x01" + fragment
    assert assembler.take(memoryview(pdu)) == []
    with pytest.raises(TooLarge):
        assembler.take(memoryview(pdu))


@given(st.binary(max_size=300))
def test_bytes_that_are_no_command_set_are_refused_and_nothing_worse(raw: bytes) -> None:
    try:
        read_command(raw)
    except Unparsable:
        return
    assert raw


@given(st.binary(max_size=300))
def test_bytes_that_are_no_fragments_are_refused_and_nothing_worse(raw: bytes) -> None:
    try:
        Assembler(1000).take(memoryview(PDU_HEADER.pack(4, len(raw)) + raw))
    except (Unparsable, TooLarge):
        return
