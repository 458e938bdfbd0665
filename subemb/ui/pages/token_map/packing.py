"""Arrays as bytes for the browser: a header that says what follows, then the arrays, deflated. No Streamlit here.

Form: 4 bytes, the length of the header (little-endian); the header, JSON: ``name``, ``arrays`` (name, type, offset and length of each)
and whatever else was given; then one zlib stream with all arrays, each beginning at a multiple of 4. ``map.js`` reads it.
"""

import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

TYPES = {"uint8": np.uint8, "uint16": np.uint16, "uint32": np.uint32}


def pack(name: str, arrays: Mapping[str, np.ndarray], **more: Any) -> bytes:
    """Arrays of unsigned integers, and a few plain values, as bytes.

    >>> header, arrays = unpack(pack("a", {"x": np.array([1, 2, 3], np.uint16)}, size=3))
    >>> header["size"], arrays["x"].tolist()
    (3, [1, 2, 3])
    """
    body, entries = bytearray(), []
    for key, array in arrays.items():
        body += bytes(-len(body) % 4)
        entries.append({"name": key, "type": str(array.dtype), "offset": len(body), "length": array.size})
        little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
        body += little.tobytes()
    header = json.dumps({"name": name, "arrays": entries, **more}, separators=(",", ":")).encode()
    return struct.pack("<I", len(header)) + header + zlib.compress(bytes(body), 6)


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and arrays (flat): what the browser makes of it."""
    (length,) = struct.unpack_from("<I", data)
    header = json.loads(data[4 : 4 + length])
    body = zlib.decompress(data[4 + length :])
    arrays = {}
    for entry in header["arrays"]:
        kind = np.dtype(TYPES[entry["type"]]).newbyteorder("<")
        arrays[entry["name"]] = np.frombuffer(body, kind, entry["length"], entry["offset"])
    return header, arrays


def name_of(data: bytes) -> str:
    """The name that :func:`pack` was given.

    >>> name_of(pack("a", {}))
    'a'
    """
    (length,) = struct.unpack_from("<I", data)
    return json.loads(data[4 : 4 + length])["name"]


def packed_texts(texts: list[str]) -> np.ndarray:
    """Texts that hold no line break as one array of bytes.

    >>> bytes(packed_texts(["a", "é"])).decode().split(chr(10))
    ['a', 'é']
    """
    return np.frombuffer("\n".join(texts).encode("utf-8", "replace"), np.uint8)
