"""The article's script in its Python 3 form; the four values at its foot come by argument.

    generate_sas_token.py RESOURCE_URI DEVICE_KEY EXPIRY_IN_SECONDS POLICY
"""

import sys
from base64 import b64decode, b64encode
from hashlib import sha256
from hmac import HMAC
from time import time
from urllib.parse import quote_plus, urlencode


def generate_sas_token(uri, key, policy_name, expiry=3600):
    ttl = time() + expiry
    sign_key = "%s\n%d" % ((quote_plus(uri)), int(ttl))
    signature = b64encode(HMAC(b64decode(key), sign_key.encode("utf-8"), sha256).digest())

    rawtoken = {
        "sr": uri,
        "sig": signature,
        "se": str(int(ttl)),
    }

    if policy_name is not None:
        rawtoken["skn"] = policy_name

    return "SharedAccessSignature " + urlencode(rawtoken)


uri, key, expiry, policy = sys.argv[1:5]
print(generate_sas_token(uri, key, policy, int(expiry)))
