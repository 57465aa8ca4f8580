"""Frames: a big-endian 32-bit length, then that many bytes. Every reader has a cap."""

from __future__ import annotations

import os
import struct

HEADER = struct.Struct(">I")


class WireError(Exception):
    """The peer closed the stream inside a frame, or announced one above the cap."""


def write_frame(fd: int, payload: bytes) -> None:
    """Write one frame to a blocking descriptor."""
    view = memoryview(HEADER.pack(len(payload)) + payload)
    while view:
        view = view[os.write(fd, view) :]


def read_exactly(fd: int, count: int) -> bytes:
    """Read `count` bytes from a blocking descriptor, b"" at a clean end."""
    parts: list[bytes] = []
    left = count
    while left:
        part = os.read(fd, min(left, 1 << 20))
        if not part:
            if parts:
                raise WireError("the stream ended inside a frame")
            return b""
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def read_frame(fd: int, cap: int = 1 << 30) -> bytes | None:
    """Read one frame from a blocking descriptor; None at a clean end."""
    header = read_exactly(fd, HEADER.size)
    if not header:
        return None
    (size,) = HEADER.unpack(header)
    if size > cap:
        raise WireError(f"a frame of {size} bytes is above the cap of {cap}")
    body = read_exactly(fd, size)
    if len(body) != size:
        raise WireError("the stream ended inside a frame")
    return body
