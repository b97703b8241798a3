"""A collector of traces for tests: takes OTLP over HTTP in its JSON form, read by the vendor's own schema.

Run by a Python that has `opentelemetry-proto`. Prints `ready` when it listens, then a line of JSON for each call: what was
shown in headers, and the resource and spans as the schema has them. What does not fit the schema to the letter is answered
400 and told. The file that is named first says which status the next calls get.

    otlp_collector.py STATUS_FILE PORT [CHAIN KEY]
"""

import base64
import http.server
import json
import pathlib
import ssl
import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

STATUS, PORT = pathlib.Path(sys.argv[1]), int(sys.argv[2])
IDS = ("traceId", "spanId", "parentSpanId")


def read(text):
    """The call as the schema has it. Bytes are in hex in OTLP, which is all that differs from the schema's own JSON."""
    document = json.loads(text)
    for resource in document["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for name in IDS:
                    if name in span:
                        span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    return json_format.ParseDict(document, ExportTraceServiceRequest())


def value(attribute):
    kind = attribute.value.WhichOneof("value")
    return getattr(attribute.value, kind)


def told(request):
    for resource in request.resource_spans:
        about = {attribute.key: value(attribute) for attribute in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                assert len(span.trace_id) == 16 and len(span.span_id) == 8, span
                yield {
                    "resource": about, "scope": scope.scope.name, "name": span.name, "kind": span.kind,
                    "trace": span.trace_id.hex(), "span": span.span_id.hex(), "parent": span.parent_span_id.hex(),
                    "start": span.start_time_unix_nano, "end": span.end_time_unix_nano, "failed": span.status.code == 2,
                    "attributes": {attribute.key: value(attribute) for attribute in span.attributes},
                }


class Collector(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"]))
        said = {"path": self.path, "headers": dict(self.headers), "text": text.decode()}
        status = int(STATUS.read_text())
        if status == 200:
            try:
                said["spans"] = list(told(read(text)))
            except Exception as error:
                said["error"], status = repr(error), 400
        print(json.dumps(said), flush=True)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer.allow_reuse_address = True
server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Collector)
if sys.argv[3:]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*sys.argv[3:])
    server.socket = tls.wrap_socket(server.socket, server_side=True)
print("ready", flush=True)
server.serve_forever()
