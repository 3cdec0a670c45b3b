"""How an Outbox finds on its flash what it knows, or formats it. The other half of outbox.py: loaded at a start."""

from . import sector
from .errors import FlashError
from .sector import SLOT, SLOTS

_ANY = (("", ""),) * sector.CHANNEL_LIMIT  # a lost table does not hide the boots of its records
_LOOKS = 8  # a cell that a cut left half-way reads differently each time


def mount(log, entropy):
    """log: an Outbox whose flash is known, and no more yet."""
    log._head = newest = _newest(log)
    if newest is None:
        _format(log, entropy)
        return
    log._table = log._read_table(newest)
    log.freed = log._stored = newest.freed
    log._slot = SLOTS
    while log._slot > newest.first and sector.is_blank(log._read_slot(newest, log._slot - 1)):
        log._slot -= 1
    try:
        _settle(log)
    except FlashError:
        pass  # a flash that can only be read is still to be read
    if not sector.is_blank(log._read_slot(newest, SLOTS)):
        log._slot = 2 * SLOTS  # both headers of the sector after it are rotten: what seqs it used is not known
    log.boot = log._boot_before(newest, log._table or _ANY, log.last + 1) + 1
    log._oldest = 1
    log._reclaim()


def _newest(log):
    """The header of the newest sector, or None."""
    newest = None
    for index in range(log._sectors):
        head = log._header_at(index)
        if head is not None and (newest is None or head.counter > newest.counter):
            newest = head
    return newest


def _format(log, entropy):
    log.boot = log._oldest = log._first = 1
    log.freed = log._stored = 0
    log._open(1, 1, bytes(entropy(4)))
    log._reclaim()


def _settle(log):
    """A cut may leave cells that read differently each time, until they are programmed again. So what this mount takes
    for the newest header and the newest slot is programmed once more, before anyone relies on it."""
    head = log._head
    data = sector.pack_header(head.first, head.stream, head.counter, head.base, head.freed, head.boot)
    log._do("program", log._offset(head), data + data)
    log._seal(log._read_header(head.counter - 1))
    for _ in range(_LOOKS):
        if log._slot < SLOTS and not sector.is_blank(log._read_slot(head, log._slot)):
            log._slot += 1
    slot = log._slot - 1
    data = bytes(SLOT)  # torn, whatever the next look would say
    for _ in range(_LOOKS):
        found = log._read_slot(head, slot)
        if sector.unpack_record(found, head, slot, _ANY) is not None:
            data = bytes(found)
    if slot >= head.first:
        log._do("program", log._offset(head) + slot * SLOT, data)
