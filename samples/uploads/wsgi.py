"""Takes files and says who has them: the same three requests for three folders."""
import html
import json
import os
import pathlib
import re
import tempfile

HOME = pathlib.Path.home()
PLACES = {"shared": HOME / "store", "data": HOME / "data", "own": HOME / "own"}
INSTANCE = "%s.%s" % (os.environ["DOTCLOUD_SERVICE_NAME"], os.environ["DOTCLOUD_SERVICE_ID"])
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
PAGE = (pathlib.Path(__file__).parent / "page.html").read_text()


def listed(place):
    """Files with the instance that wrote each: a folder per instance."""
    return [{"file": path.name, "written_by": path.parent.name} for path in sorted(PLACES[place].glob("*/[!.]*"))]


def save(place, name, environ):
    """A whole file or none: readers on other instances never see a part of one."""
    folder = PLACES[place] / INSTANCE
    folder.mkdir(parents=True, exist_ok=True)
    size = int(environ.get("CONTENT_LENGTH") or 0)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".", delete=False) as file:
        file.write(environ["wsgi.input"].read(size))
    if os.path.getsize(file.name) != size:
        os.unlink(file.name)
        return "400 Bad Request", "the upload broke off\n"
    os.replace(file.name, folder / name)
    return "201 Created", "%s wrote %s\n" % (INSTANCE, PLACES[place] / INSTANCE / name)


def page():
    def rows(place):
        files = ["<li>%s <small>by %s</small>" % (html.escape(f["file"]), f["written_by"]) for f in listed(place)]
        return "".join(files) or "<li>nothing"

    text = PAGE.replace("{{instance}}", INSTANCE)
    for place in PLACES:
        text = text.replace("{{%s}}" % place, rows(place))
    return text


def answer(environ):
    place, _, name = environ["PATH_INFO"].strip("/").partition("/")
    method = environ["REQUEST_METHOD"]
    if not place and method == "GET":
        return "200 OK", page(), "text/html; charset=utf-8"
    if place not in PLACES:
        return "404 Not Found", "there is no such folder: " + " ".join(PLACES) + "\n", "text/plain"
    if method == "GET" and not name:
        text = json.dumps({"instance": INSTANCE, "files": listed(place)}) + "\n"
        return "200 OK", text, "application/json"
    if method == "PUT" and NAME.fullmatch(name):
        return *save(place, name, environ), "text/plain"
    return "400 Bad Request", "PUT /%s/<name of letters, digits, . _ and ->\n" % place, "text/plain"


def application(environ, start_response):
    status, text, kind = answer(environ)
    start_response(status, [("Content-Type", kind), ("X-Content-Type-Options", "nosniff")])
    return [text.encode()]
