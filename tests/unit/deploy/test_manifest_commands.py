"""What the manifests start exists, takes those flags, and has the time that it needs to end."""

import re
from urllib.parse import urlsplit

import pytest
from manifests import KUBERNETES, built

from planner.cli.wiring import check
from planner.config import Settings, from_environment, settle
from planner.core.role import Role
from runtime.frontend.arguments import parse_arguments
from workers.options import read_options
from workers.simulated.__main__ import parser as simulated_parser
from workers.vllm.arguments import parse as parse_vllm

POD = {"POD_NAME": "a-0", "POD_IP": "10.0.0.7"}
SPARE_SECONDS = 5


def environment(manifest, container: dict) -> dict[str, str]:
    """Return the variables of *container*: those that a pod's fields give are of `POD`."""
    found = {}
    for source in container.get("envFrom", ()):
        found |= manifest.named("ConfigMap", source["configMapRef"]["name"])["data"]
    for one in container.get("env", ()):
        found[one["name"]] = one.get("value", POD.get(one["name"], ""))
    return found


def arguments(manifest, container: dict) -> list[str]:
    """Return its arguments, with the variables in them as Kubernetes puts them there."""
    known = environment(manifest, container)
    return [re.sub(r"\$\((\w+)\)", lambda m: known[m[1]], word) for word in container["args"]]


def containers(manifest, *command: str) -> list[tuple[dict, dict]]:
    """Return the pod templates and containers that start *command*."""
    templates = [one["spec"]["template"] for one in manifest.workloads]
    pairs = [(t, t["spec"]["containers"][0]) for t in templates]
    assert all(len(template["spec"]["containers"]) == 1 for template, _ in pairs)
    return [pair for pair in pairs if pair[1].get("command", []) == list(command)]


def workers(manifest) -> list:
    """Return pod template, options and container of each worker."""
    found = []
    for template, one in containers(manifest, "python", "-m", "workers.simulated"):
        options = read_options(simulated_parser().parse_args(arguments(manifest, one)))
        found.append((template, options, one))
    return found


def test_the_planner_is_started_with_settings_that_it_knows(manifest) -> None:
    pod = manifest.named("Deployment", "planner")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    known = environment(manifest, container)

    assert container["args"] == ["run"]
    names = {name.removeprefix("PLANNER_").lower() for name in known}
    assert names <= set(Settings.model_fields)
    settings = settle(from_environment(known)).settings
    check(settings)
    assert settings.metrics_port == container["ports"][0]["containerPort"]
    assert settings.journal is not None
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert str(settings.state_dir) in mounts
    assert str(settings.journal.parent) in mounts


def test_frontends_are_started_with_flags_that_they_know(manifest) -> None:
    for template, container in containers(manifest, "python", "-m", "runtime.frontend"):
        settings = parse_arguments(arguments(manifest, container))

        assert settings.frontend.port == container["ports"][0]["containerPort"]
        assert settings.runtime.host == POD["POD_IP"]
        told = settle(from_environment(manifest.settings)).settings.sla
        assert told is not None
        targets = settings.frontend.targets
        assert (targets.ttft, targets.itl) == (told.ttft_seconds, told.itl_seconds)
        assert seconds_to_end(template) >= settings.drain_timeout + SPARE_SECONDS


def seconds_to_end(template: dict) -> float:
    """Return how long its container has after SIGTERM."""
    pod = template["spec"]
    pause = pod["containers"][0].get("lifecycle", {}).get("preStop")
    slept = float(pause["exec"]["command"][1]) if pause else 0.0
    return pod["terminationGracePeriodSeconds"] - slept


def test_the_planner_reads_every_frontend(manifest) -> None:
    frontends = [one for one in manifest.of("StatefulSet") if one["metadata"]["name"] == "frontend"]
    urls = settle(from_environment(manifest.settings)).settings.frontends
    (spec,) = [one["spec"] for one in frontends] or [None]
    if spec is None:
        assert not urls
        return
    service = manifest.named("Service", spec["serviceName"])
    assert service["spec"]["clusterIP"] == "None"
    port = service["spec"]["ports"][0]["port"]
    assert list(urls) == [
        f"http://frontend-{n}.{spec['serviceName']}:{port}" for n in range(spec["replicas"])
    ]


def test_simulated_workers_are_what_their_labels_say(manifest) -> None:
    for template, options, container in workers(manifest):
        labels, notes = template["metadata"]["labels"], template["metadata"]["annotations"]
        assert labels["planner/role"] == options.role
        assert labels["planner/deployment"] == manifest.settings["PLANNER_DEPLOYMENT"]
        assert (options.name, options.host, options.bind) == ("a-0", "10.0.0.7", "0.0.0.0")
        assert notes["planner/metrics-url"] == f":{options.metrics_port}"
        assert container["ports"][0]["containerPort"] == options.metrics_port
        assert seconds_to_end(template) >= options.drain_timeout + SPARE_SECONDS


def test_vllm_workers_are_what_their_labels_say(manifest) -> None:
    for template, container in containers(manifest, "python", "-m", "workers.vllm"):
        words = arguments(manifest, container)
        (model,) = [word for word in words if word.startswith("--model=")]
        mounts = {m["mountPath"]: m["name"] for m in container["volumeMounts"]}
        assert mounts["/models"] == "models"
        assert model.startswith("--model=/models/")
        words[words.index(model)] = "--model=/"  # a folder that is here
        settings = parse_vllm(words)
        options = settings.options

        assert template["metadata"]["labels"]["planner/role"] == options.role
        assert (
            template["metadata"]["annotations"]["planner/metrics-url"] == f":{options.metrics_port}"
        )
        assert container["resources"]["limits"]["nvidia.com/gpu"] == str(settings.gpus)
        assert seconds_to_end(template) >= options.drain_timeout + SPARE_SECONDS


@pytest.mark.parametrize("name", ["simulated", "external-servers", "vllm"])
def test_a_whole_deployment_has_both_roles(name: str) -> None:
    roles = [
        item["spec"]["template"]["metadata"]["labels"].get("planner/role")
        for item in built(KUBERNETES / "overlays" / name)
        if item["kind"] == "Deployment"
    ]
    assert set(filter(None, roles)) == {Role.PREFILL, Role.DECODE}


def test_addresses_are_those_of_the_services(manifest) -> None:
    named = {
        one["metadata"]["name"]: one["spec"]["ports"][0]["port"] for one in manifest.of("Service")
    }
    for item in manifest.of("ConfigMap"):
        for key in item["data"].keys() & {"STORE_URL", "PLANE_URL"}:
            url = urlsplit(item["data"][key])
            if "." not in str(url.hostname):  # else it is kept elsewhere
                assert named[str(url.hostname)] == url.port
