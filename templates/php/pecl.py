"""`requirements` of a php service: PECL's extensions and PEAR's packages, in ~/pear.

Installed only when the list has changed, so that a push of code alone needs neither network nor
time. What the image has already is taken as it is.
"""
import hashlib
import pathlib
import re
import shutil
import subprocess
import sys

HOME = pathlib.Path.home()
OURS = HOME / ".dotcloud"
PEAR = HOME / "pear"
SETTINGS = HOME / ".pearrc"
EXT = PEAR / "ext"
INI = OURS / "pecl.ini"
STAMP = OURS / "requirements"
# Package -> the extension it holds, or the one that took its place.
EXTENSIONS = {"apc": "apcu", "zendopcache": "zend opcache"}
PACKAGE = re.compile(r"(?:channel://)?(?:(?P<channel>[\w-]+(?:\.[\w-]+)+)/)?(?P<name>\w+)(?:-(?P<version>\d[\w.]*))?")


def php(code):
    # What PHP has to say of the service's php.ini, `build` has passed on; it is no answer.
    command = ["php", "-d", "display_errors=stderr", "-d", "display_startup_errors=Off", "-r", code]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout


def version_of_php():
    return php("echo PHP_MAJOR_VERSION, '.', PHP_MINOR_VERSION;")


def loaded():
    """Extension -> its version."""
    lines = php("foreach (array_merge(get_loaded_extensions(), get_loaded_extensions(true)) as $name) "
                "echo strtolower($name), \"\\t\", phpversion($name), \"\\n\";").splitlines()
    return dict(line.split("\t") for line in lines)


def install(requirements):
    wanted = fingerprint(requirements)
    if STAMP.exists() and STAMP.read_text() == wanted:
        if requirements:
            print("Requirements are unchanged.", flush=True)
        return
    forget()
    missing = [name for name in requirements if not in_the_image(name)]
    if missing:
        install_missing(missing)
    STAMP.write_text(wanted)


def fingerprint(requirements):
    """Of the names, and of the files that are in the approot."""
    seen = hashlib.sha256("\0".join([version_of_php(), *requirements]).encode())
    for path in (HOME / "current" / requirement for requirement in requirements):
        seen.update(path.read_bytes() if path.is_file() else b"")
    return seen.hexdigest()


def forget():
    """What is no longer required disappears."""
    for path in (STAMP, INI, SETTINGS):
        path.unlink(missing_ok=True)
    shutil.rmtree(PEAR, ignore_errors=True)


def in_the_image(requirement):
    match = PACKAGE.fullmatch(requirement)
    if not match or match["channel"] not in (None, "pecl.php.net"):
        return False
    name = match["name"].lower()
    extension = EXTENSIONS.get(name, name)
    version = loaded().get(extension)
    if version is None:
        return False
    print(f"{requirement} is there already: {extension} {version}", flush=True)
    return True


def install_missing(requirements):
    # It prints all of its settings.
    subprocess.run(["pear", "config-create", HOME, SETTINGS], stdout=subprocess.DEVNULL, check=True)
    for requirement in requirements:
        match = PACKAGE.fullmatch(requirement)
        channel = match["channel"] if match else None
        if channel not in (None, "pecl.php.net", "pear.php.net"):
            run("pear", "-c", SETTINGS, "channel-discover", channel)
        # Without a channel, pecl looks among extensions and pear among packages.
        tools = ("pear",) if channel and channel != "pecl.php.net" else ("pecl", "pear")
        if not any(run(tool, "-c", SETTINGS, "install", requirement) for tool in tools):
            refuse(requirement, tools)
    collect()
    enable()


def run(*command):
    # Questions about options of an extension: an empty line takes what is proposed.
    answers = "\n" * 50
    return subprocess.run(command, input=answers, text=True, cwd=HOME / "current").returncode == 0


def refuse(requirement, tools):
    print(f"cannot install the requirement {requirement!r} with {' or '.join(tools)}: the reason is above. "
          "Check its name; where its server cannot be reached, put its .tgz into the approot and require "
          "./<name>.tgz, or take it out of `requirements`", flush=True)
    sys.exit(1)


def collect():
    """pecl installs where PHP's own extensions are; only the home outlives the build."""
    shared = pathlib.Path(php("echo ini_get('extension_dir');"))
    EXT.mkdir(parents=True, exist_ok=True)
    for library in shared.glob("*.so"):
        if library.owner() == HOME.owner():
            shutil.move(library, EXT / library.name)
    for left in ("temp", "cache", "download"):
        shutil.rmtree(PEAR / left, ignore_errors=True)


def enable():
    """PHP loads what was installed; it is read after the platform's settings."""
    lines = [f"include_path = .:{PEAR / 'php'}:/usr/share/php"]
    for library in sorted(EXT.glob("*.so")):
        # Debuggers and the like hook into the engine itself and export this symbol.
        kind = "zend_extension" if b"zend_extension_entry" in library.read_bytes() else "extension"
        lines.append(f"{kind} = {library}")
    INI.write_text("\n".join(lines) + "\n")
