"""The instance that the caller names: sticky routing and debugging."""

from collections.abc import Mapping, Sequence

from runtime.errors import InvalidRequest
from runtime.instance import InstanceRecord


class Direct:
    """Never chooses: a named instance is taken as it is, without a fallback."""

    def choose(
        self,
        candidates: Sequence[InstanceRecord],  # noqa: ARG002 - none of them was named
        in_flight: Mapping[int, int],  # noqa: ARG002
    ) -> InstanceRecord:
        """Raise InvalidRequest: the call has named no instance."""
        raise InvalidRequest("strategy direct: the call or its client has to name an instance_id")
