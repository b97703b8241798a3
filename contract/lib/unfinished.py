"""Operations as a server leaves them that wrote them down and was killed before their end: rows as the store writes
them, sealed with the servers' key, since no client can ask for one at a chosen moment.
"""

import base64
import ctypes
import ctypes.util
import hashlib
import hmac
import json
import secrets
import time
import uuid

from device import derive
from node import GROUP_KEY, SEALING_KEY

TAG, SET_TAG_LENGTH, READ_TAG = 16, 0x9, 0x10


def encrypted(key, nonce, bound, plain):
    """AES-256-GCM by OpenSSL's library, which the standard library does not show."""
    crypto = ctypes.CDLL(ctypes.util.find_library("crypto"))
    for maker in (crypto.EVP_CIPHER_CTX_new, crypto.EVP_aes_256_gcm):
        maker.restype = ctypes.c_void_p
    context, written = ctypes.c_void_p(crypto.EVP_CIPHER_CTX_new()), ctypes.c_int()
    sealed, tag = ctypes.create_string_buffer(len(plain) + TAG), ctypes.create_string_buffer(TAG)
    try:
        steps = [
            crypto.EVP_EncryptInit_ex(context, ctypes.c_void_p(crypto.EVP_aes_256_gcm()), None, key, nonce),
            crypto.EVP_EncryptUpdate(context, None, ctypes.byref(written), bound, len(bound)),
            crypto.EVP_EncryptUpdate(context, sealed, ctypes.byref(written), plain, len(plain)),
            crypto.EVP_EncryptFinal_ex(context, ctypes.byref(ctypes.create_string_buffer(TAG)), ctypes.byref(ctypes.c_int())),
            crypto.EVP_CIPHER_CTX_ctrl(context, READ_TAG, TAG, tag),
        ]
        assert steps == [1] * len(steps), steps
    finally:
        crypto.EVP_CIPHER_CTX_free(context)
    return sealed.raw[:written.value] + tag.raw


def sealed(table, keys, plain):
    """What the store writes for a secret of a row: form, name of the key, nonce, sealed bytes, tag."""
    key = base64.b64decode(SEALING_KEY)
    name = hmac.new(key, b"landfall: name of this sealing key", hashlib.sha256).digest()[:4]
    nonce = secrets.token_bytes(12)
    return b"\x01" + name + nonce + encrypted(key, nonce, "\0".join([table, *keys]).encode(), plain)


def leave(database, fleet, node, device):
    """Writes down an operation of a new device of the group as accepted, and as being worked on by `node`; gives its id."""
    row = database.sql("SELECT etag, record FROM enrollment_groups WHERE key = 'fleet'")
    etag, record = row.split("|", 1)
    key = derive(GROUP_KEY, device).rstrip("=")
    admission = {
        "group": "fleet", "kind": "symmetricKey", "device_id": device,
        "credential": {"Keys": {"primary": key, "secondary": key}},
        "terms": {**json.loads(record)["terms"], "etag": etag},
    }
    scope, operation = fleet.scope.lower(), f"5.{secrets.token_hex(8)}.{uuid.uuid4()}"
    told = {"v": 1, "id_scope": fleet.scope, "registration_id": device, "tracking_id": str(uuid.uuid4())}
    blob = sealed("operations", [scope, operation], json.dumps({"Accepted": admission}).encode())
    now = int(time.time() * 1e6)
    database.sql(
        "INSERT INTO operations (scope, id, finished, created, updated, record, sealed, node) VALUES "
        f"('{scope}', '{operation}', 0, {now}, {now}, '{json.dumps(told)}', '\\x{blob.hex()}', '{node}')")
    return operation
