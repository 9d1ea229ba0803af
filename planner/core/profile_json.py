"""Profiles to and from decoded JSON; every quantity carries its unit in its key."""

from dataclasses import asdict, fields
from typing import TYPE_CHECKING

from planner.core.document import Document
from planner.core.engine import DecodeLaw, EngineLimits, EngineModel, PrefillLaw
from planner.core.profile import (
    SCHEMA_VERSION,
    Accuracy,
    DecodePoint,
    EngineProfile,
    Kind,
    Parallelism,
    PrefillPoint,
    Profile,
    StartUp,
)
from planner.errors import ProfileError

if TYPE_CHECKING:
    from collections.abc import Mapping

_HINT = "the bundled ones show the form, such as planner/profiles/qwen3-32b-h200.json"


def read_profile(value: "Mapping[str, object]", *, source: str) -> Profile:
    """Return the profile in *value*; raises ProfileError with the path of what is wrong."""
    document = Document(value, source=source, error=ProfileError)
    version = document.text("schema_version")
    if version != SCHEMA_VERSION:
        raise document.wrong(
            "schema_version", f"{version} is not the supported {SCHEMA_VERSION}", hint=_HINT
        )
    document.known("schema_version", *(field.name for field in fields(Profile)))
    return Profile(
        name=document.text("name"),
        model=document.text("model"),
        gpu=document.text("gpu"),
        engine_version=document.text("engine_version"),
        kind=_read_kind(document),
        source=document.text("source"),
        licence=document.text("licence"),
        notes=document.texts("notes"),
        gpu_price_per_hour=document.optional_number("gpu_price_per_hour"),
        engines=tuple(map(_read_engine, document.nested_list("engines"))),
    )


def _read_kind(document: Document) -> Kind:
    text = document.text("kind")
    if text not in set(Kind):
        raise document.wrong("kind", f"{text!r} is none of {', '.join(Kind)}")
    return Kind(text)


def _read_engine(document: Document) -> EngineProfile:
    document.known("tp", "pp", "limits", "prefill", "decode", "start_up")
    prefill = document.nested("prefill")
    decode = document.nested("decode")
    prefill.known("law", "points", "accuracy")
    decode.known("law", "points", "accuracy")
    return EngineProfile(
        parallelism=Parallelism(
            tp=document.integer("tp", least=1), pp=document.integer("pp", least=1)
        ),
        engine=EngineModel(
            prefill=_read_prefill_law(prefill.nested("law")),
            decode=_read_decode_law(decode.nested("law")),
            limits=_read_limits(document.nested("limits")),
        ),
        prefill_points=tuple(map(_read_prefill_point, prefill.nested_list("points"))),
        decode_points=tuple(map(_read_decode_point, decode.nested_list("points"))),
        start_up=_read_start_up(document.optional_nested("start_up")),
        prefill_accuracy=_read_accuracy(prefill.optional_nested("accuracy")),
        decode_accuracy=_read_accuracy(decode.optional_nested("accuracy")),
    )


def _read_prefill_law(document: Document) -> PrefillLaw:
    names = _known_fields(document, PrefillLaw)
    law = PrefillLaw(**{name: document.number(name) for name in names})
    if law.base_seconds + law.marginal_seconds(1) <= 0:
        raise document.wrong("", "says that a prefill takes no time", hint=_HINT)
    return law


def _read_decode_law(document: Document) -> DecodeLaw:
    names = _known_fields(document, DecodeLaw)
    law = DecodeLaw(**{name: document.number(name) for name in names})
    if law.step_seconds(1, 1) <= 0:
        raise document.wrong("", "says that a decode step takes no time", hint=_HINT)
    return law


def _read_limits(document: Document) -> EngineLimits:
    _known_fields(document, EngineLimits)
    return EngineLimits(
        max_num_batched_tokens=document.integer("max_num_batched_tokens", least=1),
        max_num_seqs=document.integer("max_num_seqs", least=1),
        block_size=document.integer("block_size", least=1),
        kv_capacity_tokens=document.integer("kv_capacity_tokens", least=1),
        kv_bytes_per_token=document.integer("kv_bytes_per_token", least=1),
        transfer_bytes_per_second=document.number("transfer_bytes_per_second", least=1.0),
    )


def _read_prefill_point(document: Document) -> PrefillPoint:
    _known_fields(document, PrefillPoint)
    return PrefillPoint(
        isl=document.integer("isl", least=1),
        ttft_seconds=document.number("ttft_seconds", least=1e-9),
    )


def _read_decode_point(document: Document) -> DecodePoint:
    _known_fields(document, DecodePoint)
    return DecodePoint(
        batch=document.number("batch"),
        kv_tokens=document.number("kv_tokens"),
        itl_seconds=document.number("itl_seconds", least=1e-9),
    )


def _read_start_up(document: Document | None) -> StartUp | None:
    if document is None:
        return None
    names = _known_fields(document, StartUp)
    return StartUp(**{name: document.number(name) for name in names})


def _read_accuracy(document: Document | None) -> Accuracy | None:
    if document is None:
        return None
    _known_fields(document, Accuracy)
    return Accuracy(
        held_out=document.number("held_out"),
        held_out_low=document.number("held_out_low"),
        held_out_high=document.number("held_out_high"),
        points=document.integer("points", least=1),
        confidence=document.optional_number("confidence"),
    )


def _known_fields(document: Document, record: type) -> list[str]:
    names = [field.name for field in fields(record)]
    document.known(*names)
    return names


def write_profile(profile: Profile) -> dict[str, object]:
    """Return the JSON form of *profile*."""
    head = {
        field.name: getattr(profile, field.name)
        for field in fields(profile)
        if field.name not in ("engines", "notes")
    }
    return {
        "schema_version": SCHEMA_VERSION,
        **head,
        "kind": str(profile.kind),
        "notes": list(profile.notes),
        "engines": [_write_engine(entry) for entry in profile.engines],
    }


def _write_engine(entry: EngineProfile) -> dict[str, object]:
    return {
        "tp": entry.parallelism.tp,
        "pp": entry.parallelism.pp,
        "limits": asdict(entry.engine.limits),
        "start_up": None if entry.start_up is None else asdict(entry.start_up),
        "prefill": {
            "law": asdict(entry.engine.prefill),
            **_write_accuracy(entry.prefill_accuracy),
            "points": [asdict(point) for point in entry.prefill_points],
        },
        "decode": {
            "law": asdict(entry.engine.decode),
            **_write_accuracy(entry.decode_accuracy),
            "points": [asdict(point) for point in entry.decode_points],
        },
    }


def _write_accuracy(accuracy: Accuracy | None) -> dict[str, object]:
    return {} if accuracy is None else {"accuracy": asdict(accuracy)}
