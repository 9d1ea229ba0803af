"""The planner may do what it has to, and nothing else; the overlay for groups names their kind."""

from manifests import KUBERNETES, built

from connectors.kubernetes.kinds import LEADER_WORKER_SETS, Kind

WRITING = {"create", "update", "patch", "delete"}


def test_rights_name_what_they_reach(base) -> None:
    rules = base.named("Role", "planner")["rules"]

    assert not any("*" in str(rule) for rule in rules)
    reached = {name for rule in rules if WRITING & set(rule["verbs"]) for name in rule["resources"]}
    assert reached == {"deployments/scale", "statefulsets/scale", "pods", "leases"}


def test_the_rights_are_those_of_the_account_that_it_runs_as(base) -> None:
    pod = base.named("Deployment", "planner")["spec"]["template"]["spec"]
    binding = base.named("RoleBinding", "planner")

    assert binding["roleRef"]["name"] == "planner"
    assert [one["name"] for one in binding["subjects"]] == [pod["serviceAccountName"]]


def test_the_group_overlay_names_its_kind() -> None:
    items = {item["kind"]: item for item in built(KUBERNETES / "overlays" / "leaderworkerset")}

    value = items["ConfigMap"]["data"]["PLANNER_KUBE_KINDS"]
    assert Kind.parse(value) == LEADER_WORKER_SETS
    granted = {name for rule in items["Role"]["rules"] for name in rule["resources"]}
    assert {LEADER_WORKER_SETS.plural, f"{LEADER_WORKER_SETS.plural}/scale"} <= granted
