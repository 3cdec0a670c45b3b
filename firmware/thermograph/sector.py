"""What one flash sector holds: a header, a channel table, records, and a seal. Pure: bytes in, values out.

    offset  0   header, 32 bytes      the same header twice: a sector whose header rots would lose
           32   header, again         its place in the ring, and with it the seqs it has used
           64   channel table         u16 length, text "sensor\\tunit\\n...", CRC-32
     first*16   records, 16 bytes     slot `first + i` belongs to seq `base + i`, whatever became of it
         4080   seal, 16 bytes        not blank: the sector after this one has had its header, and may have used seqs

    header   magic "TG", version, first (slot), stream (4 bytes), counter u32, base u48, freed u48, boot u32, CRC-32
    record   boot u8 (since the header's), kind u8, t u48 (ms), value float32 or fault u32, CRC-32
    kind     bits 0-1 time quality, bit 2 fault, bits 3-7 channel; quality 3 is not used: no record is all ones

Little endian. A record's CRC starts from its header's CRC and its slot, so that bytes left from another life
of the sector, or in another place, are no record.
"""

import struct
from binascii import crc32
from collections import namedtuple

from .reading import FAULTS, QUALITIES, Kept, Reading

SECTOR = 4096
SLOT = 16
SLOTS = SECTOR // SLOT - 1
SEAL = SLOTS * SLOT
HEADER = 32
TABLE = 2 * HEADER
CHANNEL_LIMIT = 32
BOOT_SPAN = 256  # a record's boot is one byte

_MAGIC = b"TG"
_VERSION = 1
_HEAD = "<2sBB4sIIHIHI"
_VALUE = "<BBIHf"
_FAULT = "<BBIHI"
_RECORD = "<BBIHfI"
_BLANK = b"\xff" * SLOT

# first: slot of the first record; counter: grows by one a sector, its remainder is the sector's index;
# base: seq of the first record; freed: newest freed seq when the sector was opened; crc: salt of the records.
Header = namedtuple("Header", ("first", "stream", "counter", "base", "freed", "boot", "crc"))


def pack_header(first, stream, counter, base, freed, boot):
    """32 bytes."""
    data = struct.pack(
        _HEAD,
        _MAGIC,
        _VERSION,
        first,
        stream,
        counter,
        base & 0xFFFFFFFF,
        base >> 32,
        freed & 0xFFFFFFFF,
        freed >> 32,
        boot,
    )
    return data + struct.pack("<I", crc32(data))


def unpack_header(data):
    """The Header of the first 32 bytes, or None."""
    (crc,) = struct.unpack_from("<I", data, HEADER - 4)
    if crc32(memoryview(data)[: HEADER - 4]) != crc:
        return None
    magic, version, first, stream, counter, low, high, freed, freed_high, boot = struct.unpack_from(_HEAD, data, 0)
    if magic != _MAGIC or version != _VERSION:
        return None
    return Header(first, stream, counter, low | high << 32, freed | freed_high << 32, boot, crc)


def pack_table(channels):
    """The table's bytes; channels: [(sensor, unit)]."""
    text = "\n".join(["\t".join(channel) for channel in channels]).encode()
    data = struct.pack("<H", len(text)) + text
    return data + struct.pack("<I", crc32(data))


def unpack_table(data):
    """[(sensor, unit)] of the bytes from TABLE to the first record, or None."""
    (size,) = struct.unpack_from("<H", data, 0)
    if size + 6 > len(data):
        return None
    (crc,) = struct.unpack_from("<I", data, 2 + size)
    if crc32(memoryview(data)[: 2 + size]) != crc:
        return None
    text = str(bytes(data[2 : 2 + size]), "utf-8")
    return [tuple(line.split("\t")) for line in text.split("\n")] if text else []


def first_slot(table):
    """The slot after a table of these bytes."""
    return (TABLE + len(table) + SLOT - 1) // SLOT


def pack_record(header, slot, boot, channel, reading):
    """16 bytes."""
    kind = QUALITIES.index(reading.quality) | channel << 3
    form, value = _VALUE, reading.value
    if reading.fault is not None:
        kind |= 4
        form, value = _FAULT, FAULTS.index(reading.fault)
    data = struct.pack(form, boot - header.boot, kind, reading.t & 0xFFFFFFFF, reading.t >> 32, value)
    return data + crc32(data, header.crc ^ slot).to_bytes(4, "little")


def unpack_record(data, header, slot, channels):
    """The Kept of 16 bytes, or None if they are torn, rotten or blank."""
    boot, kind, low, high, value, crc = struct.unpack(_RECORD, data)
    if crc32(memoryview(data)[: SLOT - 4], header.crc ^ slot) != crc:
        return None
    if channels is None or kind >> 3 >= len(channels):
        return None
    sensor, unit = channels[kind >> 3]
    fault = None
    if kind & 4:
        value, fault = None, FAULTS[data[8]]
    reading = Reading(low | high << 32, QUALITIES[kind & 3], sensor, unit, value, fault)
    return Kept(header.base + slot - header.first, header.boot + boot, reading)


def is_blank(data):
    """True if these bytes, a whole number of slots, are as erased."""
    return data == (_BLANK if len(data) == SLOT else b"\xff" * len(data))
