#!/bin/bash
# certificate.sh FOLDER ADDRESS [NAME]: the broker's certificate, signed by an authority of our own in FOLDER.
#
# The authority is made once and stays, for devices in the field know no other: ca.crt goes onto every board. A
# certificate is made when there is none, when it is for another name, or when it has less than 60 days left.
set -euo pipefail
umask 077
folder=$1
address=$2
name=${3:-}

mkdir -p "$folder"
cd "$folder"
# mosquitto may pass, to read its own key; what it need not read has no bit for its group.
chmod 750 .
if [ ! -s ca.key ]; then
    openssl ecparam -name prime256v1 -genkey -noout -out ca.key
fi
if [ ! -s ca.crt ]; then
    openssl req -x509 -new -key ca.key -sha256 -days 7300 -subj "/CN=Thermograph broker authority" \
        -addext "basicConstraints=critical,CA:TRUE,pathlen:0" -addext "keyUsage=critical,keyCertSign,cRLSign" -out ca.crt
fi

names="IP:$address${name:+,DNS:$name}"
if [ ! -s server.crt ] || [ "$(cat server.names 2>/dev/null)" != "$names" ] \
    || ! openssl x509 -in server.crt -noout -checkend $((60 * 86400)) >/dev/null; then
    openssl ecparam -name prime256v1 -genkey -noout -out server.key.new
    openssl req -new -key server.key.new -subj "/CN=${name:-$address}" -out server.csr
    openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -set_serial "0x$(openssl rand -hex 16)" -sha256 -days 397 \
        -extfile <(printf 'subjectAltName=%s\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n' "$names") \
        -out server.crt.new
    mv server.key.new server.key
    mv server.crt.new server.crt
    rm -f server.csr
    printf '%s' "$names" >server.names
fi
chmod 644 ca.crt server.crt
chmod 640 server.key
if getent group mosquitto >/dev/null && [ "$(id -u)" = 0 ]; then
    chgrp mosquitto . server.key
fi
# What goes onto every board, where everyone may read it.
install -m 644 ca.crt ../ca.crt
