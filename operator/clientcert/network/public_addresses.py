"""Public addresses: all but the special-purpose registries of IANA (RFC 6890) and the special addresses of clouds."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

_REFUSED_V4 = (
    *map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8")),  # this network, loopback
    *map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")),  # private
    IPv4Network("100.64.0.0/10"),  # shared by carriers; the metadata address of Alibaba
    IPv4Network("169.254.0.0/16"),  # link-local; the metadata address of AWS, Azure and Google
    IPv4Network("168.63.129.16/32"),  # the platform address of Azure: it only looks public
    IPv4Network("192.0.0.0/24"),  # protocol assignments; the metadata address of Oracle
    *map(IPv4Network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")),  # documentation
    *map(IPv4Network, ("192.31.196.0/24", "192.175.48.0/24", "192.52.193.0/24")),  # AS112, multicast tunnels
    IPv4Network("192.88.99.0/24"),  # relays of 6to4
    IPv4Network("198.18.0.0/15"),  # benchmarks
    *map(IPv4Network, ("224.0.0.0/4", "240.0.0.0/4")),  # multicast; reserved, and broadcast
)
# Contains all public addresses. Outside are, among others, ::1, addresses mapped from IPv4, ULA (fd00:ec2::254 is a
# metadata address), link-local, multicast, SRv6, and the NAT64 prefixes.
_PUBLIC_V6 = IPv6Network("2000::/3")
_REFUSED_V6 = (
    IPv6Network("2001::/23"),  # protocol assignments: Teredo, benchmarks, ORCHID
    IPv6Network("2002::/16"),  # 6to4: any IPv4 address in another form
    *map(IPv6Network, ("2001:db8::/32", "3fff::/20")),  # documentation
    *map(IPv6Network, ("2620:4f:8000::/48", "3ffe::/16")),  # AS112, the first test network
)
# Networks without IPv4 reach public hosts through this prefix; the IPv4 address inside decides. The prefix
# 64:ff9b:1::/48 has a meaning of its own at each site, and is refused.
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """True if every host on the internet could connect to the address."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _REFUSED_V4)
    if address.scope_id is not None:
        return False
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _PUBLIC_V6 and not any(address in network for network in _REFUSED_V6)
