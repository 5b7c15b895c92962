"""Asks every address of www that the environment names; prints one line for each."""
import os
import socket
import urllib.parse
import urllib.request


def tcp(url):
    with socket.create_connection((url.hostname, url.port), 10) as stream:
        stream.sendall(b"hello\n")
        return stream.makefile().readline()


def udp(url):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.sendto(b"hello", (url.hostname, url.port))
        return client.recv(1000).decode()


def http(url):
    return urllib.request.urlopen(url.geturl(), timeout=10).read().decode()


ASK = {"http": http, "tcp": tcp, "udp": udp}
for name, value in sorted(os.environ.items()):
    if name.startswith("DOTCLOUD_WWW_") and "_URL" in name:
        url = urllib.parse.urlsplit(value)
        print(name, ASK[url.scheme](url).strip())
