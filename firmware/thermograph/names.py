"""Addresses of hosts that are known without asking. What asks (resolver.py) is loaded for that moment."""

from .moment import let_go


class Names:
    """network: servers() gives texts "IP" or "IP:PORT", known(host) an address or None, udp(ip, port) a connected
    socket; entropy(size): random bytes. Names that were found are kept as long as the answer allows; afterwards the
    last good answer is used where there is no other."""

    def __init__(self, network, clock, entropy):
        self.network = network
        self.clock = clock
        self.entropy = entropy
        self.kept = {}  # host: (ip, uptime until which it holds)

    def address(self, host):
        """The host's address where nobody has to be asked, or None."""
        host = host.lower()
        if is_address(host):
            return host
        if host == "localhost" or host.endswith(".localhost"):  # RFC 6761, section 6.3
            return "127.0.0.1"
        ip, until = self.kept.get(host, (None, 0))
        if ip and self.clock.uptime() < until:
            return ip
        return self.network.known(host)

    def lookup(self, host, timeout):
        """A resolver.Lookup, to be ended by end(); timeout in ms."""
        from .resolver import Lookup

        try:
            return Lookup(self, host.lower(), self.clock.uptime() + timeout)
        except MemoryError:
            let_go("resolver")
            raise

    def end(self, lookup):
        lookup.close()
        let_go("resolver")

    def forget(self, host):
        """This address led nowhere: ask anew next time, and fall back on it still."""
        if host.lower() in self.kept:
            self.kept[host.lower()] = self.kept[host.lower()][0], 0


def is_address(text):
    """True for an IPv4 address in four decimal numbers."""
    if any([c not in "0123456789." for c in text]):
        return False
    parts = text.split(".")
    return len(parts) == 4 and all([0 < len(part) < 4 and int(part) < 256 for part in parts])


def split_port(text, port):
    """("host", port) of "host" or "host:port"."""
    host, mark, number = text.partition(":")
    return (host, int(number)) if mark else (text, port)
