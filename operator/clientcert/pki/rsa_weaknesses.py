"""RSA keys whose private key anyone can compute: the weaknesses that show in a public key, at a bounded cost."""

import math
from functools import cache
from itertools import islice

_LARGEST_SMALL_FACTOR = 1 << 16
_ITERATIONS_OF_FERMAT = 300
_RESIDUE_PRIMES = 8
_ROCA_PRIMES = 167
"""The generators of CVE-2017-15361 make every prime a power of 65537 modulo all primes up to at least this one."""
_POWER_OF_ROCA = 65537


def has_small_factor(modulus: int) -> bool:
    """True if a prime below 65,536 divides it, as where a generator is broken or an octet was changed."""
    return math.gcd(modulus, _product_of_small_primes()) != 1


def is_perfect_power(modulus: int) -> bool:
    """True if it is a square, a cube and so on. Call it only if there is no small factor: then roots are large."""
    highest = modulus.bit_length() // (_LARGEST_SMALL_FACTOR.bit_length() - 1)
    return any(
        _root(modulus, power) ** power == modulus
        for power, primes in _residue_primes(highest + 1)
        if all(pow(modulus % prime, (prime - 1) // power, prime) == 1 for prime in primes)
    )


def has_close_primes(modulus: int) -> bool:
    """True if Fermat's method finds two factors within 300 steps (CVE-2022-26320)."""
    middle = math.isqrt(modulus - 1) + 1
    square = middle * middle - modulus
    for _ in range(_ITERATIONS_OF_FERMAT):
        root = math.isqrt(square)
        if root * root == square:
            return True
        square += 2 * middle + 1
        middle += 1
    return False


def is_roca(modulus: int) -> bool:
    """True if it has the fingerprint of Infineon's library RSALib (CVE-2017-15361): made by some smart cards and TPMs.

    Of other keys, one in a hundred million has it, too.
    """
    return all(modulus % prime in powers for prime, powers in _powers_by_prime())


@cache
def _powers_by_prime() -> tuple[tuple[int, frozenset[int]], ...]:
    """The powers of 65537 modulo each prime where these are not all numbers."""
    found = []
    for prime in _primes(_ROCA_PRIMES + 1):
        powers, power = set(), 1
        while power not in powers and math.gcd(_POWER_OF_ROCA, prime) == 1:
            powers.add(power)
            power = power * _POWER_OF_ROCA % prime
        if powers and len(powers) < prime - 1:
            found.append((prime, frozenset(powers)))
    return tuple(found)


@cache
def _residue_primes(limit: int) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """Each prime power below the limit, with primes modulo which few numbers are such a power: a root takes longer."""
    primes = _primes(_LARGEST_SMALL_FACTOR)
    return tuple(
        (power, tuple(islice((each for each in primes if each % power == 1), _RESIDUE_PRIMES)))
        for power in _primes(limit)
    )


@cache
def _product_of_small_primes() -> int:
    return math.prod(_primes(_LARGEST_SMALL_FACTOR))


def _primes(limit: int) -> list[int]:
    """All primes below the limit."""
    sieve = bytearray([1]) * max(limit, 2)
    sieve[:2] = b"\0\0"
    for number in range(2, math.isqrt(limit) + 1):
        if sieve[number]:
            sieve[number * number :: number] = bytes(len(range(number * number, len(sieve), number)))
    return [number for number, is_prime in enumerate(sieve) if is_prime]


def _root(number: int, power: int) -> int:
    """The integer part of a root, by Newton's method."""
    guess = 1 << -(-number.bit_length() // power)
    while True:
        better = ((power - 1) * guess + number // guess ** (power - 1)) // power
        if better >= guess:
            return guess
        guess = better
