"""Who may ask Prometheus and Alertmanager: whoever has the monitoring's key. Both take it by HTTP's basic
authentication alone, the older one (2.42 and 0.25 of Debian 12) by a file that holds its bcrypt hash."""

from __future__ import annotations

import base64
import hashlib
import hmac

import bcrypt
import yaml

from strict.names import MONITORING_USER

WEB_SECRET = "monitoring-web.yml"
"""Secret: what `--web.config.file` names."""
_COST = 4
"""The least there is: the key is 256 random bits, which no dictionary has."""
_STANDARD = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_OF_BCRYPT = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def monitoring_key(master: str) -> str:
    """The key, drawn from another of the same gateway's, so that a stack of an older version has it too. 64 characters:
    bcrypt takes 72."""
    return hmac.new(master.encode(), b"crossover monitoring", hashlib.sha256).hexdigest()


def web_configuration(key: str) -> str:
    """The content of WEB_SECRET. Equal keys make equal texts: a salt drawn anew would be a change at every `up`."""
    drawn = hmac.new(key.encode(), b"salt", hashlib.sha256).digest()[:16]
    salt = base64.b64encode(drawn).rstrip(b"=").translate(bytes.maketrans(_STANDARD, _OF_BCRYPT))
    hashed = bcrypt.hashpw(key.encode(), b"$2b$%02d$%s" % (_COST, salt)).decode()
    return yaml.safe_dump({"basic_auth_users": {MONITORING_USER: hashed}})
