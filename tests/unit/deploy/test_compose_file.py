"""The services of compose.yaml fit together; tests/e2e/test_compose.py runs their commands."""

import re

import pytest
import yaml
from composition import FILE, ROOT, command, health_check, services
from dockerfile import IMAGES

from planner.core.sla import Sla
from planner.core.units import parse_duration

OURS = sorted(name for name, one in services().items() if one["image"] == "planner")


def test_what_is_depended_on_tells_its_health() -> None:
    for service in services().values():
        waited_for = service.get("depends_on", {})
        for other in waited_for:
            if isinstance(waited_for, dict):
                assert waited_for[other] == {"condition": "service_healthy"}
                assert health_check(services()[other])
            assert other in services()


def test_hosts_in_the_commands_are_services() -> None:
    for name, service in services().items():
        text = " ".join(command(service)) if "command" in service else ""
        hosts = set(re.findall(r"//([a-z]+):", text)) | set(re.findall(r"-host=([a-z]+)", text))
        assert hosts <= services().keys(), name


def test_volumes_are_declared_and_files_are_there() -> None:
    declared = yaml.safe_load(FILE.read_text())["volumes"].keys()
    for service in services().values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (FILE.parent / source).exists(), source
                assert volume.endswith(":ro")
            else:
                assert source in declared


def test_ports_are_for_this_machine_alone() -> None:
    published = [port for one in services().values() for port in one.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert len(set(published)) == len(published)


def test_images_are_of_one_version() -> None:
    for name, service in services().items():
        if name in OURS:
            build = service["build"]
            context = FILE.parent / build["context"]
            assert context.resolve() == ROOT
            assert context.joinpath(build["dockerfile"]).resolve() == IMAGES / "Dockerfile"
        else:
            assert re.search(r":v?\d+\.\d+", service["image"])


@pytest.mark.parametrize("name", OURS)
def test_ours_run_without_privileges(name: str) -> None:
    service = services()[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", ["frontend", "prefill", "decode"])
def test_there_is_time_to_drain(name: str) -> None:
    service = services()[name]
    (drain,) = re.findall(r"--drain-timeout=(\d+)", " ".join(command(service)))
    assert parse_duration(service["stop_grace_period"]) >= float(drain) + 5


def test_the_frontend_counts_by_the_planners_sla() -> None:
    text = {name: " ".join(command(services()[name])) for name in ("frontend", "planner")}
    (told,) = re.findall(r"--sla=(\S+)", text["planner"])
    sla = Sla.parse(told)
    for flag, seconds in (("ttft", sla.ttft_seconds), ("itl", sla.itl_seconds)):
        assert seconds is not None
        assert f"--{flag}-target-ms={seconds * 1e3:g}" in text["frontend"]


def test_prometheus_reads_what_it_reads_elsewhere_where_compose_has_the_planner() -> None:
    here = yaml.safe_load((FILE.parent / "prometheus.yml").read_text())
    there = (ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text()
    assert here == yaml.safe_load(there.replace("127.0.0.1:9400", "planner:9400"))
