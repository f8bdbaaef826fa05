import os

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from radloop.domain.errors import IntegrityError
from radloop.store.envelope import (
    HEADER_SIZE,
    SMALLEST_CHUNK,
    TAG_SIZE,
    Sealer,
    open_sealed,
    parse_header,
    rewrap,
    seal,
)
from radloop.store.keyring import Kek

KEK = Kek(1, AESGCM(b"k" * 32))
NEW_KEK = Kek(2, AESGCM(b"n" * 32))
THREE_CHUNKS = os.urandom(2 * SMALLEST_CHUNK) + b"tail"
SEALED_CHUNK = SMALLEST_CHUNK + TAG_SIZE


def sealed_in_three() -> bytes:
    return seal(THREE_CHUNKS, "a", KEK, SMALLEST_CHUNK)


def chunks_of(sealed: bytes) -> list[bytes]:
    body = sealed[HEADER_SIZE:]
    return [body[:SEALED_CHUNK], body[SEALED_CHUNK : 2 * SEALED_CHUNK], body[2 * SEALED_CHUNK :]]


@given(st.lists(st.binary(max_size=300), max_size=6))
def test_what_was_sealed_in_parts_opens_as_the_joined_bytes(parts: list[bytes]) -> None:
    sealer = Sealer(parts, "a", KEK)
    sealed = b"".join(bytes(piece) for piece in sealer.pieces())
    assert open_sealed(sealed, "a", KEK) == b"".join(parts)


@pytest.mark.parametrize("size", [0, 1, SMALLEST_CHUNK - 1, SMALLEST_CHUNK, SMALLEST_CHUNK + 1, 3 * SMALLEST_CHUNK])
def test_every_size_around_a_chunk_border_survives(size: int) -> None:
    data = os.urandom(size)
    parts = [data[: size // 3], data[size // 3 :]]
    sealed = b"".join(bytes(piece) for piece in Sealer(parts, "a", KEK, SMALLEST_CHUNK).pieces())
    assert open_sealed(sealed, "a", KEK) == data
    assert parse_header(sealed).sealed_size == len(sealed)


@settings(max_examples=200)
@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_any_changed_byte_is_found(position: int, change: int) -> None:
    sealed = bytearray(seal(b"plain bytes of one object", "a", KEK))
    sealed[position % len(sealed)] ^= change
    with pytest.raises(IntegrityError):
        open_sealed(sealed, "a", KEK)


@given(st.binary(max_size=200))
def test_no_stranger_bytes_open_and_none_crash(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        open_sealed(data, "a", KEK)


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 0, 2), (0, 2, 1), (0, 1), (0,), (0, 1, 2, 2)])
def test_reordered_repeated_and_dropped_chunks_are_found(order: tuple[int, ...]) -> None:
    sealed = sealed_in_three()
    chunks = chunks_of(sealed)
    with pytest.raises(IntegrityError):
        open_sealed(sealed[:HEADER_SIZE] + b"".join(chunks[i] for i in order), "a", KEK)


def test_a_truncated_object_is_found_even_at_a_chunk_border_with_a_header_to_match() -> None:
    sealed = sealed_in_three()
    shorter = seal(THREE_CHUNKS[: 2 * SMALLEST_CHUNK], "a", KEK, SMALLEST_CHUNK)
    with pytest.raises(IntegrityError):
        open_sealed(shorter[:HEADER_SIZE] + b"".join(chunks_of(sealed)[:2]), "a", KEK)


def test_an_object_under_another_id_does_not_open() -> None:
    with pytest.raises(IntegrityError):
        open_sealed(seal(b"one", "a", KEK), "b", KEK)


def test_two_objects_of_the_same_bytes_share_no_cipher_text() -> None:
    one, two = (seal(b"x" * 64, "a", KEK)[HEADER_SIZE:] for _ in range(2))
    assert one != two


def test_a_rewrapped_header_opens_the_same_chunks_under_the_new_key_only() -> None:
    sealed = seal(b"plain", "a", KEK)
    moved = rewrap(parse_header(sealed), "a", KEK, NEW_KEK).pack() + sealed[HEADER_SIZE:]
    assert open_sealed(moved, "a", NEW_KEK) == b"plain"
    with pytest.raises(IntegrityError):
        open_sealed(moved, "a", KEK)
