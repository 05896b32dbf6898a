#!/usr/bin/python3
"""A printed checkpoint: typed back, scanned, and what it says of a restored disk image, with nothing but the paper."""
import json
import os
import re
import shutil
import subprocess

import fanal as f

WITH_DECODER = shutil.which("zbarimg") is not None
BROWSER = shutil.which("chromium")


def grow(server, records):
    """Some records more: a serve, and so many events of `list`."""
    server.start()
    for _ in range(records):
        server.list()
    server.stop()


def checkpoint(server, *options):
    done = server.run("checkpoint", *options, server.dir)
    if done.returncode != 0:
        raise RuntimeError("checkpoint: " + done.stderr)
    return done.stdout


def verdict(server, paper, name="paper"):
    path = os.path.join(server.base, name)
    with open(path, "w", encoding="utf-8") as out:
        out.write(paper)
    done = server.run("verify", server.dir, "--paper", path)
    return done.returncode, (done.stdout + done.stderr).splitlines()[0] if done.stdout + done.stderr else ""


def decoded(path):
    done = subprocess.run(["zbarimg", "-q", "--raw", path], capture_output=True, check=False)
    return done.stdout.decode("utf-8", "replace")


def terminal_to_pgm(text, path, size=4):
    rows = []
    for line in text.splitlines():
        if "\x1b[" in line:
            line = re.sub(r"\x1b\[[0-9;]*m", "", line)
            rows += [[c in "█▀" for c in line], [c in "█▄" for c in line]]
    with open(path, "wb") as out:
        out.write(b"P5 %d %d 255\n" % (len(rows[0]) * size, len(rows) * size))
        for row in rows:
            out.write(b"".join((b"\xff" if light else b"\0") * size for light in row) * size)


def typed(tap, server):
    text = checkpoint(server)
    lines = re.findall(r"^[1-5]: .*$", text, re.M)
    tap.ok(len(lines) == 5 and "fanal/" in text and " UTC" in text, "five lines, date and origin", text)
    size = re.search(r"records +(\d+)", text).group(1)
    tap.ok(verdict(server, text)[0] == 0, "the whole print-out is taken", verdict(server, text))
    loose = "\n".join(line[2:].lower().replace(" ", "").replace("0", "o").replace("1", "l") for line in lines)
    code, said = verdict(server, loose)
    tap.ok(code == 0 and f"{size} records then" in said, "typed loosely: lower case, no spaces, o for 0, l for 1", said)
    code, said = verdict(server, text.replace(lines[2], lines[2][:9] + ("7" if lines[2][9] != "7" else "8") + lines[2][10:]))
    tap.ok(code == 2 and "line 3:" in said, "a wrong character is named by its line", said)
    code, said = verdict(server, text.replace(lines[3] + "\n", ""))
    tap.ok(code == 2 and "line 4: is missing" in said, "a missing line is named", said)
    tap.ok(verdict(server, "")[0] == 2 and verdict(server, "x" * 100000)[0] == 2, "nothing and far too much are refused")
    done = server.run("verify", server.dir, "--paper", "/nonexistent")
    tap.ok(done.returncode == 2, "a file that is not there: 2", done.stderr)


def scanned(tap, server):
    note = json.loads(checkpoint(server, "--json"))["note"]
    code, said = verdict(server, note)
    tap.ok(code == 0, "the signed note is taken", said)
    flipped = note.replace("\n\n— ", "\n\n— ")[:-10] + ("A" if note[-10] != "A" else "B") + note[-9:]
    code, said = verdict(server, flipped)
    tap.ok(code == 1 and "does not fit" in said, "a changed signature does not fit", said)
    if not WITH_DECODER:
        tap.skip("the QR code scans", "no zbarimg")
        return
    image = os.path.join(server.base, "terminal.pgm")
    notes = [json.loads(checkpoint(server, "--json"))["note"].strip()]
    terminal_to_pgm(checkpoint(server, "--qr"), image)
    notes.append(json.loads(checkpoint(server, "--json"))["note"].strip())  # verify left an event in between
    got = decoded(image)
    tap.ok(got.strip() in notes, "the QR code of the terminal scans to the note, byte for byte", repr(got))
    code, said = verdict(server, got)
    tap.ok(code == 0, "and what the scanner wrote is taken", said)
    if BROWSER is None:
        tap.skip("the printed page scans", "no chromium")
        return
    page, shot = os.path.join(server.base, "page.html"), os.path.join(server.base, "page.png")
    html = checkpoint(server, "--print")
    with open(page, "w", encoding="utf-8") as out:
        out.write(html)
    tap.ok("<script" not in html and 'lang="fr"' in html and 'lang="en"' in html and len(re.findall(r"^[1-5]: ", html.replace(
        '<pre class="code">', "\n"), re.M)) == 5, "the page: French, English, five lines, no script")
    subprocess.run([BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--screenshot=" + shot, "--window-size=900,1250",
                    "--force-device-scale-factor=2",
                    "file://" + page], capture_output=True, timeout=120, check=False,
                   env=dict(os.environ, HOME=server.base, DBUS_SESSION_BUS_ADDRESS="/dev/null"))
    note = re.search(r'<div class="note">(.*?)</div>', html, re.S).group(1)
    tap.ok(os.path.exists(shot) and decoded(shot).strip() == note.strip(), "the page's QR code scans in Chromium's picture")


def rolled_back(tap, server):
    yesterday = os.path.join(server.base, "yesterday")
    grow(server, 3)
    shutil.copytree(os.path.join(server.dir, "vault"), yesterday)
    grow(server, 12)
    paper = checkpoint(server)
    size = json.loads(checkpoint(server, "--json"))["size"]
    server.start()
    code, said = verdict(server, paper)
    tap.ok(code == 0 and f"{size} records then" in said, "a serve that runs answers the same", said)
    server.stop()
    today = os.path.join(server.base, "today")
    os.rename(os.path.join(server.dir, "vault"), today)
    shutil.copytree(yesterday, os.path.join(server.dir, "vault"))
    code, said = verdict(server, paper)
    tap.ok(code == 1 and said.startswith("ROLLED BACK"), "yesterday's image is told by the paper alone", said)
    server.start()
    code, said = verdict(server, paper)
    tap.ok(code == 1 and said.startswith("ROLLED BACK"), "also while it serves", said)
    server.stop()
    grow(server, 25)
    code, said = verdict(server, paper)
    tap.ok(code == 1 and said.startswith("ANOTHER HISTORY"), "and when it went on until it is longer than the paper", said)
    done = server.run("verify", server.dir)
    tap.ok(done.returncode == 0, "which nothing inside the vault could tell", done.stdout)
    shutil.rmtree(os.path.join(server.dir, "vault"))
    os.rename(today, os.path.join(server.dir, "vault"))
    grow(server, 2)
    code, said = verdict(server, paper)
    tap.ok(code == 0, "the true one is still the true one", said)
    return paper


def main():
    tap = f.Tap()
    with f.Fanal() as server:
        server.start()
        server.list()
        typed(tap, server)
        scanned(tap, server)
        server.stop()
        paper = rolled_back(tap, server)
        with f.Fanal() as other:
            code, said = verdict(other, paper)
            tap.ok(code == 1 and "another vault" in said, "a paper of another vault is called so", said)
    tap.done()


main()
