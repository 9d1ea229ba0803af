"""The file of a static deployment: which instances there are and which models they serve."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from runtime.errors import InvalidDeployment, InvalidRequest
from runtime.instance import (
    InstanceRecord,
    checked_name,
    encode_record,
    instance_prefix,
    instance_subject,
)
from runtime.models import ModelEntry, encode_entry, model_key

NAMESPACE = "planner"


class StaticInstance(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One instance; its subject follows from its names when the file leaves it out."""

    component: str
    endpoint: str
    instance_id: int
    namespace: str = NAMESPACE
    subject: str | None = None
    metadata: Mapping[str, Any] = {}

    def record(self) -> InstanceRecord:
        """Return the record that the store shows. Raises InvalidRequest for a bad name."""
        names = (
            checked_name("namespace", self.namespace),
            checked_name("component", self.component),
            checked_name("endpoint", self.endpoint),
        )
        if self.instance_id <= 0:
            raise InvalidRequest(f"instance_id {self.instance_id}: above 0 is allowed")
        return InstanceRecord(
            namespace=self.namespace,
            component=self.component,
            endpoint=self.endpoint,
            instance_id=self.instance_id,
            subject=self.subject or instance_subject(*names, self.instance_id),
            metadata=self.metadata,
        )


class StaticModel(ModelEntry, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A model card, and the endpoint whose instances all serve it."""

    namespace: str = NAMESPACE


class StaticDeployment(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    instances: tuple[StaticInstance, ...]
    models: tuple[StaticModel, ...] = ()


def read_deployment(path: Path) -> Mapping[str, bytes]:
    """Return the entries of the store that *path* describes. Raises InvalidDeployment."""
    try:
        deployment = msgspec.json.decode(path.read_bytes(), type=StaticDeployment)
        records = [
            _at(f"instances[{index}]", instance)
            for index, instance in enumerate(deployment.instances)
        ]
        _require_distinct("instance", [record.key for record in records])
        _require_distinct("subject", [record.subject for record in records])
        entries = {record.key: encode_record(record) for record in records}
        return entries | dict(_model_entries(deployment.models, records))
    except OSError as error:
        raise InvalidDeployment(f"static file {path}: {error.strerror}") from None
    except (msgspec.DecodeError, InvalidRequest, InvalidDeployment) as error:
        raise InvalidDeployment(f"static file {path}: {error}") from None


def _at(place: str, instance: StaticInstance) -> InstanceRecord:
    try:
        return instance.record()
    except InvalidRequest as error:
        raise InvalidDeployment(f"{place}: {error}") from None


def _require_distinct(kind: str, values: list[str]) -> None:
    for value, times in Counter(values).items():
        if times > 1:
            raise InvalidDeployment(f"{kind} {value} is listed {times} times, once is allowed")


def _model_entries(
    models: tuple[StaticModel, ...], records: list[InstanceRecord]
) -> Iterator[tuple[str, bytes]]:
    for index, model in enumerate(models):
        prefix = instance_prefix(model.namespace, model.component, model.endpoint)
        serving = [record for record in records if record.key.startswith(prefix)]
        if not serving:
            raise InvalidDeployment(
                f"models[{index}]: {model.name!r} is served by {prefix.removesuffix(':')},"
                " of which no instance is listed"
            )
        fields = msgspec.structs.asdict(model)
        namespace = fields.pop("namespace")
        entry = ModelEntry(**fields)
        for record in serving:
            key = model_key(entry, namespace=namespace, instance_id=record.instance_id)
            yield key, encode_entry(entry)
