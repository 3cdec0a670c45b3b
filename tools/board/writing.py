"""MicroPython and the partitions on a board: what stays, what is written, and that nothing is lost by it unasked."""

import contextlib
from pathlib import Path

from . import asking, backup, chip, releases, repl
from .chip import Chip
from .errors import BoardError, ChipFailed, FilesystemFailed, FlashFailed
from .mask import Mask
from .repl import About, Prompt
from .stages import Stages

# What the firmware needs; flash writes a newer one.
OLDEST = (1, 25)
# --partitions: what the board has; ours, with what is on it put back; ours, and nothing kept.
KEEP, OURS, ERASE = CHOICES = ("keep", "ours", "erase")
# What _decide() may say besides: write MicroPython over a board that has our partitions already.
_UPDATE = "update"
NOTHING = "Nothing was erased."
FEWER = "about 3,500 readings instead of 63,000, and more wear of the flash"
QUESTION = """  This board has other partitions than ours, so its Outbox is files: {fewer}.
  With our partitions: its flash is erased, then MicroPython and our partitions are written.
    Read off first, and put back: {kept}.
    Lost: {lost}."""


class Writer:
    """chip: None where there is no ROM loader. wish: of CHOICES; None: keep, or ask where somebody can be asked.
    micropython: a .bin, instead of the pinned release."""

    def __init__(
        self,
        address: str,
        chip: Chip | None,
        wish: str | None,
        micropython: Path | None,
        ask: bool,
        stages: Stages,
        mask: Mask,
    ) -> None:
        self._address, self._chip, self._wish, self._file = address, chip, wish, micropython
        self._ask, self._stages, self._mask = ask, stages, mask
        self._prompt: Prompt | None = None

    def prompt(self) -> Prompt:
        """The board's prompt, of a MicroPython that is new enough: written if need be. Raises BoardError."""
        try:
            return self._bring()
        except BaseException:
            self._close()
            raise

    def _bring(self) -> Prompt:
        if self._chip is None:
            return self._keep(self._connect())
        with contextlib.suppress(ChipFailed):
            self._connect()
        choice = self._decide(self._chip)
        if choice == KEEP:
            prompt = self._keep(self._connect())
            self._restore(prompt, self._chip)
            return prompt
        file = self._release(self._chip)
        saved = self._save(self._connect(), self._chip) if choice == OURS else None
        prompt = self._write(self._chip, file, choice)
        if choice != ERASE:
            self._restore(prompt, self._chip, saved)
        return prompt

    def _connect(self) -> Prompt:
        if self._prompt is None:
            self._prompt = repl.connect(self._address, self._mask)
        return self._prompt

    def _close(self) -> None:
        if self._prompt is not None:
            self._prompt.close()
            self._prompt = None

    # -- what is to be done

    def _decide(self, chip: Chip) -> str:
        """KEEP, OURS, ERASE or _UPDATE. Closes the prompt while somebody thinks: a watchdog may be running."""
        about = self._prompt.about() if self._prompt else None
        is_old = about is None or about.version < OLDEST
        if self._wish == ERASE:
            return ERASE
        if chip.ours:
            return _UPDATE if is_old or self._wish == OURS else KEEP
        if self._prompt is None or about is None:
            self._refuse_unreadable(chip)
            return _UPDATE
        if self._wish == OURS:
            return OURS
        if not is_old and (self._wish == KEEP or about.outbox or not self._ask):
            return KEEP
        inventory = backup.take_stock(self._prompt.sizes())
        if about.outbox:  # a table of the person's own: what is in its Outbox is not read off
            inventory.lost["the readings in its partition `outbox`"] = 0
        if self._agreed(inventory, about):
            return OURS
        if is_old:
            raise FlashFailed(
                f"Its MicroPython is too old, and a newer one takes our partitions. {NOTHING}",
                "With --partitions ours they are written.",
                f"MicroPython {dotted(about.version)}; lost by it: {listed(inventory.lost) or 'no file'}",
            )
        return KEEP

    def _agreed(self, inventory: backup.Inventory, about: About) -> bool:
        """Nobody to ask: a MicroPython that is too old is replaced if that loses no file."""
        if self._wish == KEEP:
            return False
        if not self._ask:
            return not inventory.lost
        self._close()
        words = QUESTION.format(fewer=FEWER, kept=kept(inventory), lost=lost(inventory))
        return asking.whether(words, "Write our partitions?", False)

    def _refuse_unreadable(self, chip: Chip) -> None:
        """Raises FlashFailed where files may be on a board that cannot be asked for them."""
        if chip.stock:
            raise FlashFailed(
                f"No MicroPython answers, but the partitions are MicroPython's: files may be there. {NOTHING}",
                "Press EN (reset) and run this again. --partitions erase gives up whatever is on it.",
            )
        if self._wish == KEEP:
            raise FlashFailed(
                f"No MicroPython answers, and writing one takes our partitions. {NOTHING}", "Leave out --partitions."
            )

    # -- doing it

    def _keep(self, prompt: Prompt) -> Prompt:
        with self._stages.run("flash") as stage:
            about = prompt.about()
            stage.detail = f"MicroPython {dotted(about.version)} is there"
            if about.version < OLDEST:
                raise FlashFailed(
                    f"Its MicroPython is too old: the firmware needs {dotted(OLDEST)}.",
                    "There is no ROM loader here: give the emulator a newer one, or use the board's USB port.",
                    f"MicroPython {dotted(about.version)}",
                )
            if about.outbox is False:
                stage.detail += "; its partitions stay, the Outbox is files"
        if about.outbox is False:
            way = " --partitions ours changes that." if self._chip else ""
            self._stages.note(f"  no partition `outbox`: {FEWER}.{way}")
        return prompt

    def _release(self, chip: Chip) -> Path:
        with self._stages.progress("downloading MicroPython") as progress:
            return self._file or releases.fetch(chip.name, progress=progress)

    def _save(self, prompt: Prompt, chip: Chip) -> backup.Backup:
        """Raises FilesystemFailed; then the board goes on as it was."""
        try:
            with self._stages.run("backup") as stage:
                sizes = prompt.sizes()
                with self._stages.progress("reading off what is on the board") as progress:
                    saved = backup.save(prompt, sizes, chip.mac, backup.place(), self._mask, progress)
                stage.detail = f"{len(saved.files)} files in {saved.folder}"
        except FilesystemFailed as error:
            with contextlib.suppress(BoardError):
                prompt.reset()
            raise FilesystemFailed(f"{error.message} {NOTHING}", error.advice, error.evidence) from None
        self._stages.note("  They stay there until they are on the board again.")
        gone = backup.take_stock(sizes).lost
        if gone:
            self._stages.note(f"  Lost: {listed(gone)}.")
        return saved

    def _write(self, found: Chip, file: Path, choice: str) -> Prompt:
        self._close()
        keeps = found.ours and choice != ERASE
        with self._stages.run("flash") as stage:
            with self._stages.progress("writing MicroPython") as progress:
                chip.write(self._address, found, file, progress, erase=not keeps)
            stage.detail = f"{file.name} written, {'files and Outbox kept' if keeps else 'with our partitions'}"
            return self._connect()

    def _restore(self, prompt: Prompt, chip: Chip, saved: backup.Backup | None = None) -> None:
        """What was saved; or what a run that was cut off had saved, if the board has not been set up since."""
        found = saved or backup.find(chip.mac, backup.place())
        if found is None or (saved is None and not self._wanted_back(prompt, found)):
            return
        try:
            with self._stages.run("put back") as stage, self._stages.progress("putting it back") as progress:
                stage.detail = backup.put_back(found, prompt, progress)
        except FilesystemFailed as error:
            advice = f"{error.advice} Until all of it is back it stays in {found.folder}"
            raise FilesystemFailed(error.message, advice, error.evidence) from None
        found.remove()

    def _wanted_back(self, prompt: Prompt, found: backup.Backup) -> bool:
        """An earlier run was cut off between erasing and putting back."""
        where = f"  A backup of this board, of {found.made}, is in {found.folder}"
        if prompt.hashes(("main.py",)):
            self._stages.note(f"{where}: the board has been set up since. Delete it if you miss nothing.")
            return False
        if found.ring() and not prompt.about().outbox:
            self._stages.note(f"{where}: it takes our partitions (--partitions ours).")
            return False
        words = f"{where}: an earlier run was cut off. It has {kept(found.inventory())}."
        if not self._ask:
            self._stages.note(words)
            return True
        return asking.whether(words, "Put it back?", True)


def kept(inventory: backup.Inventory) -> str:
    """What is put back, in words."""
    words = [name for name in backup.OF_THE_FIRMWARE if name in inventory.kept]
    if inventory.outbox:
        words.append(f"the Outbox's readings ({len(inventory.outbox)} files)")
    return ", ".join([*words, *sorted(inventory.own)]) or "nothing, for it has no files"


def lost(inventory: backup.Inventory) -> str:
    words = listed(inventory.lost)
    return f"{words + '; ' if words else ''}what programs of your own keep in NVS"


def listed(sizes: dict[str, int]) -> str:
    return ", ".join(f"{name} ({size:,} bytes)" if size else name for name, size in sorted(sizes.items()))


def dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
