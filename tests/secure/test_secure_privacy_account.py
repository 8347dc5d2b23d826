"""The accountant gives the numbers of others' programs, and never less than the exact loss."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.secure.privacy_account import delta_of, epsilon_of, gaussian_rho, rho_of, variance_for


def test_the_numbers_of_the_authors_program() -> None:
    """cdp2adp.py, which belongs to Canonne, Kamath and Steinke 2020: the values that it prints, and more."""
    assert delta_of(0.025, 1) == pytest.approx(1.3361319064032213e-06, rel=1e-10)
    assert epsilon_of(0.025, 1e-6) == pytest.approx(1.014074254726128, rel=1e-10)
    assert rho_of(1, 1e-6) == pytest.approx(0.024355970359538372, rel=1e-10)
    assert rho_of(3, 1e-5) == pytest.approx(0.2242491682463453, rel=1e-10)
    assert rho_of(0.5, 1e-9) == pytest.approx(0.003953191141217897, rel=1e-10)
    assert epsilon_of(1, 1e-5) == pytest.approx(7.0771966958063395, rel=1e-10)


@pytest.mark.parametrize(
    ("rho", "delta", "renyi", "exact"),
    [
        (0.025, 1e-6, 1.0140742747820408, 0.9405155398285465),
        (0.1, 1e-5, 1.9142388669294337, 1.760057161496377),
        (0.5, 1e-6, 5.221535386670758, 4.886554124377032),
        (2.56, 1e-10, 17.15830971266488, 16.479387871599602),
        (0.07, 1e-10, 2.387275182293147, 2.279561003626482),
        (10 / 4.5, 1e-5, 11.439144266954386, 10.669522812306099),
    ],
)
def test_the_numbers_of_another_library(rho: float, delta: float, renyi: float, exact: float) -> None:
    """Google's dp-accounting 0.6.0, of a Gaussian with this ρ.

    Its RDP accountant over a fine grid of orders; from below its loss distributions, which are exact.
    """
    assert epsilon_of(rho, delta) == pytest.approx(renyi, rel=2e-6)
    assert epsilon_of(rho, delta) <= renyi
    assert exact < epsilon_of(rho, delta) < 1.1 * exact


@given(st.floats(1e-6, 20), st.sampled_from([1e-3, 1e-6, 1e-9]))
def test_conversions_are_inverse(epsilon: float, delta: float) -> None:
    rho = rho_of(epsilon, delta)
    assert epsilon_of(rho, delta) == pytest.approx(epsilon, rel=1e-6, abs=1e-9)
    assert delta_of(rho, epsilon) <= delta * (1 + 1e-9)


@given(st.floats(1e-6, 5), st.floats(1e-6, 5), st.floats(0.01, 10))
def test_more_loss_is_more_delta(one: float, other: float, epsilon: float) -> None:
    low, high = sorted((one, other))
    assert delta_of(low, epsilon) <= delta_of(high, epsilon) * (1 + 1e-9)


def test_no_loss_is_none() -> None:
    assert (delta_of(0.0, 0.0), epsilon_of(0.0, 1e-9)) == (0.0, 0.0)


def test_a_gaussian_from_one_hand_has_the_textbook_loss() -> None:
    assert gaussian_rho(3.0, 18.0, shares=1, size=5) == pytest.approx(9 / 36)


def test_noise_from_many_hands_costs_little_more_if_it_is_wide() -> None:
    """Proposition 14 of Kairouz, Liu and Steinke: the excess falls with exp(-π² v)."""
    assert gaussian_rho(1.0, 25.0, shares=4, size=100) == pytest.approx(1 / 200, rel=1e-12)
    narrow = gaussian_rho(1.0, 0.25, shares=4, size=100)
    gap = 10 * sum(math.exp(-2 * math.pi**2 * 0.25 * k / (k + 1)) for k in (1, 2, 3))
    assert narrow == pytest.approx((1 + 10 * gap) ** 2 / 2)
    assert narrow > 1 / 2


@given(st.floats(1e-5, 2), st.floats(1, 2.0**31), st.integers(1, 50), st.integers(1, 5000))
def test_the_variance_is_enough_and_hardly_more(
    rho: float, sensitivity: float, shares: int, size: int
) -> None:
    variance = variance_for(rho, sensitivity, shares=shares, size=size)
    assert gaussian_rho(sensitivity, float(variance), shares=shares, size=size) <= rho
    if variance > 100:
        smaller = gaussian_rho(sensitivity, variance * 0.98, shares=shares, size=size)
        assert smaller > rho
