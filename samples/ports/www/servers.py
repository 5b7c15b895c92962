"""Three servers on the ports that the platform chose: PORT_WWW2, PORT_ECHO, PORT_PEEK."""
import http.server
import os
import socketserver
import threading

ME = f"www.{os.environ['DOTCLOUD_SERVICE_ID']}"


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = f"second {ME}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_GET


class Echo(socketserver.StreamRequestHandler):
    """Every line comes back, behind the instance's name, for as long as the client stays."""

    def handle(self):
        for line in self.rfile:
            self.wfile.write(f"{ME} ".encode() + line)


class Peek(socketserver.BaseRequestHandler):
    """A datagram for a datagram."""

    def handle(self):
        datagram, socket = self.request
        socket.sendto(f"{ME} ".encode() + datagram, self.client_address)


class EchoServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class PeekServer(socketserver.UDPServer):
    max_packet_size = 65_536


def bound(variable, server, handler):
    return server(("", int(os.environ[variable])), handler)


SERVERS = [
    bound("PORT_ECHO", EchoServer, Echo),
    bound("PORT_PEEK", PeekServer, Peek),
    # Last: an instance gets its first request once its HTTP ports answer.
    bound("PORT_WWW2", http.server.ThreadingHTTPServer, Page),
]
THREADS = [threading.Thread(target=server.serve_forever) for server in SERVERS]
for thread in THREADS:
    thread.start()
