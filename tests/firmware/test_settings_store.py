"""checks_settings.py on CPython and on MicroPython; and a board's files cut off at each step."""

import errno

import pytest
from thermograph.boards.files import Files

import checks_settings
from checks import names, run


@pytest.mark.parametrize("name", names(checks_settings))
@pytest.mark.parametrize("where", ["cpython", "micropython"])
def test_settings(where, name, request):
    run(where, checks_settings, name, request, "1m")


class Cut(BaseException):
    pass


class Disk:
    """A folder whose writes are torn and whose steps are counted; the power goes at step `fuse`."""

    def __init__(self, texts, fuse):
        self.texts = texts
        self.fuse = fuse

    def step(self):
        self.fuse -= 1
        if self.fuse < 0:
            raise Cut

    def open(self, path, mode="r", encoding=None):
        return File(self, path, mode)

    def rename(self, old, new):
        self.step()
        self.texts[new] = self.texts.pop(old)


class File:
    def __init__(self, disk, path, mode):
        if mode == "r" and path not in disk.texts:
            raise OSError(errno.ENOENT, path)
        if mode == "w":
            disk.step()
            disk.texts[path] = ""
        self.disk, self.path = disk, path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def read(self):
        return self.disk.texts[self.path]

    def write(self, text):
        for letter in text:
            self.disk.step()
            self.disk.texts[self.path] += letter

    def sync(self):
        self.disk.step()


def test_a_cut_at_each_step_leaves_the_old_file_or_the_new():
    seen = set()
    for fuse in range(40):
        disk = Disk({"d/a": "old text"}, fuse)
        files = Files("d", File.sync, disk, disk.open)
        try:
            files.write("a", "the new text")
        except Cut:
            pass
        else:
            break
        disk.fuse = 99
        seen.add(files.read("a"))
        files.write("a", "again")
        assert files.read("a") == "again", "what was left over is not in the way"
    assert seen == {"old text"} and disk.texts == {"d/a": "the new text"}


def test_files_on_a_real_disk(tmp_path):
    files = Files(str(tmp_path), lambda file: file.flush())
    assert files.read("a") is None
    files.write("a", "text")
    files.write("a", "näwer")
    assert files.read("a") == "näwer" and [path.name for path in tmp_path.iterdir()] == ["a"]
    files.remove("a")
    files.remove("a")
    (tmp_path / "b").write_bytes(b"\xff\xfe")
    assert files.read("a") is None and files.read("b") is None
