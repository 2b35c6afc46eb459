"""The tests. Their helpers' assertions say what they compared, as those of the tests themselves do."""

from pathlib import Path

import pytest

pytest.register_assert_rewrite(
    *(f"{__name__}.{path.parent.name}" for path in Path(__file__).parent.glob("*/__init__.py"))
)
