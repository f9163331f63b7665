"""The behaviour rules of the operator, each proven on a real API server; see conftest.py for what runs."""

import pytest

pytest.register_assert_rewrite(f"{__name__}.operators", f"{__name__}.waiting")
