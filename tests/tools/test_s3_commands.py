"""buckets, upload and download, as a user runs them, against moto's S3 and the SeaweedFS that `make run` embeds."""

import json
import os
import re

import boto3
import pytest
from click.testing import CliRunner

from tests.end_to_end.world import KEY, SECRET, SeaweedFS
from tests.ports import free_port
from tests.servers import MotoS3, create_bucket
from tools.commands import tools
from tools.s3 import upload as uploads
from tools.s3.place import Place

MIB = 1024 * 1024


@pytest.fixture(scope="module", params=[MotoS3, SeaweedFS])
def endpoint(request, tmp_path_factory):
    server = request.param(tmp_path_factory.mktemp("s3"))
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        url = f"http://127.0.0.1:{server.port}"
        create_bucket(url, "lab")
        yield url
    server.close()


@pytest.fixture
def client(endpoint):
    client = boto3.Session().client("s3", endpoint_url=endpoint, region_name="us-east-1")
    yield client
    client.close()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "thesis.csv"
    path.write_bytes(os.urandom(1000) * 20_000)  # three parts of at most 8 MiB
    return path


@pytest.fixture
def command(endpoint):
    def run(*words, at=endpoint, code=0):
        done = CliRunner().invoke(tools, [*map(str, words), "--endpoint-url", at])
        assert done.exit_code == code, done.output
        assert "Traceback" not in done.output
        assert SECRET not in done.output
        return done.output

    return run


def said(output):
    return json.loads(output.splitlines()[-1])


def key(request):
    return re.sub(r"\W+", "-", request.node.name)


def test_there_and_back(command, file, tmp_path, request):
    where = f"s3://lab/{key(request)}/"
    up = said(command("upload", file, where, "--json"))
    assert (up["place"], up["size"], up["parts"]) == (where + "thesis.csv", 20_000_000, 3)
    down = said(command("download", where + "thesis.csv", tmp_path / "back", "--json"))
    assert down["checked"] and down["sha256"] == up["sha256"]
    assert (tmp_path / "back").read_bytes() == file.read_bytes()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_an_empty_file(command, tmp_path, request):
    (tmp_path / "empty").touch()
    command("upload", tmp_path / "empty", f"s3://lab/{key(request)}")
    assert said(command("download", f"s3://lab/{key(request)}", tmp_path / "back", "--json"))["size"] == 0


def test_nothing_is_overwritten_unless_told(command, file, tmp_path, client, request):
    where = f"s3://lab/{key(request)}"
    client.put_object(Bucket="lab", Key=key(request), Body=b"precious")
    assert "--force" in command("upload", file, where, code=73)
    assert client.get_object(Bucket="lab", Key=key(request))["Body"].read() == b"precious"
    command("upload", file, where, "--force")
    assert "--force" in command("download", where, file, code=73)


def test_an_object_that_appears_meanwhile_stands(file, tmp_path, client, request):
    place = Place("lab", key(request))
    job = uploads.Upload(client, file, place, uploads.digest_of(file, int), tmp_path / "notes", force=False)
    client.put_object(Bucket="lab", Key=place.key, Body=b"precious")
    job._refuse_early = lambda: None  # it was not there yet when we looked
    with pytest.raises(uploads.AlreadyThere):
        job.run(int)
    assert client.get_object(Bucket="lab", Key=place.key)["Body"].read() == b"precious"


class Unplugged(Exception):
    pass


def test_an_interrupted_upload_goes_on_where_it_was(file, tmp_path, client, request):
    place, sha256, notes = Place("lab", key(request)), uploads.digest_of(file, int), tmp_path / "notes"
    sent = []

    def advance(more):
        sent.append(more)
        if len(sent) == 2:
            raise Unplugged

    with pytest.raises(Unplugged):
        uploads.Upload(client, file, place, sha256, notes, force=False).run(advance)
    done = uploads.Upload(client, file, place, sha256, notes, force=False).run(int)
    assert done.resumed == 2 * 8 * MIB
    assert client.get_object(Bucket="lab", Key=place.key)["Body"].read() == file.read_bytes()
    assert list(notes.iterdir()) == []


def test_a_file_that_changed_is_uploaded_anew(file, tmp_path, client, request):
    place, notes = Place("lab", key(request)), tmp_path / "notes"

    def unplug(_more):
        raise Unplugged

    with pytest.raises(Unplugged):
        uploads.Upload(client, file, place, uploads.digest_of(file, int), notes, force=False).run(unplug)
    file.write_bytes(b"X" + file.read_bytes()[1:])
    done = uploads.Upload(client, file, place, uploads.digest_of(file, int), notes, force=False).run(int)
    assert done.resumed == 0
    assert client.get_object(Bucket="lab", Key=place.key)["Body"].read() == file.read_bytes()


def test_an_interrupted_download_goes_on_where_it_was(command, file, tmp_path, client, request):
    command("upload", file, f"s3://lab/{key(request)}")
    tag = client.head_object(Bucket="lab", Key=key(request))["ETag"].strip('"')
    (tmp_path / f".back.{tag}.part").write_bytes(file.read_bytes()[: 5 * MIB])
    done = said(command("download", f"s3://lab/{key(request)}", tmp_path / "back", "--json"))
    assert done["resumed"] == 5 * MIB
    assert (tmp_path / "back").read_bytes() == file.read_bytes()


def test_a_damaged_object_is_named_and_not_kept(command, tmp_path, client, request):
    client.put_object(Bucket="lab", Key=key(request), Body=b"altered", Metadata={"sha256": "0" * 64})
    output = command("download", f"s3://lab/{key(request)}", tmp_path / "back", code=3)
    assert "SHA-256" in output
    assert list(tmp_path.iterdir()) == []


def test_wrong_places_get_a_sentence(command, file, tmp_path):
    assert "no such bucket" in command("upload", file, "s3://no-such-bucket/x", code=66)
    assert "no such" in command("download", "s3://lab/no-such-key", tmp_path / "back", code=66)
    assert "s3://bucket/key" in command("download", "lab/x", code=78)
    assert "names a bucket, but no object" in command("download", "s3://lab", code=78)


def test_a_dead_server_and_wrong_profile_get_a_sentence(command):
    assert "did not answer" in command("buckets", at=f"http://127.0.0.1:{free_port()}", code=69)
    assert "aws configure" in command("buckets", "--profile", "nobody", code=78)


@pytest.mark.parametrize("endpoint", [SeaweedFS], indirect=True)  # moto's server takes every key
def test_wrong_keys_get_a_sentence(command, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "guessed")
    assert "the secret key is wrong" in command("buckets", code=78)


def test_buckets_are_listed_with_what_they_hold(command, client, request):
    name = f"holds-three-{key(request)[-9:]}".lower().strip("-_")
    client.create_bucket(Bucket=name)
    for number in range(3):
        client.put_object(Bucket=name, Key=f"{number}", Body=b"12345")
    found = {one["name"]: one for one in map(json.loads, command("buckets", "--json").splitlines())}
    assert (found[name]["objects"], found[name]["size"]) == (3, 15)
    assert found[name]["public"] in ("no", "unknown")
    assert name in command("buckets", "--no-count")


@pytest.mark.parametrize("endpoint", [MotoS3], indirect=True)  # SeaweedFS grants nothing to the public here
def test_a_public_bucket_is_named_so(command, client):
    client.create_bucket(Bucket="open-to-all", ACL="public-read")
    found = {one["name"]: one for one in map(json.loads, command("buckets", "--json").splitlines())}
    assert found["open-to-all"]["public"] == "yes"
    block = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
    client.put_public_access_block(Bucket="open-to-all", PublicAccessBlockConfiguration=block)
    found = {one["name"]: one for one in map(json.loads, command("buckets", "--json").splitlines())}
    assert found["open-to-all"]["public"] == "no"


def test_parts_stay_within_what_s3_takes():
    for size in (1, 8 * MIB, 80_000 * MIB, 5 * 1024**4):
        part = uploads.part_size(size)
        assert part >= 8 * MIB and -(-size // part) <= 10_000
