import pytest

# their assertions explain themselves like those of tests
pytest.register_assert_rewrite("tests.index.conformance", "tests.index.examples")
