"""A bucket on moto's S3, in this process: for what does not depend on the server."""

import uuid

import pytest
from moto import mock_aws

from backend.objects import ObjectStore
from backend.settings import Settings


@pytest.fixture(scope="module")
def s3():
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        yield


@pytest.fixture
def store(s3):
    store = ObjectStore(Settings(s3_bucket=f"archive-{uuid.uuid4().hex}"))
    store.create_bucket()
    return store
