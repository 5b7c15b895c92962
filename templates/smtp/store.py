"""The mails that were caught, in the service's volume.

A mail is two files, `<number>.eml` as it was received and `<number>.json`, its envelope. The
envelope is written last and makes the mail exist; numbers are never given twice. The server
and the commands beside it see each other's work through these files alone.
"""

import errno
import json
import os
import shutil

ROOT = "/var/lib/smtp"
MAILS = os.path.join(ROOT, "mails")
COUNTER = os.path.join(ROOT, "last-number")
ALLOWED = os.path.join(ROOT, "relay-allowed")
# Of this container, not of the volume: as the build file has them.
SETTINGS = "/tmp/relay.json"


def write(path, content):
    """Whole or not at all, and on the disk before it counts."""
    draft = f"{path}.{os.getpid()}.draft"
    with open(draft, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _path(number, suffix):
    return os.path.join(MAILS, f"{number}.{suffix}")


def numbers():
    """Of all mails, the oldest first."""
    try:
        names = os.listdir(MAILS)
    except FileNotFoundError:
        return []
    stems = (os.path.splitext(name) for name in names)
    return sorted(int(stem) for stem, suffix in stems if suffix == ".json" and stem.isdigit())


def _last():
    try:
        with open(COUNTER) as file:
            return int(file.read())
    except (FileNotFoundError, ValueError):
        return 0


def add(content, envelope):
    """Keeps a mail; its number. Only the server adds, one mail at a time."""
    os.makedirs(MAILS, exist_ok=True)
    number = max([_last(), *numbers()]) + 1
    write(_path(number, "eml"), content)
    write(_path(number, "json"), json.dumps(envelope).encode())
    return number


def content(number):
    with open(_path(number, "eml"), "rb") as file:
        return file.read()


def size(number):
    return os.path.getsize(_path(number, "eml"))


def envelope(number):
    with open(_path(number, "json")) as file:
        return json.load(file)


def update(number, changes):
    """Changes an envelope, unless the mail was removed meanwhile."""
    try:
        known = envelope(number)
    except FileNotFoundError:
        return
    write(_path(number, "json"), json.dumps({**known, **changes}).encode())


def clear():
    """Removes all mails; how many."""
    present = numbers()
    if present:
        write(COUNTER, str(max(_last(), *present)).encode())
    for number in present:
        for suffix in ("json", "eml"):
            try:
                os.remove(_path(number, suffix))
            except FileNotFoundError:
                pass
    return len(present)


def replace(folder):
    """Puts a folder of mails in the place of all there are."""
    write(COUNTER, str(max([_last(), *numbers()])).encode())
    old = f"{MAILS}.old"
    while True:
        shutil.rmtree(old, ignore_errors=True)
        if os.path.isdir(MAILS):
            os.rename(MAILS, old)
        try:
            os.rename(folder, MAILS)
            break
        except OSError as error:
            # A mail came in between: it is one of those to be replaced.
            if error.errno != errno.ENOTEMPTY:
                raise
    shutil.rmtree(old, ignore_errors=True)


def settings():
    """Of the relay; without a server there is none."""
    try:
        with open(SETTINGS) as file:
            return json.load(file)
    except FileNotFoundError:
        return {"server": "", "port": 25, "username": "", "password": ""}


def relay_allowed():
    return bool(settings()["server"]) and os.path.exists(ALLOWED)
