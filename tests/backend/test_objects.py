"""One suite for every object store: moto's S3 and the SeaweedFS that `make run` embeds."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from backend.errors import NotFound, ObjectStoreUnavailable
from backend.objects import ObjectStore, StoredObject
from backend.settings import Settings
from tests.end_to_end.world import KEY, SECRET, SeaweedFS
from tests.ports import free_port
from tests.servers import MotoS3


@pytest.fixture(scope="module", params=[MotoS3, SeaweedFS])
def endpoint(request, tmp_path_factory):
    server = request.param(tmp_path_factory.mktemp("s3"))
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        yield f"http://127.0.0.1:{server.port}"
    server.close()


@pytest.fixture
def store(endpoint):
    store = ObjectStore(Settings(s3_endpoint=endpoint, s3_bucket="archive"))
    store.create_bucket()
    yield store
    with ThreadPoolExecutor(16) as several:
        list(several.map(store.delete, [entry.key for entry in store.list()]))


def test_what_is_put_is_got_listed_and_deleted(store):
    store.put("day=2026-01-01/a.parquet", b"one")
    store.put("day=2026-01-02/b.parquet", b"three")
    assert store.get("day=2026-01-01/a.parquet") == b"one"
    assert store.size("day=2026-01-02/b.parquet") == 5
    assert list(store.list("day=2026-01-02")) == [StoredObject("day=2026-01-02/b.parquet", 5)]
    store.delete("day=2026-01-01/a.parquet")
    assert [entry.key for entry in store.list()] == ["day=2026-01-02/b.parquet"]


def test_a_put_replaces(store):
    store.put("key", b"before")
    store.put("key", b"after")
    assert store.get("key") == b"after"


def test_what_is_missing_is_not_found(store):
    for ask in (store.get, store.size):
        with pytest.raises(NotFound):
            ask("no/such/key")
    store.delete("no/such/key")


def test_more_objects_than_a_page_are_all_listed(store):
    with ThreadPoolExecutor(16) as several:
        list(several.map(lambda n: store.put(f"many/{n:04}", b""), range(1005)))
    assert sum(1 for _ in store.list("many/")) == 1005


def test_creating_a_bucket_twice_is_no_error(store):
    store.create_bucket()


def test_a_missing_bucket_and_a_dead_server_are_told_apart(endpoint):
    with pytest.raises((NotFound, ObjectStoreUnavailable), match="no-such-bucket"):
        ObjectStore(Settings(s3_endpoint=endpoint, s3_bucket="no-such-bucket")).put("key", b"")
    dead = ObjectStore(Settings(s3_endpoint=f"http://127.0.0.1:{free_port()}", s3_bucket="archive"))
    with pytest.raises(ObjectStoreUnavailable, match="did not answer"):
        dead.put("key", b"")


def test_put_new_writes_where_there_is_nothing(store):
    assert store.put_new("manifest/a", b"1")
    assert not store.put_new("manifest/a", b"2")
    assert store.get("manifest/a") == b"1"
