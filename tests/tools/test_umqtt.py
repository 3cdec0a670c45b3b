"""Fetching umqtt.simple: by hash, from wherever pip is told to look, and only the one file."""

import hashlib
import io
import tarfile

import pytest

from backend.errors import ServiceFailed, Unavailable
from backend.run import umqtt

MODULE = b"class MQTTClient:\n    pass\n"
NAME = "micropython-umqtt.simple-1.3.4"


@pytest.fixture
def mirror(tmp_path):
    """A folder with an archive of that name, pip's options for it, and the archive's hash."""

    def mirror(members):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            for name, content in members.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        folder = tmp_path / "mirror"
        folder.mkdir()
        (folder / f"{NAME}.tar.gz").write_bytes(buffer.getvalue())
        return {"find-links": [str(folder)], "no-index": ["1"]}, hashlib.sha256(buffer.getvalue()).hexdigest()

    return mirror


def test_it_is_taken_from_where_pip_looks_and_unpacked(mirror, tmp_path):
    options, sha256 = mirror({f"{NAME}/umqtt/simple.py": MODULE, f"{NAME}/PKG-INFO": b"x"})
    folder = umqtt.fetch(tmp_path / "umqtt", options, sha256)
    assert (folder / "umqtt" / "simple.py").read_bytes() == MODULE
    assert umqtt.find({}, folder) == folder
    assert umqtt.find({"THERMOGRAPH_UMQTT": "/elsewhere"}, folder).as_posix() == "/elsewhere"


def test_a_wrong_hash_is_refused_and_nothing_is_unpacked(mirror, tmp_path):
    options, _ = mirror({f"{NAME}/umqtt/simple.py": MODULE})
    with pytest.raises(ServiceFailed, match=umqtt.SHA256):
        umqtt.fetch(tmp_path / "umqtt", options)
    assert umqtt.find({}, tmp_path / "umqtt") is None
    assert not (tmp_path / "umqtt").exists()


def test_no_path_of_the_archive_reaches_the_file_system(mirror, tmp_path):
    options, sha256 = mirror({"../../umqtt/simple.py": MODULE, "/etc/cron.d/evil": b"x"})
    umqtt.fetch(tmp_path / "a" / "b" / "umqtt", options, sha256)
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {f"mirror/{NAME}.tar.gz", "a/b/umqtt/umqtt/simple.py"}


def test_an_archive_without_the_module_is_named(mirror, tmp_path):
    options, sha256 = mirror({f"{NAME}/readme": b"x"})
    with pytest.raises(ServiceFailed, match=r"holds no umqtt/simple\.py"):
        umqtt.fetch(tmp_path / "umqtt", options, sha256)


def test_no_index_that_has_it_is_said_with_what_to_do(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(Unavailable) as caught:
        umqtt.fetch(tmp_path / "umqtt", {"find-links": [str(tmp_path / "empty")], "no-index": ["1"]})
    assert "THERMOGRAPH_UMQTT" in caught.value.advice
