#!/bin/sh
# Makes the files of this folder anew with openssl's own time stamping authority. Certificates hold from 2020 to 2119.
# With a folder as argument: leaves them and the authority there, keys and all, for a test to run it.
set -eu
out=$(cd "$(dirname "$0")" && pwd)
if [ $# -gt 0 ]; then
    work=$1
    out=
else
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
fi
cd "$work"
cat > ca.cnf <<'END'
[ca]
default_ca = d
[d]
database = index.txt
new_certs_dir = .
serial = serial
default_md = sha256
policy = p
unique_subject = no
[p]
commonName = supplied
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
[tsa_certificate]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[mail_certificate]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,emailProtection
[req]
distinguished_name = dn
[dn]
[t]
serial = tsaserial
crypto_device = builtin
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_chain = no
ess_cert_id_alg = sha256
END
touch index.txt
echo 01 > serial
echo 01 > tsaserial
dates="-startdate 20200101000000Z -enddate 21190101000000Z -batch -notext -config ca.cnf"
key() {
    openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
    openssl req -new -config ca.cnf -key "$1.key" -subj "/CN=$2" -out "$1.csr"
}
key ca "Test TSA root"
openssl ca $dates -selfsign -keyfile ca.key -in ca.csr -extensions root -out ca.pem
key other "Another root"
openssl ca $dates -selfsign -keyfile other.key -in other.csr -extensions root -out other.pem
key tsa "Test TSA"
openssl ca $dates -cert ca.pem -keyfile ca.key -in tsa.csr -extensions tsa_certificate -out tsa.pem
key mail "No TSA"
openssl ca $dates -cert ca.pem -keyfile ca.key -in mail.csr -extensions mail_certificate -out mail.pem
printf 'fanal/00\n7\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n' > note
printf 'another\n' > another
reply() { openssl ts -reply -config ca.cnf -section t -queryfile "$1" -signer tsa.pem -inkey tsa.key -chain ca.pem -out "$2"; }
openssl ts -query -data note -sha256 -cert -out request.tsq
openssl ts -query -data note -sha256 -cert -out again.tsq
openssl ts -query -data another -sha256 -cert -out another.tsq
openssl ts -query -data note -sha1 -cert -out sha1.tsq
reply request.tsq good.tsr
reply again.tsq other-nonce.tsr
reply another.tsq other-imprint.tsr
reply sha1.tsq rejected.tsr
# openssl ts refuses to sign with a certificate of another use: the same content, signed as CMS, in a granted response
openssl ts -reply -in good.tsr -token_out -out good.tok
openssl cms -verify -inform DER -in good.tok -noverify -out content
openssl cms -sign -in content -binary -nodetach -cades -md sha256 -econtent_type 1.2.840.113549.1.9.16.1.4 \
    -signer mail.pem -inkey mail.key -certfile ca.pem -outform DER -out mail.tok
python3 - <<'END'
def sequence(b):
    n = len(b)
    return b"\x30" + (bytes([n]) if n < 128 else bytes([0x82, n >> 8, n & 255])) + b
open("wrong-use.tsr", "wb").write(sequence(sequence(b"\x02\x01\x00") + open("mail.tok", "rb").read()))
END
[ -n "$out" ] || exit 0
cp good.tsr other-nonce.tsr other-imprint.tsr rejected.tsr wrong-use.tsr request.tsq ca.pem other.pem "$out/"
