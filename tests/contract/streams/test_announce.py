"""Announcement by mDNS: a client in the network finds the server, and not any more when it ends."""

import time

import pytest

from flexmeasures.setting_types import SettingsError
from flexmeasures.streams.announce import SERVICE_TYPE, announced

zeroconf = pytest.importorskip("zeroconf", reason="the extra mdns is not installed")


def find(network):
    """Ask for servers for a while."""
    names = []

    class Listener(zeroconf.ServiceListener):
        def add_service(self, zc, type_, name):
            names.append(name)

        def update_service(self, zc, type_, name):
            pass

        def remove_service(self, zc, type_, name):
            names.remove(name)

    return zeroconf.ServiceBrowser(network, SERVICE_TYPE, Listener()), names


def test_the_server_is_found_with_address_port_and_path():
    """The service has host, port and, in its TXT record, version, base path and whole address."""
    with announced("http://127.0.0.1:5000", interfaces=["127.0.0.1"]):
        network = zeroconf.Zeroconf(interfaces=["127.0.0.1"])
        try:
            _, names = find(network)
            for _ in range(100):
                if names:
                    break
                zeroconf_pause()
            info = network.get_service_info(SERVICE_TYPE, names[0], timeout=3000)
            assert info.parsed_addresses() == ["127.0.0.1"]
            assert info.port == 5000
            assert info.decoded_properties == {
                "version": "3.1.0",
                "base_path": "openadr3/3.1.0",
                "local_url": "http://127.0.0.1:5000/openadr3/3.1.0",
                "requires_auth": "True",
            }
        finally:
            network.close()


def zeroconf_pause():
    """Give the network a moment."""
    time.sleep(0.05)


def test_nothing_is_announced_unless_it_is_set():
    """Without an address nothing happens."""
    with announced(None):
        pass


def test_a_host_without_an_address_is_explained():
    """The message names the setting and the host."""
    with (
        pytest.raises(SettingsError, match=r"FLEXMEASURES_MDNS_URL names 'no\.such\.host\.invalid'"),
        announced("http://no.such.host.invalid:5000", interfaces=["127.0.0.1"]),
    ):
        pass
