"""The ROM loader of a fake board, in the place of tools/board/chip.py's two ways to a chip. No chip is here."""

from tools.board import chip, ports


class Loader:
    """at_erase: called when the flash is empty; at_end: when MicroPython is written. written: what was, and how."""

    def __init__(self, board, at_erase=lambda: None, at_end=lambda: None):
        self._board, self._at_erase, self._at_end = board, at_erase, at_end
        self.written = []

    def install(self, monkeypatch):
        monkeypatch.setattr(ports, "has_rom_loader", lambda address: True)
        monkeypatch.setattr(chip, "identify", self.identify)
        monkeypatch.setattr(chip, "write", self.write)
        return self

    def identify(self, address):
        ours = self._board.outbox.exists()
        return chip.Chip("ESP32", self._board.mac, 4 << 20, ours, not ours and not self._board.is_erased)

    def write(self, address, found, source, progress, erase):
        assert chip.parts(source, found.name)
        assert erase or found.ours
        self.written.append("erased" if erase else "over")
        if erase:
            self._board.erase()
            self._at_erase()
        self._board.write_micropython()
        self._at_end()
