"""How much memory a process holds, and giving back what it no longer uses: glibc keeps that otherwise."""

import ctypes
import gc
import os
import sys
from pathlib import Path


def own_bytes(pid: int | None = None) -> int | None:
    """Bytes in memory that a process (this one by default) shares with no file; None where the system does not tell, or it has ended."""
    try:
        fields = Path(f"/proc/{'self' if pid is None else pid}/statm").read_text().split()
        return (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError, AttributeError):
        return None


def release_memory() -> None:
    """Collect garbage, and give what is free back to the system."""
    gc.collect()
    trim()


def trim() -> None:
    """Give what is free back to the system."""
    if sys.platform == "linux":
        try:
            ctypes.CDLL("libc.so.6").malloc_trim(0)
        except (OSError, AttributeError):  # another C library
            return
