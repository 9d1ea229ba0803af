"""Settings of the law tests."""

from hypothesis import settings

# A shared machine stalls now and then, which is no fact about the code.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
