"""The access point of the set-up portal. Loaded while it is open."""

import socket

import network

from ..moment import let_go

_AUTHENTICATION = 3  # WPA2


def open_portal(board, on_wait):
    """True if settings were saved. Afterwards the radio is off. A blank board opens it when it is switched on; when its
    time is over, the button does: it is no access point for ever."""
    while board.settings is None and board.reset == "software" and not board.panel.pressed_long():
        board.pause(min(on_wait(), 100))
        board.watch()
    if board.radio is not None:
        board.radio.off()
    from ..portal.portal import Portal

    station = network.WLAN(network.STA_IF)
    point = network.WLAN(network.AP_IF)
    board.guard.do("release")  # an access point beside a station takes more than a station alone
    token = "".join(["%02x" % byte for byte in board.entropy(4)])
    try:
        _start(point, board)
        address = point.ifconfig()[0]
        known, web, names = board.store.do("fields"), _web(address, board.ports[0]), _names(address, board.ports[1])
        board.say("%s setup: join the Wi-Fi %s" % (board.clock.text(), board.name))

        def check(fields):
            from ..settings import checked

            try:
                checked(fields)
            finally:
                checked = None
                let_go("settings")

        def save(fields):
            board.store.do("write", fields)
            board.files.remove("found.json")  # buses.py's: the sensors are looked for anew

        portal = Portal(board.name, address, station, board.clock, known, check, save, token, on_wait)
        return portal.run(web, names)
    except OSError as error:
        board.say("%s setup failed: %s" % (board.clock.text(), error))
        return False
    finally:
        for radio in (point, station):
            try:
                radio.active(False)
            except OSError:
                pass
        board.guard.do("hold")
        let_go("portal.portal", "portal.server", "portal.http", "portal.dns", "portal")


def _web(address, port):
    """A listening socket, on the access point's address only."""
    made = _bound(socket.SOCK_STREAM, address, port)
    made.listen(4)
    return made


def _names(address, port):
    """A socket for a name server."""
    return _bound(socket.SOCK_DGRAM, address, port)


def _bound(kind, address, port):
    made = socket.socket(socket.AF_INET, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(socket.getaddrinfo(address, port)[0][-1])
    return made


def _start(point, board):
    point.active(True)
    secret = board.settings.setup_password if board.settings else None
    if secret:
        point.config(ssid=board.name, security=_AUTHENTICATION, key=secret)
    else:
        point.config(ssid=board.name, security=0)
