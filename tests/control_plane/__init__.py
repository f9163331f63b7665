"""The rules of the operator's behaviour, each tested on a real API server; see conftest.py for the processes
that run.
"""

import pytest

pytest.register_assert_rewrite(f"{__name__}.operators", f"{__name__}.waiting")
