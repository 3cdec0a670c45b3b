"""What `flash`, `provision` and `monitor` are made of: one part of a board's bench a file.

errors       what can go wrong, each with its exit code
ports        which port the board is on
chip         esptool: the chip, and writing its flash
releases     pinned releases of MicroPython
writing      MicroPython and the partitions: what stays, what is asked, what is written
backup       what is on a board before it is erased: read off, kept here, put back
sectors      an Outbox of files as the partition holds it
repl         the board's prompt, by mpremote's transport
files        the firmware's files, and copying those that differ
home         the person's Wi-Fi and the broker's address, as a board needs them
console      what the firmware's lines mean
follow       from the reset to the first reading that is stored and acknowledged
mask         secrets that must not show
stages       a tick and its seconds for each stage
labels       name and QR code, to be stuck on a board
"""
