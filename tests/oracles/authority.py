"""A certification and a time-stamping authority of our own, as an operator would make them with OpenSSL (RFC 3161)."""
import os
import subprocess

CONFIGURATION = """[tsa]
default_tsa=t
[t]
serial=serial
default_policy=1.2.3.4
digests=sha256
accuracy=secs:1
ess_cert_id_alg=sha256
signer_digest=sha256
[e]
extendedKeyUsage=critical,timeStamping
[c]
basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign
"""


class Authority:
    """ca (RSA) > tsa (RSA); ca > middle (P-384) > tsa-ec (P-256); other: an authority that has nothing to do with them."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.write("tsa.cnf", CONFIGURATION.encode())
        self.write("serial", b"01")
        self.make("ca", "c", "rsa:2048")
        self.make("tsa", "e", "rsa:2048", ca="ca")
        self.make("other", "c", "rsa:2048")
        self.make("middle", "c", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", ca="ca")
        self.make("tsa-ec", "e", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", ca="middle")

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, content):
        with open(self.path(name), "wb") as f:
            f.write(content)

    def read(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def pem(self, name):
        return self.read(name + ".pem")

    def run(self, *argv):
        subprocess.run(["openssl", *argv], cwd=self.folder, check=True, capture_output=True)

    def make(self, name, extensions, *kind, ca=None):
        self.run("req", "-newkey", *kind, "-nodes", "-keyout", name + ".key", "-subj", f"/CN={name}", "-out", name + ".csr")
        sign = ["-signkey", name + ".key"] if ca is None else ["-CA", ca + ".pem", "-CAkey", ca + ".key", "-CAcreateserial"]
        self.run("x509", "-req", "-in", name + ".csr", *sign, "-days", "3650", "-extfile", "tsa.cnf", "-extensions", extensions,
                 "-out", name + ".pem")

    def stamp(self, data, signer="tsa", chain="ca"):
        """DER of a TimeStampToken over data."""
        self.write("data", data)
        self.run("ts", "-query", "-data", "data", "-sha256", "-cert", "-out", "q")
        self.run("ts", "-reply", "-queryfile", "q", "-config", "tsa.cnf", "-signer", signer + ".pem", "-inkey", signer + ".key",
                 "-chain", chain + ".pem", "-token_out", "-out", "t")
        return self.read("t")

    def reply(self, query):
        """TimeStampResp to a TimeStampReq, both DER."""
        self.write("query", query)
        self.run("ts", "-reply", "-queryfile", "query", "-config", "tsa.cnf", "-signer", "tsa.pem", "-inkey", "tsa.key",
                 "-chain", "ca.pem", "-out", "reply")
        return self.read("reply")
