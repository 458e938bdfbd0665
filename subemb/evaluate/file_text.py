"""Bytes of files, bounded, and the text they hold: UTF-8, or UTF-16 and UTF-32 with a byte order mark."""

import codecs
from pathlib import Path

from ..base.errors import InputError
from ..format import size_text

MOST_BYTES = 100_000_000
_SIGNATURES = {
    b"PK\x03\x04": "a ZIP archive (an .xlsx workbook is one too): unpack it, or save the sheet as CSV",
    b"\x1f\x8b": "compressed with gzip: unpack it first",
    b"BZh": "compressed with bzip2: unpack it first",
    b"\xfd7zXZ": "compressed with xz: unpack it first",
    b"\x28\xb5\x2f\xfd": "compressed with Zstandard: unpack it first",
    b"%PDF": "a PDF: copy its table into a CSV file",
    b"\xd0\xcf\x11\xe0": "an old Office file: save the sheet as CSV",
    b"ARROW1": "an Arrow file: save it as Parquet or CSV",
}
_BYTE_ORDER_MARKS = (  # the longer ones first: UTF-32's begins like UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def named(source: Path | str | bytes, name: str | None) -> str:
    """What a message calls the source."""
    return name or ("the data" if isinstance(source, bytes) else Path(source).name)


def read_bytes(source: Path | str | bytes, name: str | None = None) -> bytes:
    """All bytes of a file, or bytes as they are. Raises InputError if it is no file, or has more than MOST_BYTES bytes."""
    shown = named(source, name)
    if isinstance(source, bytes):
        _check_size(shown, len(source))
        return source
    path = Path(source)
    try:
        if not path.is_file():
            raise InputError(f"{shown} is {'a folder' if path.is_dir() else 'not there'}; give the path of a file")
        _check_size(shown, path.stat().st_size)
        return path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{shown} cannot be read ({reason}); give the path of a file that you may read") from error


def _check_size(shown: str, size: int) -> None:
    if size > MOST_BYTES:
        raise InputError(
            f"{shown} has {size_text(size)}, but at most {size_text(MOST_BYTES)} are read; split it, or keep only the rows you need"
        )


def decoded(content: bytes, name: str) -> str:
    """The text of a file: UTF-8, or UTF-16 and UTF-32 with a byte order mark.

    Raises InputError with the position of the first byte that does not fit, and what to do.
    """
    for signature, what in _SIGNATURES.items():
        if content.startswith(signature):
            raise InputError(f"{name} is {what}")
    encoding = next((encoding for mark, encoding in _BYTE_ORDER_MARKS if content.startswith(mark)), "utf-8")
    nul = content.find(b"\0") if encoding.startswith("utf-8") else -1
    if nul >= 0:
        raise InputError(
            f"{name} is not a text file: byte {nul + 1:,} is zero. If it is UTF-16 without a byte order mark, save it as UTF-8; "
            "otherwise give a CSV, TSV, JSON lines or Parquet file"
        )
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(
            f"{name} is not {encoding.removesuffix('-sig').upper()} text: byte {error.start + 1:,} (line {line:,}) is "
            f"0x{content[error.start]:02X}; save it as UTF-8 (in a spreadsheet: CSV UTF-8) and try again"
        ) from None
    return text
