"""Which Node.js a service runs on: Debian's, or one of npm's registry in ~/node; and npm for it."""
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys

HOME = pathlib.Path.home()
DEBIANS = "/usr/bin/node"
# Older ones were never packaged for npm.
OLDEST = (0, 8)
# npm runs on these; for older ones Debian's runs it.
NPM_NEEDS = (18, 17)


def fail(message):
    print(message, flush=True)
    sys.exit(1)


def version_of(node):
    text = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])


def dotted(version):
    return ".".join(map(str, version))


class Node:
    """Which Node.js the service runs on, and npm for it."""

    def __init__(self, wanted):
        self.own = HOME / "node/bin/node"
        self.stamp = HOME / ".dotcloud/node"
        self.debians = version_of(DEBIANS)
        prefix = self.numbers(wanted)
        if prefix is None or self.debians[:len(prefix)] == prefix:
            self.drop()
        elif not (self.own.exists() and self.stamp.exists() and self.stamp.read_text() == dotted(prefix)):
            self.fetch(wanted, prefix)
        self.version = version_of(self.own) if self.own.exists() else self.debians

    def numbers(self, wanted):
        """`v0.8.x` -> (0, 8); None when Debian's is meant."""
        text = str(wanted).strip().lstrip("v")
        if not text:
            return None
        if not re.fullmatch(r"\d+(\.(\d+|[xX*]))*", text):
            print(f"Warning: node_version {wanted} is not a version; using Node.js {dotted(self.debians)}")
            return None
        prefix = tuple(int(part) for part in text.split(".") if part.isdigit())[:3]
        if len(prefix) > 1 and prefix < OLDEST:
            print(f"Warning: node_version {wanted} is not available; using {dotted(OLDEST)}.x")
            return OLDEST
        return prefix

    def drop(self):
        shutil.rmtree(HOME / "node", ignore_errors=True)
        self.stamp.unlink(missing_ok=True)

    def fetch(self, wanted, prefix):
        """Genuine builds are packages of npm's registry, named after the machine."""
        self.drop()
        machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        package = f"node-linux-{machine}"
        print(f"Fetching Node.js {dotted(prefix)}...", flush=True)
        fetched = npm([DEBIANS], ["install", "--prefix", "/tmp/node", f"{package}@{dotted(prefix)}"], "/tmp", capture=True)
        if fetched.returncode == 0:
            self.own.parent.mkdir(parents=True)
            # Some releases have a folder of their own within the package.
            shutil.move(next(pathlib.Path("/tmp/node/node_modules", package).rglob("bin/node")), self.own)
            self.stamp.write_text(dotted(prefix))
        elif re.search(r"\b(ETARGET|E404)\b", fetched.stdout):
            print(f"Warning: node_version {wanted} is not available; using Node.js {dotted(self.debians)}")
        else:
            fail(f"{fetched.stdout}\nNode.js {dotted(prefix)} could not be fetched from npm's registry; "
                 "push again, or leave node_version out")

    def runner(self):
        return [self.own] if self.own.exists() and self.version >= NPM_NEEDS else [DEBIANS]


def npm(runner, arguments, folder, capture=False):
    options = ["--no-audit", "--no-fund", "--no-update-notifier", "--no-progress", "--omit=dev", "--no-package-lock"]
    # Nothing of npm's own belongs into the home, which becomes the image.
    environment = {**os.environ, "npm_config_cache": "/tmp/npm", "npm_config_devdir": "/tmp/node-gyp"}
    environment["PATH"] = f"{os.path.dirname(runner[0])}:{environment['PATH']}"
    if runner == [DEBIANS]:
        # Its headers are in the image.
        environment["npm_config_nodedir"] = "/usr"
    command = [*runner, "/usr/local/bin/npm", *options, *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} if capture else {}
    return subprocess.run(command, cwd=folder, env=environment, text=True, errors="replace", **pipes)
