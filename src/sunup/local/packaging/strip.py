"""Takes the debugging information out of native modules: most of the size of some wheels.

`strip` for another processor is not on every machine. This needs none: what the loader maps is
described by the program headers, lies in front, and stays as it is; what comes after it (symbols,
debug sections, the table of sections) is cut off.
"""

import struct
from pathlib import Path

_ELF64_LITTLE = b"\x7fELF\x02\x01"
# Offsets in a 64-bit ELF header (elf(5)): e_phoff, e_shoff; e_phentsize and what follows it.
_PHOFF, _SHOFF, _COUNTS = 32, 40, 54


def strip(path: Path) -> int:
    """Shorten an ELF file in place, where that is possible; returns the bytes that were saved."""
    content = bytearray(path.read_bytes())
    if content[:6] != _ELF64_LITTLE:
        return 0
    table: int = struct.unpack_from("<Q", content, _PHOFF)[0]
    size, count = struct.unpack_from("<HH", content, _COUNTS)
    end: int = table + size * count
    for number in range(count):
        # p_offset and p_filesz of Elf64_Phdr.
        offset, _, _, length = struct.unpack_from("<QQQQ", content, table + size * number + 8)
        end = max(end, offset + length)
    saved = len(content) - end
    if saved <= 0:
        return 0
    del content[end:]
    struct.pack_into("<Q", content, _SHOFF, 0)
    struct.pack_into("<HH", content, _COUNTS + 6, 0, 0)  # e_shnum, e_shstrndx
    path.write_bytes(content)
    return saved
