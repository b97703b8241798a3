"""Writes down what an unmodified client and the server say to each other, one text per route.

The recorder answers on port 443 of the server's address with the server's own certificate, and
passes each request on to the port where the server really listens. A client certificate cannot be
passed on, so flows by certificate are not recorded. Secrets are blotted out before anything is
written; only the first exchange of each route and status is kept.
"""

import http.client
import http.server
import json
import re
import ssl
import threading

SECRET_MEMBERS = {"primaryKey", "secondaryKey", "certificate", "SharedAccessKey"}
# Varies from run to run and says nothing about the protocol.
UNSTABLE_HEADERS = {"date", "host", "x-ms-request-id", "request-id", "x-ms-client-request-id", "content-length", "etag"}
HOP_HEADERS = {"connection", "transfer-encoding", "content-length"}

# What a path is called, in this order; the first that fits names it.
ROUTES = [
    (r"/[^/]+/registrations/[^/]+/register", "device-register"),
    (r"/[^/]+/registrations/[^/]+/operations/[^/]+", "device-operation-status"),
    (r"/enrollments/?", "enrollments-bulk"),
    (r"/enrollments/query", "enrollments-query"),
    (r"/enrollments/[^/]+/attestationmechanism", "enrollment-attestation-mechanism"),
    (r"/enrollments/[^/]+", "enrollment"),
    (r"/enrollmentgroups/?", "enrollment-groups-bulk"),
    (r"/enrollmentgroups/query", "enrollment-groups-query"),
    (r"/enrollmentgroups/[^/]+/attestationmechanism", "enrollment-group-attestation-mechanism"),
    (r"/enrollmentgroups/[^/]+", "enrollment-group"),
    (r"/registrations/[^/]+/query", "registrations-query"),
    (r"/registrations/[^/]+", "registration"),
    (r"/devices/query", "hub-query"),
    (r"/devices/[^/]+/modules/[^/]+", "hub-module"),
    (r"/devices/[^/]+/modules", "hub-modules"),
    (r"/devices/?", "hub-devices"),
    (r"/devices/[^/]+", "hub-device"),
    (r"/statistics/devices", "hub-statistics-devices"),
    (r"/statistics/service", "hub-statistics-service"),
    (r"/twins/[^/]+/modules/[^/]+", "hub-module-twin"),
    (r"/twins/[^/]+", "hub-twin"),
]


def route_of(path):
    """The name of a request's route."""
    plain = path.split("?")[0].lower()
    return next((name for pattern, name in ROUTES if re.fullmatch(pattern, plain)), "other")


def blotted(value):
    """A JSON value without its secrets."""
    if isinstance(value, dict):
        return {
            name: "(blotted)" if name in SECRET_MEMBERS and isinstance(member, str) and member else blotted(member)
            for name, member in value.items()
        }
    if isinstance(value, list):
        return [blotted(member) for member in value]
    return value


def text_of(first_line, headers, body):
    """One message as text."""
    lines = [first_line]
    for name, value in headers:
        if name.lower() in UNSTABLE_HEADERS:
            value = "(varies)"
        if name.lower() == "authorization":
            value = re.sub(r"sig=[^&]*", "sig=(blotted)", value)
        if name.lower() == "user-agent":
            value = re.sub(r"\([^)]*\)", "(its machine)", value)
        lines.append(f"{name}: {value}")
    lines.append("")
    if body:
        try:
            lines.append(json.dumps(blotted(json.loads(body)), indent=1, ensure_ascii=True))
        except ValueError:
            lines.append("(no JSON)")
    return "\n".join(lines).rstrip() + "\n"


class Recorder:
    """Stands before a server whose official port it takes."""

    def __init__(self, server, client, folder):
        self._server = server
        self._folder = folder / client
        self._written = set()
        self._lock = threading.Lock()
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                length = int(self.headers.get("Content-Length") or 0)
                recorder.pass_on(self, self.rfile.read(length))

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = handle_any

            def log_message(self, *_):
                """Says nothing."""

        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(server.data / "server.pem", server.data / "server-key.pem")
        self._listener = http.server.ThreadingHTTPServer((server.address, 443), Handler)
        self._listener.daemon_threads = True
        self._listener.socket = tls.wrap_socket(self._listener.socket, server_side=True)
        self._onward = ssl.create_default_context(cafile=server.dev["caFile"])

    def __enter__(self):
        threading.Thread(target=self._listener.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown()
        self._listener.server_close()

    def pass_on(self, handler, body):
        """Asks the server, answers the client, writes both down."""
        headers = {name: value for name, value in handler.headers.items() if name.lower() not in HOP_HEADERS}
        connection = http.client.HTTPSConnection(
            self._server.address, self._server.dev["httpsPort"], context=self._onward, timeout=30)
        connection.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()

        handler.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_HEADERS:
                handler.send_header(name, value)
        if answer.status != 204:
            handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)
        self._write(handler, body, answer, content)

    def _write(self, handler, body, answer, content):
        name = f"{handler.command}-{route_of(handler.path)}-{answer.status}"
        with self._lock:
            if name in self._written:
                return
            self._written.add(name)
            self._folder.mkdir(parents=True, exist_ok=True)
            target = self._folder / f"{name}.txt"
            if target.exists():
                return
            target.write_text(
                text_of(f"{handler.command} {handler.path} HTTP/1.1", handler.headers.items(), body)
                + "\n"
                + text_of(f"HTTP/1.1 {answer.status} {answer.reason}", answer.getheaders(), content)
            )
