"""Objects are found by name and by label, whatever becomes of their labels."""

from hypothesis import given
from hypothesis import strategies as st

from connectors.kubernetes.labelled import Labelled

NAMES, VALUES = st.sampled_from("abc"), st.sampled_from(["x", "y", None])


def item(name: str, value: str | None) -> dict:
    labels = {"other": "z"} if value is None else {"l": value}
    return {"metadata": {"name": name, "labels": labels}}


@given(st.lists(st.tuples(st.sampled_from(["put", "drop", "become"]), NAMES, VALUES)))
def test_groups_are_what_looking_through_all_would_find(
    steps: list[tuple[str, str, str | None]],
) -> None:
    held, known = Labelled("l"), {}
    for verb, name, value in steps:
        if verb == "put":
            held.put(item(name, value))
            known[name] = value
        elif verb == "drop":
            held.drop(name)
            known.pop(name, None)
        else:
            held.become([item(name, value)])
            known = {name: value}

        assert held.objects == {n: item(n, v) for n, v in known.items()}
        assert set(held.values) == {v for v in known.values() if v is not None}
        for one in ("x", "y"):
            found = sorted(i["metadata"]["name"] for i in held.of(one))
            assert found == sorted(n for n, v in known.items() if v == one)
