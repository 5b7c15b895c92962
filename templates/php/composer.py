"""Composer's packages of a php service, in vendor/ of the approot.

vendor/ that was pushed is used as it is. Otherwise Composer runs when composer.json or
composer.lock has changed; a copy in ~/.dotcloud serves the pushes in between.
"""
import hashlib
import pathlib
import shutil
import subprocess
import sys

OURS = pathlib.Path.home() / ".dotcloud"
KEPT = OURS / "vendor"
STAMP = OURS / "composer"


def install(approot):
    files = [approot / name for name in ("composer.json", "composer.lock") if (approot / name).is_file()]
    vendor = approot / "vendor"
    if approot / "composer.json" not in files:
        return
    if vendor.is_dir():
        print("vendor/ was pushed; Composer does not run.", flush=True)
        return
    wanted = hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()
    if KEPT.is_dir() and STAMP.exists() and STAMP.read_text() == wanted:
        shutil.copytree(KEPT, vendor, symlinks=True)
        print("Composer's packages are unchanged.", flush=True)
        # The map of classes names the service's own as well, and those may have changed.
        run(approot, "dump-autoload", "--optimize")
        return
    run(approot, "install", "--no-progress", "--optimize-autoloader")
    keep(vendor, wanted)


def run(approot, verb, *options):
    code = subprocess.run(["composer", verb, "--no-dev", "--no-interaction", *options], cwd=approot).returncode
    if code != 0:
        print(f"composer {verb} failed with exit code {code}: the reason is above. Where Packagist cannot be "
              "reached, push vendor/ along: then Composer does not run", flush=True)
        sys.exit(1)


def keep(vendor, wanted):
    STAMP.unlink(missing_ok=True)
    shutil.rmtree(KEPT, ignore_errors=True)
    # A vendor-dir of another name is installed at every push.
    if vendor.is_dir():
        shutil.copytree(vendor, KEPT, symlinks=True)
        STAMP.write_text(wanted)
