"""python -m tools lambda-zip: the compactor as a zip for AWS Lambda, the same bytes from the same inputs."""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import click

# Lambda's own, of all that is unpacked.
MOST = 262_144_000
PLATFORMS = {"arm64": "aarch64", "x86_64": "x86_64"}
# Of pyarrow: what speaks to other servers, and what only compilers read. Of all: what pip notes about this machine.
LEFT_OUT = (
    "pyarrow/libarrow_flight*", "pyarrow/libarrow_python_flight*", "pyarrow/_flight*",
    "pyarrow/libarrow_s3.*", "pyarrow/_s3fs*", "pyarrow/include/*", "pyarrow/tests/*", "pyarrow/src/*",
    "bin/*", "*.dist-info/RECORD", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED", "*.pxd", "*.pyx", "*.pyi", "*.pyc",
)  # fmt: skip
# Of the backend: what the compactor never imports.
NOT_OURS = ("web", "run", "api", "gateway", "alerts", "notify", "accounts")
DATE = (1980, 1, 1, 0, 0, 0)


@click.command("lambda-zip")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=Path("var/build/compactor.zip"),
              show_default=True, help="The zip.")  # fmt: skip
@click.option("--authorities", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=None,
              help="Amazon's authorities, global-bundle.pem: for PostgreSQL on RDS.")  # fmt: skip
@click.option("--python", "version", type=click.Choice(["3.11", "3.13"]), default="3.13", show_default=True,
              help="Python of the function.")  # fmt: skip
@click.option("--architecture", type=click.Choice(sorted(PLATFORMS)), default="arm64", show_default=True,
              help="Its processor.")  # fmt: skip
def lambda_zip(out: Path, authorities: Path | None, version: str, architecture: str) -> None:
    """Make the compactor's zip for AWS Lambda.

    The packages are those of backend/deploy/lambda.txt, by hash; what the compactor does not use of them is left out,
    because Lambda takes 250 MB unpacked. The template takes the zip from S3:

    \b
    curl -O https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem
    python -m tools lambda-zip --authorities global-bundle.pem
    python -m tools upload var/build/compactor.zip s3://YOUR-BUCKET/compactor-1.zip
    """
    from backend.run.layout import ROOT

    with tempfile.TemporaryDirectory() as folder:
        install(Path(folder), ROOT / "backend" / "deploy" / "lambda.txt", version, architecture)
        contents = dict(sorted([*packages(Path(folder)), *ours(ROOT)]))
        if authorities:
            contents["rds.pem"] = authorities
        size = sum(path.stat().st_size for path in contents.values())
        if size > MOST:
            raise click.ClickException(f"Unpacked it has {size:,} bytes; Lambda takes {MOST:,}.")
        out.parent.mkdir(parents=True, exist_ok=True)
        write(out, contents)
    sha256 = hashlib.sha256(out.read_bytes()).hexdigest()
    click.echo(f"{out}: {out.stat().st_size:,} bytes, unpacked {size:,}, SHA-256 {sha256}")
    if not authorities:
        click.echo("Without --authorities it cannot check the certificate of PostgreSQL on RDS: for S3 alone.")


def install(folder: Path, requirements: Path, version: str, architecture: str) -> None:
    """The packages for that Python and processor, whatever this machine has. Raises ClickException."""
    platforms = [f"--platform={kind}_{PLATFORMS[architecture]}" for kind in ("manylinux_2_28", "manylinux2014")]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary=:all:", "--no-compile", "--implementation=cp", *platforms]
    command += [f"--python-version={version}", f"--target={folder}", f"--requirement={requirements}"]
    if subprocess.run(command, check=False).returncode != 0:
        raise click.ClickException("pip could not get the packages; its own words stand above.")


def packages(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        if path.is_file() and not any(inside.match(pattern) or _within(inside, pattern) for pattern in LEFT_OUT):
            yield inside.as_posix(), path


def ours(root: Path) -> Iterator[tuple[str, Path]]:
    for path in (root / "backend").rglob("*.py"):
        inside = path.relative_to(root)
        if inside.parts[1] not in NOT_OURS:
            yield inside.as_posix(), path


def _within(inside: Path, pattern: str) -> bool:
    return pattern.endswith("/*") and inside.as_posix().startswith(pattern[:-1])


def write(out: Path, contents: dict[str, Path]) -> None:
    """Names in order, and neither times nor owners: equal contents give equal bytes."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, path in contents.items():
            entry = zipfile.ZipInfo(name, DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, path.read_bytes())
