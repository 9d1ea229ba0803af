"""Points are kept in the state folder, where a deployment may start all the same."""

from planner.cli.local.lock import hold_lock, is_running


def test_a_deployment_starts_in_a_folder_with_points(tmp_path) -> None:
    (tmp_path / "profiling").mkdir()
    with hold_lock(tmp_path):
        assert is_running(tmp_path)
