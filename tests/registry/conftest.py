import pytest

# their assertions explain themselves like those of tests
pytest.register_assert_rewrite("tests.registry.conformance", "tests.registry.machine")
