#!/usr/bin/python3
"""Started sealed, opened by custodians or systemd; keys backed up and restored as docs/operations.md says; memory."""
import os
import re
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request

import dimse
import fanal as f
from keys_common import Terminal, combine, memory_of, run, shares_in, store, type_share, without_secret, write

ORU = (b"MSH|^~\\&|LIS|LAB|FANAL|ER|20261128120000||ORU^R01|1|P|2.5\r"
       b"PID|1||PID9^^^HOSPITAL||DOE^JOHN\rOBR|1||1|GLU^Glucose^L\rOBX|1|NM|GLU^Glucose^L||5.1|mmol/L|||||F\r")


def start(server, env=None, until="sealed", seconds=40):
    """serve, until it says so on standard output."""
    server.out = open(server.log, "ab")
    at = os.path.getsize(server.log)
    server.process = subprocess.Popen([f.binary(), "serve", server.dir], env=env or without_secret(server), stdin=subprocess.DEVNULL,
                                      stdout=server.out, stderr=server.out, start_new_session=True)

    def said():
        if server.process.poll() is not None:
            raise RuntimeError("serve ended: " + server.log_text()[-2000:])
        return re.search(rf"^{until}$", server.log_text()[at:], re.M)
    return f.wait_for(said, seconds) is not None


def page(server):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(f"https://127.0.0.1:{server.https}/", context=context, timeout=20) as r:
            return r.status, r.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()
    except (urllib.error.URLError, OSError) as e:
        return 0, str(e)


def rejection(server):
    try:
        dimse.Association(server.dicom, [(1, dimse.VERIFICATION, [dimse.IMPLICIT_LE])]).release()
        return None
    except dimse.Refused as e:
        return e.result, e.source, e.reason
    except (OSError, EOFError) as e:
        return str(e)


def unseal(server, *argv, **env):
    return run(server, "unseal", *argv, server.dir, env=without_secret(server, **env))


def opened_by_custodians(tap, server, shares):
    server.configure(f.DEFAULT_PEERS, "[unseal]\nat_start = stay-sealed")
    tap.ok(start(server), "stay-sealed: it starts without a secret and says so")
    tap.ok(rejection(server) == (2, 3, 1), "an association is refused for now: 2/3/1", rejection(server))
    try:
        answer = f.mllp_send(server.hl7, [ORU])
    except OSError:
        answer = [None]
    tap.ok(answer == [None], "an HL7 connection is closed without an answer, so the message stays with its sender", answer)
    status, text = page(server)
    tap.ok(status == 503 and "scellé" in text and "sealed" in text and "0 of 2" in text, "the page says sealed, 0 of 2", text)
    tap.ok("sealed" in run(server, "status", server.dir).stdout, "status says sealed")
    done = run(server, "list", "--json", server.dir)
    tap.ok(done.returncode == 1 and "sealed" in done.stderr, "list: the vault is sealed", done.stderr)

    t = Terminal([f.binary(), "unseal", "--shares", server.dir], without_secret(server))
    type_share(t, shares[0])
    status, rest = t.end()
    tap.ok(status == 0 and "1 of 2 shares given" in rest, "the first custodian, at a terminal of his own", rest)
    tap.ok("1 of 2" in page(server)[1], "the page says 1 of 2")
    done = unseal(server, "--shares", FANAL_SHARES_FILE=write(server, "s", shares[0]))
    tap.ok(done.returncode == 1 and "given already" in done.stderr, "the same share again is refused", done.stderr)
    done = unseal(server, FANAL_PASSPHRASE_FILE=write(server, "p", "no such passphrase"))
    tap.ok(done.returncode == 1 and "1 of 2" in page(server)[1], "a wrong passphrase opens nothing, the share stays", done.stderr)
    done = unseal(server, "--shares", FANAL_SHARES_FILE=write(server, "s", shares[2]))
    tap.ok(done.returncode == 0 and "open" in done.stdout, "the second one opens it", done.stderr)
    tap.ok(f.wait_for(lambda: server.echo(), 60), "and without a restart it serves")
    tap.ok(f.wait_for(lambda: page(server)[0] == 200, 60), "the page is itself")
    tap.ok(set(store(server, 3)) == {0}, "objects are stored")
    done = unseal(server, "--shares", FANAL_SHARES_FILE=write(server, "s", shares[2]))
    tap.ok(done.returncode == 1, "once more: it is open already", done.stderr)
    vault = [pid for pid, role in server.roles().items() if role == "vault"]
    os.kill(vault[0], 9)
    tap.ok(f.wait_for(lambda: [p for p, r in server.roles().items() if r == "vault" and p not in vault] and server.echo(), 60),
           "a vault that dies is back with nobody there")
    tap.ok(len(server.list()) == 3, "with everything")
    memory(tap, server, shares)
    tap.ok(server.stop() == 0, "it stops in order")


def memory(tap, server, shares):
    """What opened it is in no process any more; the keys are in the vault's and in no other's."""
    secret = combine([shares[0], shares[2]])
    found = []
    for pid, role in server.roles().items():
        for name, needle in (("the shares' secret", secret), ("its digits", secret.hex().encode()),
                             ("a share's words", shares[2].encode()), ("its first words", shares[2][30:90].encode())):
            if needle in memory_of(pid):
                found.append((role, name))
    tap.ok(not found, "neither shares nor what they make is in any process's memory", found)
    limits = [open(f"/proc/{pid}/limits", encoding="ascii").read() for pid in server.roles()]
    tap.ok(all(re.search(r"Max core file size +0 +0 ", text) for text in limits), "no process leaves a core")


def opened_by_passphrase(tap, server):
    tap.ok(start(server), "sealed again after a stop")
    done = unseal(server, FANAL_PASSPHRASE_FILE=server.secret)
    tap.ok(done.returncode == 0, "the passphrase opens it, too", done.stderr)
    tap.ok(f.wait_for(lambda: server.echo(), 60), "and it serves")
    server.stop()


def opened_by_systemd(tap, server):
    """A credential as systemd hands it over: a file in CREDENTIALS_DIRECTORY."""
    plain = os.path.join(server.base, "plain")
    done = run(server, "key", "add", "credential", "--out", plain, server.dir)
    tap.ok(done.returncode == 0, "a secret for systemd-creds", done.stderr)
    server.configure(f.DEFAULT_PEERS, "[unseal]\nat_start = credential")
    tap.ok(start(server), "credential: without one it starts sealed")
    tap.ok("unseal.no-credential" in server.log_text(), "and says why")
    server.stop()
    folder = os.path.join(server.base, "credentials")
    os.mkdir(folder, 0o700)
    with open(os.path.join(folder, "fanal"), "wb") as file:
        file.write(b"credential:" + b"00" * 32)
    tap.ok(start(server, without_secret(server, CREDENTIALS_DIRECTORY=folder)), "one that does not fit: sealed")
    server.stop()
    unsealed = through_systemd_creds(tap, server, plain)
    shutil.copy(unsealed or plain, os.path.join(folder, "fanal"))
    tap.ok(start(server, without_secret(server, CREDENTIALS_DIRECTORY=folder), until="ready"), "the credential opens it with nobody there")
    tap.ok(len(server.list()) == 3, "and everything is there")
    server.stop()
    server.configure(f.DEFAULT_PEERS)


def listens(port):
    """Asked of the kernel: a connection would be the TPM's first."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        return f"0100007F:{port:04X} 00000000:0000 0A" in table.read()


def through_systemd_creds(tap, server, plain):
    """Encrypted and decrypted by systemd-creds, with a TPM 2 that swtpm plays; None where they are not there."""
    sealed, out, state = (os.path.join(server.base, n) for n in ("sealed.cred", "decrypted", "tpm"))
    if not shutil.which("systemd-creds") or not shutil.which("swtpm"):
        tap.skip("a credential under a TPM 2", "systemd-creds or swtpm is not here")
        return None
    os.mkdir(state)
    port = f.free_port()
    control = port + 1  # where the library looks for it
    tpm = subprocess.Popen(["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--server", f"type=tcp,port={port},bindaddr=127.0.0.1",
                            "--ctrl", f"type=tcp,port={control},bindaddr=127.0.0.1", "--flags", "not-need-init,startup-clear"],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        f.wait_for(lambda: listens(port) and listens(control), 10)
        device = f"swtpm:host=127.0.0.1,port={port}"
        done = subprocess.run(["systemd-creds", "encrypt", "--name=fanal", "--with-key=tpm2", f"--tpm2-device={device}", "--tpm2-pcrs=7",
                               plain, sealed], capture_output=True, text=True, timeout=60, check=False)
        if done.returncode == 0:
            done = subprocess.run(["systemd-creds", "decrypt", "--name=fanal", f"--tpm2-device={device}", sealed, out],
                                  capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            tap.skip("a credential under a TPM 2", "systemd-creds does not work with swtpm here: " + done.stderr.strip()[:120].replace("\n", " "))
            return None
    finally:
        tpm.kill()
        tpm.wait()
    with open(plain, "rb") as a, open(out, "rb") as b, open(sealed, "rb") as c:
        secret = a.read()
        tap.ok(b.read() == secret and secret[11:40] not in c.read(), "systemd-creds seals it under a TPM 2 (swtpm) and gives it back")
    return out


def fire_drill(tap, server):
    """docs/operations.md, "Fire drill", to the letter."""
    vault = os.path.join(server.dir, "vault")
    out = os.path.join(server.base, "keys.backup")
    server.start()
    store(server, 3, first=50, study="2.25.8850")
    done = run(server, "backup-keys", "--expires", 90, server.dir, out)
    tap.ok(done.returncode == 0 and "generation" in done.stdout, "a back-up while it serves", done.stderr)
    store(server, 3, first=60, study="2.25.8860")  # in a slot that was there and given to nobody
    store(server, 1, first=70, study="2.25.8870")
    server.stop()
    before = server.list()
    done = run(server, "restore-keys", out, server.dir)
    tap.ok(done.returncode == 1 and "is there" in done.stderr, "a keyring that is there is not replaced", done.stderr)
    for name in ("keyring.0", "keyring.1"):
        os.unlink(os.path.join(vault, name))
    tap.ok(run(server, "verify", server.dir).returncode == 1, "without its keyring the vault does not open")
    done = run(server, "restore-keys", out, server.dir, env=without_secret(server, FANAL_PASSPHRASE_FILE=write(server, "p", "wrong")))
    tap.ok(done.returncode == 1, "a back-up opens with a secret only", done.stderr)
    done = run(server, "restore-keys", out, server.dir)
    tap.ok(done.returncode == 0 and "lost" not in done.stdout, "restored", done.stderr + done.stdout)
    with open(os.path.join(server.dir, "fanal.conf.restored"), encoding="utf-8") as a, open(os.path.join(server.dir, "fanal.conf"), encoding="utf-8") as b:
        tap.ok(a.read() == b.read(), "and the configuration of then beside it")
    done = run(server, "verify", server.dir)
    tap.ok(done.returncode == 0, "verify finds nothing", done.stdout)
    tap.ok(server.list() == before, "everything is listed, also what came after the back-up")
    server.start()
    tap.ok(set(store(server, 2, first=80, study="2.25.8880")) == {0}, "it serves and stores")
    server.stop()
    tap.ok(run(server, "verify", server.dir).returncode == 0, "and no slot was given to two units")
    return out


def expired(tap, server):
    """An expired back-up is refused; so is another vault's, and one with a flipped bit."""
    vault = os.path.join(server.dir, "vault")
    out = os.path.join(server.base, "short.backup")
    tap.ok(run(server, "backup-keys", "--expires", 1, server.dir, out).returncode == 0, "a back-up for a day, offline")
    tap.ok(run(server, "backup-keys", server.dir, out).returncode == 1, "an existing file is not overwritten")
    with open(out, "rb") as file:
        data = bytearray(file.read())
    flipped = bytearray(data)
    flipped[-40] ^= 1
    with open(os.path.join(server.base, "flipped"), "wb") as file:
        file.write(flipped)
    for name in ("keyring.0", "keyring.1"):
        os.rename(os.path.join(vault, name), os.path.join(server.base, name))
    done = run(server, "restore-keys", os.path.join(server.base, "flipped"), server.dir)
    tap.ok(done.returncode == 1 and "damaged" in done.stderr, "a flipped bit: damaged", done.stderr)
    done = subprocess.run(["faketime", "+3 days", f.binary(), "restore-keys", out, server.dir], env=server.env, capture_output=True,
                          text=True, timeout=60, check=False) if shutil.which("faketime") else None
    if done is None:
        tap.skip("an expired back-up", "no faketime here; the unit test turns the clock")
    else:
        tap.ok(done.returncode == 1 and "expired" in done.stderr, "expired", done.stderr)
    with f.Fanal() as other:
        for name in ("keyring.0", "keyring.1"):
            os.unlink(os.path.join(other.dir, "vault", name))
        done = run(other, "restore-keys", out, other.dir)
        tap.ok(done.returncode == 1 and "another vault" in done.stderr, "another vault's: refused", done.stderr)
    for name in ("keyring.0", "keyring.1"):
        os.rename(os.path.join(server.base, name), os.path.join(vault, name))


def main():
    tap = f.Tap()
    with f.Fanal() as server:
        done = run(server, "key", "add", "custodians", "--threshold", 2, "--shares", 3, server.dir)
        shares = shares_in(done.stdout)
        opened_by_custodians(tap, server, shares)
        opened_by_passphrase(tap, server)
        opened_by_systemd(tap, server)
        fire_drill(tap, server)
        expired(tap, server)
    tap.done()


main()
