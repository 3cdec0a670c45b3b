"""Outbox: the device's ring log on NOR flash. A reading is durable before append returns.

The flash is any object with `size` in bytes, `read(offset, buffer)`, `program(offset, data)`, which only
clears bits, and `erase(sector)`, which sets 4096 bytes to 0xFF; each may raise FlashError or OSError, and the
power may go at any instant. Nothing but the log itself is stored: what the Outbox knows, it finds again by
mounting. How, and why that survives every cut: README.md, "The Outbox on flash".
"""

from . import sector
from .errors import FlashError
from .moment import let_go
from .reading import BACKEND_LOST, FLASH_CORRUPT, FLASH_FULL, POWER_CUT, Gap
from .sector import SECTOR, SLOT, SLOTS, TABLE

_TRIES = 4  # bad slots or sectors in a row before the flash is given up


class Outbox:
    """stream: 8 hex digits; boot: number of this boot; first: oldest seq held; last: newest seq used;
    freed: the backend has all up to this seq. Readings that are freed stay held until their room is needed."""

    def __init__(self, flash, entropy, channels):
        """Mount the flash, or format it if it holds no log. entropy(n) gives n random bytes;
        channels: [(sensor, unit)] expected, so that their first readings share a sector."""
        from .outbox_mount import mount

        self._flash = flash
        self._sectors = flash.size // SECTOR
        if self._sectors < 3:
            raise FlashError("an outbox needs 3 sectors, not %d" % self._sectors)
        self._channels = list(channels)
        self._record = bytearray(SLOT)
        self._seeker = 0
        mount(self, entropy)
        mount = None
        let_go("outbox_mount")
        self.stream = "".join(["%02x" % byte for byte in self._head.stream])

    @property
    def first(self):
        return self._first

    @property
    def last(self):
        return self._head.base + self._slot - self._head.first - 1

    @property
    def depth(self):
        """Seqs that the backend does not have yet."""
        return self.last - self.freed

    @property
    def capacity(self):
        """Readings that are surely held: one sector is always given up, and one may just have been opened."""
        return (self._sectors - 2) * (SLOTS - self._head.first)

    # -- keeping

    def append(self, reading):
        """Keep a reading; its seq. It is on flash and read back when this returns; FlashError if it is not."""
        channel = (reading.sensor, reading.unit)
        if channel not in self._channels:
            self._channels.append(channel)
        for _ in range(_TRIES):
            if not self._has_room(channel):
                self._rotate()
            head, slot = self._head, self._slot
            data = sector.pack_record(head, slot, self.boot, self._table.index(channel), reading)
            try:
                self._do("program", self._offset(head) + slot * SLOT, data)
            except FlashError:
                pass  # what the slot now holds decides
            found = self._read_slot(head, slot)
            if not sector.is_blank(found):
                self._slot += 1  # half written is burnt: its seq is never given to another reading
            if found == data:
                return head.base + slot - head.first
        raise FlashError("the flash does not keep what is written")

    def free(self, seq):
        """The backend has all up to seq. A smaller seq than before: it has forgotten, and is served again."""
        if not 0 <= seq <= self.last:
            raise ValueError("free %d of %d" % (seq, self.last))
        self.freed = seq
        self._stored = max(self._stored, seq)

    # -- looking

    def peek(self, seq, limit):
        """Yield at most limit Kept and Gap from seq on, oldest first, with no seq left out. One record is in
        memory at a time. Not to be continued after an append."""
        for item in self._items(seq):
            if limit <= 0:
                return
            limit -= 1
            yield item

    def _items(self, seq):
        if seq <= min(self._stored, self._first - 1):
            last = min(self._stored, self._first - 1)
            yield Gap(seq, last, BACKEND_LOST)
            seq = last + 1
        if seq < self._first:
            yield Gap(seq, self._first - 1, FLASH_FULL)
            seq = self._first
        head = self._seek(seq)
        while head is not None and seq <= self.last:
            if seq < head.base:
                yield Gap(seq, head.base - 1, FLASH_CORRUPT)
                seq = head.base
            after = self._after(head.counter)
            for item in self._sector_items(head, after, seq):
                yield item
            head, seq = after, after.base if after else self.last + 1

    def _sector_items(self, head, after, seq):
        """The items from seq to the end of one sector, which is where the next readable sector begins."""
        end = after.base if after else self.last + 1
        stop = min(end, head.base + SLOTS - head.first)
        table = self._table if head is self._head else self._read_table(head)
        lost, boot = seq, self._boot_before(head, table, seq)
        for here in range(seq, stop):
            slot = head.first + here - head.base
            kept = sector.unpack_record(self._read_slot(head, slot), head, slot, table)
            if kept is None:
                continue
            if lost < here:
                yield Gap(lost, here - 1, POWER_CUT if kept.boot != boot else FLASH_CORRUPT)
            yield kept
            lost, boot = here + 1, kept.boot
        if lost < end:
            # The last slots of a boot are torn by its end; a whole sector that cannot be read is not.
            torn = stop == end and (after.boot if after else self.boot) != boot
            yield Gap(lost, end - 1, POWER_CUT if torn else FLASH_CORRUPT)

    def _boot_before(self, head, table, seq):
        for slot in range(min(SLOTS, head.first + seq - head.base) - 1, head.first - 1, -1):
            kept = sector.unpack_record(self._read_slot(head, slot), head, slot, table)
            if kept is not None:
                return kept.boot
        return head.boot

    def _seek(self, seq):
        """The header of the sector that holds seq. Starts where the last search ended: searches go forward."""
        head = self._read_header(self._seeker) if self._seeker >= self._oldest else None
        if head is None or head.base > seq:
            head = self._after(self._oldest - 1)
        after = self._after(head.counter)
        while after is not None and after.base <= seq:
            head, after = after, self._after(after.counter)
        self._seeker = head.counter
        return head

    def _after(self, counter):
        """The header of the next readable sector, or None after the newest."""
        for number in range(counter + 1, self._head.counter + 1):
            head = self._read_header(number)
            if head is not None:
                return head
        return None

    # -- the ring

    def _has_room(self, channel):
        return (
            self._slot < SLOTS
            and self._table is not None
            and channel in self._table
            and self.boot - self._head.boot < sector.BOOT_SPAN
        )

    def _rotate(self):
        """Open the sector ahead, and with that give up the next, whose readings stay until it is opened itself: so what
        was freed is in a header before they go, and a cut between the two names no wrong cause."""
        head = self._head
        self._open(head.counter + 1, self.last + 1, head.stream)
        try:
            self._seal(head)
        except FlashError:
            pass  # two more things must go wrong before it is missed
        self._reclaim()

    def _seal(self, head):
        """The sector after this one has its header: a mount that does not find it gives none of its seqs again."""
        if head is not None:
            self._do("program", self._offset(head) + sector.SEAL, bytes(SLOT))

    def _open(self, counter, base, stream):
        """Erase a sector and write its header; its table first, so that a valid header never lacks it."""
        if len(self._channels) > sector.CHANNEL_LIMIT:
            raise FlashError("more than %d channels" % sector.CHANNEL_LIMIT)
        table = sector.pack_table(self._channels)
        first = sector.first_slot(table)
        for number in range(counter, counter + min(_TRIES, self._sectors - 1)):  # never over the newest itself
            index = number % self._sectors
            start = index * SECTOR
            data = sector.pack_header(first, stream, number, base, self._stored, self.boot)
            self._do("erase", index)  # even if it reads blank: its last erase may have been cut off
            self._do("program", start + TABLE, table)
            self._do("program", start, data + data)
            head = self._header_at(index)
            if head is not None and self._read_table(head) == self._channels:
                self._head, self._slot, self._table = head, first, list(self._channels)
                return
        raise FlashError("no sector can be written")

    def _reclaim(self):
        """Give up the sector ahead of the newest, the oldest of a full ring: it is erased when it is opened."""
        ahead = self._head.counter + 1
        self._oldest = max(self._oldest, ahead - self._sectors + 1)
        oldest = self._after(self._oldest - 1)
        self._oldest, self._first = oldest.counter, oldest.base

    # -- the flash

    def _offset(self, head):
        return head.counter % self._sectors * SECTOR

    def _read_header(self, counter):
        if counter == self._head.counter:
            return self._head
        head = self._header_at(counter % self._sectors)
        return head if head is not None and head.counter == counter and head.stream == self._head.stream else None

    def _header_at(self, index):
        data = bytearray(sector.HEADER)
        for copy in (0, sector.HEADER):
            self._do("read", index * SECTOR + copy, data)
            head = sector.unpack_header(data)
            if head is not None and head.counter % self._sectors == index:
                return head
        return None

    def _read_table(self, head):
        data = bytearray(head.first * SLOT - TABLE)
        self._do("read", self._offset(head) + TABLE, data)
        return sector.unpack_table(data)

    def _read_slot(self, head, slot):
        offset = head.counter % self._sectors * SECTOR + slot * SLOT
        try:  # not by _do: this is done more often than all else
            self._flash.read(offset, self._record)
        except OSError as error:
            raise FlashError("read at %d: %s" % (offset, error))
        return self._record

    def _do(self, what, *args):
        try:
            getattr(self._flash, what)(*args)
        except OSError as error:
            raise FlashError("%s at %d: %s" % (what, args[0], error))
