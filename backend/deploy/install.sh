#!/bin/bash
# Make this Debian 12 machine a Thermograph host: run as root by cloud-init, and again for every new release.
# It reads /etc/thermograph/stack.env and backend.env, which the CloudFormation template writes. Safe to run again.
set -euo pipefail
deploy=$(cd "$(dirname "$0")" && pwd)
root=/opt/thermograph
. /etc/thermograph/stack.env

mount_data() {
    # The volume is attached only when the machine already runs.
    for _ in $(seq 120); do
        [ -b "$DATA_DEVICE" ] && break
        sleep 5
    done
    [ -b "$DATA_DEVICE" ] || { echo "No data volume: $DATA_DEVICE did not appear within 10 minutes." >&2; exit 1; }
    # blkid says 2 when it finds nothing on it. Any other failure must not end in a new file system.
    local found=0
    blkid "$DATA_DEVICE" >/dev/null || found=$?
    case $found in
        0) ;;
        2) mkfs.ext4 -q -L thermograph "$DATA_DEVICE" ;;
        *) echo "$DATA_DEVICE cannot be read (blkid says $found)." >&2; exit 1 ;;
    esac
    mkdir -p /srv/thermograph
    grep -q ' /srv/thermograph ' /etc/fstab \
        || echo "$DATA_DEVICE /srv/thermograph ext4 defaults,nofail,x-systemd.device-timeout=120 0 2" >>/etc/fstab
    mountpoint -q /srv/thermograph || mount /srv/thermograph
}

make_folders() {
    getent passwd thermograph >/dev/null || useradd --system --home-dir /srv/thermograph/state --shell /usr/sbin/nologin thermograph
    install -d -m 755 /srv/thermograph /etc/thermograph
    install -d -m 700 -o thermograph -g thermograph /srv/thermograph/state
    install -d -m 700 -o mosquitto -g mosquitto /srv/thermograph/mosquitto
    install -d -m 750 -o thermograph -g thermograph /var/log/thermograph
}

install_backend() {
    python3 -m venv "$root/.venv"
    "$root/.venv/bin/pip" install --quiet --disable-pip-version-check --editable "$root[postgres]"
    curl --fail --silent --show-error --location --retry 5 --output /etc/thermograph/rds.pem.new \
        https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem
    mv /etc/thermograph/rds.pem.new /etc/thermograph/rds.pem
    install -m 644 "$deploy"/systemd/* /etc/systemd/system/
    install -m 644 "$deploy/logrotate.conf" /etc/logrotate.d/thermograph
}

install_broker() {
    install -m 644 "$deploy/mosquitto.conf" /etc/mosquitto/mosquitto.conf
    install -m 600 -o mosquitto -g mosquitto "$deploy/mosquitto.acl" /etc/mosquitto/acl
    # Without its data volume it would start empty, on the root disk.
    install -d /etc/systemd/system/mosquitto.service.d
    printf '[Unit]\nRequiresMountsFor=/srv/thermograph\n' >/etc/systemd/system/mosquitto.service.d/data.conf
}

install_agents() {
    # Debian has neither; Amazon publishes them in buckets of its own.
    local region=$AWS_DEFAULT_REGION
    amazon_package amazon-ssm-agent "https://s3.$region.amazonaws.com/amazon-ssm-$region/latest/debian_arm64/amazon-ssm-agent.deb"
    amazon_package amazon-cloudwatch-agent "https://amazoncloudwatch-agent-$region.s3.$region.amazonaws.com/debian/arm64/latest/amazon-cloudwatch-agent.deb"
    sed "s|@STACK@|$STACK|g" "$deploy/cloudwatch-agent.json" >/etc/thermograph/cloudwatch-agent.json
}

amazon_package() {
    dpkg -s "$1" >/dev/null 2>&1 && return
    curl --fail --silent --show-error --location --retry 5 --output "/var/tmp/$1.deb" "$2"
    dpkg -i "/var/tmp/$1.deb"
    rm "/var/tmp/$1.deb"
}

start() {
    rm -f /usr/sbin/policy-rc.d
    systemctl daemon-reload
    systemctl enable --now amazon-ssm-agent
    /opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl -a fetch-config -m ec2 -s \
        -c file:/etc/thermograph/cloudwatch-agent.json
    systemctl restart thermograph-credentials thermograph-certificate thermograph-broker-users
    systemctl enable thermograph-credentials thermograph-broker-users thermograph-migrate mosquitto thermograph.target
    systemctl enable --now thermograph-certificate.timer thermograph-broker-users.path
    if [ "$GATEWAY" = yes ]; then
        systemctl enable thermograph@gateway
    else
        systemctl disable --now thermograph@gateway
    fi
    if [ "$COMPACTOR" = host ]; then
        systemctl enable thermograph@compact
    else
        systemctl disable --now thermograph@compact
    fi
    systemctl restart mosquitto thermograph-migrate thermograph.target
}

# Session Manager first: if anything after it fails, there is a way in to look.
install_agents
systemctl enable --now amazon-ssm-agent
mount_data
make_folders
install_backend
install_broker
start
