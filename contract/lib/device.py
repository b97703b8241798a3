"""A device in the standard library: tokens, one HTTPS connection, register and poll.

Plain enough to be cut off anywhere: each call says what was answered, or that nothing was.
"""

import base64
import hashlib
import hmac
import http.client
import json
import ssl
import time
import urllib.parse

API = "api-version=2021-06-01"


def derive(group_key, registration_id):
    """The device key that a group's key gives."""
    digest = hmac.new(base64.b64decode(group_key), registration_id.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def token(resource, key, policy, expiry=3600):
    """A SharedAccessSignature for a resource."""
    encoded = urllib.parse.quote(resource, safe="")
    expires = str(int(time.time()) + expiry)
    digest = hmac.new(base64.b64decode(key), f"{encoded}\n{expires}".encode(), hashlib.sha256).digest()
    signature = urllib.parse.quote(base64.b64encode(digest).decode(), safe="")
    return f"SharedAccessSignature sr={encoded}&sig={signature}&se={expires}&skn={policy}"


class Answer:
    """What came back."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()
        # Messages of devices are what they are, and lines of JSON are not one document.
        is_json = response.headers.get_content_type() == "application/json"
        self.body = json.loads(self.text) if self.text and is_json else None


class Client:
    """One TLS connection to a running server's port, made anew when it was closed."""

    def __init__(self, server, host=None, certificate=None):
        self._host = host or server.dev["host"]
        self._port = server.dev["httpsPort"]
        self._tls = ssl.create_default_context(cafile=server.dev["caFile"])
        if certificate:
            self._tls.load_cert_chain(*certificate)
        self._connection = None

    def connect(self):
        """A connection that was not used yet."""
        return http.client.HTTPSConnection(self._host, self._port, context=self._tls, timeout=20)

    def call(self, method, path, body=None, authorization=None, headers=None):
        """Sends one request and reads its answer; raises OSError or HTTPException when cut off."""
        if self._connection is None:
            self._connection = self.connect()
        sent = {"Content-Type": "application/json", **(headers or {})}
        if authorization:
            sent["Authorization"] = authorization
        try:
            self._connection.request(method, path, None if body is None else json.dumps(body), sent)
            answer = Answer(self._connection.getresponse())
        except BaseException:
            self.close()
            raise
        if answer.headers.get("Connection", "").lower() == "close":
            self.close()
        return answer

    def close(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def register(self, scope, registration_id, authorization=None, payload=None):
        """The register call."""
        body = {"registrationId": registration_id}
        if payload is not None:
            body["payload"] = payload
        return self.call("PUT", f"/{scope}/registrations/{registration_id}/register?{API}", body, authorization)

    def operation(self, scope, registration_id, operation_id, authorization=None):
        """One operation status call."""
        return self.call(
            "GET", f"/{scope}/registrations/{registration_id}/operations/{operation_id}?{API}", None, authorization
        )
