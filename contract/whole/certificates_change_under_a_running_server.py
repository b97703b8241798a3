"""Certificates of `landfall serve`: chosen by what openssl can and asks for, replaced while it runs.

ECDSA and RSA side by side, two names, TLS 1.2 and 1.3; a pair replaced by a link as certbot does it, one half
written, a key that does not match, an expired one: the old stays in force and the log says so once.
"""

import os
import pathlib
import signal

from serving import Authority, Serving

work = pathlib.Path.cwd()
ca = Authority(work / "tls")
address = os.environ["BIND_ADDRESS"]
names = ["DNS:dps.landfall.test", f"IP:{address}"]
ecdsa, rsa = ca.issue("new", names), ca.issue("old", names, kind="rsa")
hub = ca.issue("hub", ["DNS:hub.landfall.test"])

with Serving(os.environ["LANDFALL"], work / "serve", address) as server:
    # As certbot publishes: the configuration names links, a renewal replaces the links.
    live = work / "live"
    live.mkdir()

    def publish(chain, key):
        for name, target in (("chain.pem", chain), ("key.pem", key)):
            (live / "next").symlink_to(target)
            (live / "next").rename(live / name)

    publish(*ecdsa)
    server.configure(
        [(live / "chain.pem", live / "key.pem"), rsa, hub],
        [("factory", "dps.landfall.test", "hub.landfall.test"), ("lost", address, "lost.landfall.test")],
        more=f'ca_file = "{ca.root}"',
    ).start()

    # What the client can.
    only_rsa = ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"]
    for words, expected in (
        (["-tls1_2"], "new"),
        (["-tls1_3"], "new"),
        (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"], "new"),
        (only_rsa, "old"),
        (["-tls1_2", "-sigalgs", "RSA+SHA256"], "old"),
        (["-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256"], "old"),
        (["-tls1_3", "-sigalgs", "ecdsa_secp256r1_sha256"], "new"),
    ):
        for name in (None, "dps.landfall.test"):
            assert server.shown(*words, name=name) == expected, (words, name, server.shown(*words, name=name))
    # What it asks for; and who can check no key that carries the name gets one that it can check.
    assert server.shown(name="hub.landfall.test") == "hub"
    assert server.shown(*only_rsa, name="hub.landfall.test") == "old"

    # A name that no certificate holds is told with the remedy.
    told = [text for text in server.messages("WARN") if "'lost.landfall.test'" in text]
    assert len(told) == 1 and "https.certificates" in told[0], server.text()

    # The authority is given out, on the admin listener alone.
    status, kind, body = server.ask("/ca.pem")
    assert (status, kind) == (200, "application/x-pem-file"), (status, kind)
    assert body.split() == ca.root.read_text().split()
    status, _, body = server.ask("/nothing")
    assert status == 404 and "/ca.pem" in body, body

    # A renewal is shown without a restart.
    publish(*ca.issue("renewed", names))
    server.until("the renewed certificate", lambda: server.shown() == "renewed")

    # One half of a pair, then a broken file: told once each, the old one stays.
    def errors(word):
        return [text for text in server.messages("ERROR") if word in text]

    other = ca.issue("other", names)
    (live / "key.pem").unlink()
    (live / "key.pem").symlink_to(other[1])
    server.until("the error about the key", lambda: errors("does not go with"))
    (live / "chain.pem").unlink()
    (live / "chain.pem").write_text(other[0].read_text()[:300])
    server.until("the error about the chain", lambda: errors("cannot be read"))
    server.process.send_signal(signal.SIGHUP)
    server.until("the error, when asked", lambda: len(errors("certificate cannot be read")) == 2)
    assert len(errors("does not go with")) == 1, server.text()
    assert all("stays in force" in text for text in server.messages("ERROR")), server.text()
    assert server.shown() == "renewed" and server.shown(*only_rsa) == "old"

    # SIGHUP reads at once what is whole again.
    (live / "chain.pem").write_text(other[0].read_text())
    server.process.send_signal(signal.SIGHUP)
    server.until("the other certificate", lambda: server.shown() == "other")
    server.stop()
    assert "PRIVATE KEY" not in server.text()

# What cannot be used at the start is named, with the remedy, and nothing is left running.
with Serving(os.environ["LANDFALL"], work / "refused", address) as server:
    own, key = ecdsa
    wrong_order = work / "wrong-order.pem"
    wrong_order.write_text(ca.root.read_text() + own.read_text())
    ended = ca.issue("ended", names, days=-1)
    secret = work / "a-folder-for-a-key"
    secret.mkdir()
    for pair, said in (
        ((own, rsa[1]), "does not go with"),
        ((wrong_order, key), "wrong order"),
        (ended, "expired on"),
        ((key, key), "certificate cannot be read"),
        ((own, work / "nowhere.pem"), "nowhere.pem cannot be read"),
        ((own, secret), "a-folder-for-a-key cannot be read"),
    ):
        status, text = server.configure([pair]).refused()
        assert status in (1, 2) and said in text and "fix: " in text, (status, text)
print("chosen, replaced, refused")
