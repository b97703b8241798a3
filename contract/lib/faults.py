"""A proxy that misbehaves in front of a real server: some requests it answers 429, some it cuts off.

It stands on a port of its own with the server's own certificate and passes everything else on. What it
did is counted, so that a test can tell that it did something.
"""

import collections
import http.client
import http.server
import socket
import ssl
import threading


class Faults:
    """Stands before `server`. Of all requests, counted from 1, every `throttled`th is answered 429; every
    `lost`th is carried out and its answer dropped; every `cut`th is dropped before it is carried out. Pages
    of lists hold at most `page` items, whatever was asked for. Routes that are not of the public API are not
    there, unless `own` says so."""

    def __init__(self, server, throttled=0, lost=0, cut=0, page=1000, retry_after="1", own=False):
        self.done = collections.Counter()
        self._lock = threading.Lock()
        faults = self

        class Requests(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            onward = None

            def any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.path.startswith("/landfall/") and not own:
                    return self.answer(404, [], b'{"errorCode":404000,"message":"Not found."}')
                with faults._lock:
                    faults.done["requests"] += 1
                    number = faults.done["requests"]
                    fault = next(
                        (
                            name
                            for name, every in (("throttled", throttled), ("lost", lost), ("cut", cut))
                            if every and number % every == 0
                        ),
                        "passed",
                    )
                    faults.done[fault] += 1
                if fault == "cut":
                    return self.hang_up()
                if fault == "throttled":
                    return self.answer(429, [("Retry-After", retry_after)], b'{"errorCode":429001,"message":"Slow down."}')
                status, headers, answer = self.carry_out(body)
                if fault == "lost":
                    return self.hang_up()
                return self.answer(status, headers, answer)

            do_GET = do_PUT = do_POST = do_DELETE = any

            def carry_out(self, body):
                if self.onward is None:
                    self.onward = http.client.HTTPSConnection(
                        server.dev["host"], server.dev["httpsPort"], context=faults._onward, timeout=30
                    )
                headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
                for name in headers:
                    if name.lower() == "x-ms-max-item-count":
                        headers[name] = str(min(page, int(headers[name])))
                self.onward.request(self.command, self.path, body, headers)
                response = self.onward.getresponse()
                hop = {"connection", "transfer-encoding", "content-length"}
                headers = [(name, value) for name, value in response.getheaders() if name.lower() not in hop]
                return response.status, headers, response.read()

            def answer(self, status, headers, body):
                self.send_response_only(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def hang_up(self):
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

            def log_message(self, *_):
                """Says nothing."""

        class Listener(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                """A client that is killed leaves its connection."""

        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(server.data / "server.pem", server.data / "server-key.pem")
        self._onward = ssl.create_default_context(cafile=server.dev["caFile"])
        self._listener = Listener((server.address, 0), Requests)
        self._listener.socket = tls.wrap_socket(self._listener.socket, server_side=True)
        parts = server.connection_string("serviceConnectionString")
        host = parts["HostName"].split(":")[0]
        self.connection_string = (
            f"HostName={host}:{self._listener.server_address[1]};"
            f"SharedAccessKeyName={parts['SharedAccessKeyName']};SharedAccessKey={parts['SharedAccessKey']}"
        )

    def __enter__(self):
        threading.Thread(target=self._listener.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown()
        self._listener.server_close()
