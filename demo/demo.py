#!/usr/bin/python3
"""make demo: a vault in a temporary directory, Fanal on loopback, an invented hospital sent over the network.

Prints the address of the page and the enrolment code; Ctrl-C ends everything and removes the directory.
"""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import hospital

CONF = """[site]
timezone = Europe/Paris

[listen]
dicom = 127.0.0.1:{dicom}
hl7 = 127.0.0.1:{hl7}
https = 127.0.0.1:{https}

[dicom]
ae = FANAL

[peer SCANNER]
ae = SCANNER
address = 127.0.0.1
may = store, query, retrieve
issuer = HOPITAL

[sender LABO]
address = 127.0.0.1
issuer = HOPITAL
"""
DEFAULT_PORTS = {"dicom": 11112, "hl7": 2575, "https": 8443}
START_SECONDS = 20


def port(default):
    """The usual port where it is free, else any."""
    for wanted in (default, 0):
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", wanted))
                return s.getsockname()[1]
            except OSError:
                continue
    raise SystemExit("demo: no free port on loopback")


def wait_for_port(number, process):
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise SystemExit(f"demo: fanal serve ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", number), 0.5).close()
            return
        except OSError:
            time.sleep(0.02)
    raise SystemExit("demo: fanal serve does not answer")


def send_messages(number):
    answers = {}
    with socket.create_connection(("127.0.0.1", number), 10) as s:
        for message in hospital.messages():
            s.sendall(b"\x0b" + message.encode() + b"\x1c\r")
            got = b""
            while not got.endswith(b"\x1c\r"):
                piece = s.recv(65536)
                if not piece:
                    raise SystemExit("demo: the HL7 gate closed the connection")
                got += piece
            code = got.split(b"\rMSA|", 1)[1][:2].decode() if b"\rMSA|" in got else "??"
            answers[code] = answers.get(code, 0) + 1
    return answers


def enrolment_code(log):
    with open(log, encoding="utf-8", errors="replace") as f:
        for line in f:
            if "enrolment.offered" in line:
                return line.rsplit("code=", 1)[1].split()[0].strip('"')
    return None


def serve(fanal, base):
    data, secret, log = (os.path.join(base, name) for name in ("data", "passphrase", "log"))
    with open(secret, "w", encoding="ascii") as f:
        f.write(os.urandom(24).hex() + "\n")
    os.chmod(secret, 0o600)
    env = dict(os.environ, FANAL_PASSPHRASE_FILE=secret)
    ports = {name: port(number) for name, number in DEFAULT_PORTS.items()}
    subprocess.run([fanal, "init", data], env=env, check=True)
    with open(os.path.join(data, "fanal.conf"), "w", encoding="utf-8") as f:
        f.write(CONF.format(**ports))
    with open(log, "wb") as f:
        process = subprocess.Popen([fanal, "serve", data], env=env, stdin=subprocess.DEVNULL, stdout=f, stderr=f)
    for number in ports.values():
        wait_for_port(number, process)
    return process, ports, log


def main():
    fanal = os.path.abspath(sys.argv[1])
    once = "--once" in sys.argv  # for tests: send, print, end
    for ending in (signal.SIGINT, signal.SIGTERM):  # both end Fanal too, also where a shell had SIGINT ignored
        signal.signal(ending, signal.default_int_handler)
    base = tempfile.mkdtemp(prefix="fanal-demo-")
    os.chmod(base, 0o711)
    process = None
    try:
        print("demo: computing phantoms", flush=True)
        files = hospital.write_objects(os.path.join(base, "modalities"))
        process, ports, log = serve(fanal, base)
        begun = time.monotonic()
        done = subprocess.run([fanal, "send", "--aet", "SCANNER", "--aec", "FANAL", *files, f"127.0.0.1:{ports['dicom']}"],
                              stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit("demo: sending images failed:\n" + done.stdout[-2000:])
        answers = send_messages(ports["hl7"])
        print(f"demo: {len(files)} images and {sum(answers.values())} HL7 messages sent over the network in "
              f"{time.monotonic() - begun:.1f} s; answers {answers}")
        print(f"\n  page            https://127.0.0.1:{ports['https']}/\n  enrolment code  {enrolment_code(log)}\n"
              "\n  The certificate is Fanal's own: the browser will ask once."
              "\n  Try: born 14031958, letters MAR. Ctrl-C ends the demo and removes everything.\n", flush=True)
        if not once:
            process.wait()
    except KeyboardInterrupt:
        print("\ndemo: ended")
    finally:
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(base, ignore_errors=True)


main()
