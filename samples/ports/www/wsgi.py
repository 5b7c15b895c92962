import os


def application(environ, start_response):
    """The type's own port: every web service has it, without asking."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"own www.{os.environ['DOTCLOUD_SERVICE_ID']}\n".encode()]
